"""A process that publishes with celery-salt, within a span of OpenTelemetry."""

import contracts
import traced
from celery import Celery
from peer import BACKEND, BROKER, EXCHANGE, serve

app = Celery("salt_client", broker=BROKER, backend=BACKEND)
app.conf.task_routes = {"celery_salt.dispatch_event": {"exchange": EXCHANGE, "exchange_type": "topic"}}


def publish(fields):
    with traced.tracer.start_as_current_span("checkout") as span:
        contracts.OrderCreated(**fields).publish(broker_url=None)
    return {**traced.ids(span), "ended": [span.name for span in traced.exporter.get_finished_spans()]}


serve(app, {"publish": publish})
