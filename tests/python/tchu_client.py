"""A process that publishes and calls with tchu-tchu."""

from celery import Celery
from peer import BACKEND, BROKER, EXCHANGE, serve
from tchu_tchu import CeleryProducer, ServerlessProducer

app = Celery("tchu_client", broker=BROKER, backend=BACKEND)
app.conf.task_routes = {"tchu_tchu.dispatch_event": {"exchange": EXCHANGE, "exchange_type": "topic"}}
PRODUCERS = {
    "celery": CeleryProducer(app),
    "serverless": ServerlessProducer(broker_url=BROKER, exchange_name=EXCHANGE),
}


def publish(topic, by, fields):
    return PRODUCERS[by].publish(topic, fields)


def call(topic, fields, timeout=30):
    return PRODUCERS["celery"].call(topic, fields, timeout=timeout)


serve(app, {"publish": publish, "call": call})
