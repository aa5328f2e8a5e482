"""FastStream at work: `publish` or `consume`."""

import asyncio
import os
import sys
from datetime import datetime
from uuid import UUID

import job
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from pydantic import BaseModel, Field

work = sys.argv[1]
broker = RabbitBroker(job.URL, default_channel=Channel(prefetch_count=500))
exchange = RabbitExchange(job.NAME, type=ExchangeType.TOPIC, durable=True)


class Order(BaseModel):
    order_id: UUID
    number: int = Field(ge=0)
    recorded_at: datetime
    customer: str = Field(min_length=1, max_length=80)
    currency: str = Field(pattern="^(EUR|USD|GBP)$")
    total_cents: int = Field(ge=0)
    skus: list[str]
    note: str = Field(default="", max_length=200)


async def publish():
    orders = [Order(**job.fields(number)) for number in range(max(job.COUNT, job.WARM))]
    window = asyncio.Semaphore(1000)

    async def one(order):
        async with window:
            await broker.publish(order, routing_key=job.TOPIC, exchange=exchange, persist=True, mandatory=True)

    await asyncio.gather(*(one(order) for order in orders[: job.WARM]))
    watch = job.Watch()
    await asyncio.gather(*(one(order) for order in orders[: job.COUNT]))
    watch.say(job.COUNT)


counting = job.Counting()
done = asyncio.Event()

if work == "consume":
    queue = RabbitQueue(job.NAME, queue_type=QueueType.QUORUM, durable=True, routing_key="#")

    @broker.subscriber(queue, exchange)
    async def recorded(order: Order):
        if counting.one():
            done.set()


async def main():
    await broker.start()
    if work == "publish":
        await publish()
    else:
        job.say("ready")
        await done.wait()
        # Its last acks go out meanwhile.
        await asyncio.sleep(1)
        os._exit(0)
    await broker.stop()


asyncio.run(main())
