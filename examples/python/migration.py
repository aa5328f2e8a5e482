"""The Python half of `examples/migration.rs`: `publish` sends one event, `work` hears of them until it is killed."""

import os
import sys

from celery import Celery
from celery.signals import worker_ready
from celery_salt import SaltEvent, subscribe
from celery_salt.django import setup_salt_queue
from pydantic import BaseModel

# Celery replaces `sys.stdout`; its file descriptor stays.
OUT = os.dup(1)


def say(text):
    os.write(OUT, f"{text}\n".encode())


class OrderShipped(SaltEvent):
    """What the service has had before anybody wrote a schema file."""

    class Schema(BaseModel):
        order_id: str
        company_id: int
        tracking_number: str

    class Meta:
        topic = "orders.shipped"


app = Celery("migration", broker=os.environ["CELERYSALT_BROKER_URL"], backend="rpc://")
app.conf.task_routes = {"celery_salt.dispatch_event": {"exchange": "tchu_events", "exchange_type": "topic"}}


def publish():
    OrderShipped(order_id="O-1", company_id=7, tracking_number="T-1").publish()
    say("published")


def work():
    @subscribe(OrderShipped)
    def shipped(event):
        say(f"{event.order_id} is on its way as {event.tracking_number}")

    # Of the Django helpers, but it needs none.
    setup_salt_queue(app, queue_name="migration-python", subscriber_modules=[])
    # Connected last, so that the queue is bound by then.
    worker_ready.connect(lambda **_: say("ready"), weak=False)
    app.conf.worker_enable_remote_control = False
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", "--pool", "solo", "-n", "migration@example", "-Q", "migration-python", *quiet])


{"publish": publish, "work": work}[sys.argv[1]]()
