"""celery-salt at work: `publish`, `consume`, `serve` or `call`."""

import logging
import sys
import time

import job
from celery import Celery

# It logs every payload, which is not what is measured.
logging.disable(logging.INFO)
work = sys.argv[1]
app = Celery("bench", broker=job.URL, backend="rpc://")


def client():
    app.conf.task_routes = {"celery_salt.dispatch_event": {"exchange": job.NAME, "exchange_type": "topic"}}
    import celery_salt_events as events

    if work == "publish":
        orders = [events.OrderRecorded(**job.fields(number)) for number in range(max(job.COUNT, job.WARM))]
        for order in orders[: job.WARM]:
            order.publish()
        watch = job.Watch()
        for order in orders[: job.COUNT]:
            order.publish()
        watch.say(job.COUNT)
        return
    times = []
    for number in range(job.WARM + job.COUNT):
        if number == job.WARM:
            watch = job.Watch()
        start = time.perf_counter()
        events.QuoteRequest(sku="ABC-1234", pieces=1 + number % 9).call(timeout=30)
        if number >= job.WARM:
            times.append(time.perf_counter() - start)
    watch.say(job.COUNT, times)


def worker():
    from celery.signals import worker_ready
    from celery_salt.django import setup_salt_queue

    queue = f"{job.NAME}.celery"
    setup_salt_queue(app, queue_name=queue, subscriber_modules=["celery_salt_events"], exchange_name=job.NAME)

    @worker_ready.connect(weak=False)
    def _ready(**_):
        job.say("ready")

    app.conf.worker_enable_remote_control = False
    app.conf.worker_prefetch_multiplier = 500
    app.conf.broker_connection_retry_on_startup = True
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", "--pool", "solo", "--loglevel", "ERROR", "-n", f"{queue}@peer", "-Q", queue, *quiet])


if work in ("publish", "call"):
    client()
else:
    worker()
