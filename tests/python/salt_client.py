"""A process that publishes and calls with celery-salt."""

import json

import contracts
from celery import Celery
from peer import BACKEND, BROKER, EXCHANGE, serve

app = Celery("salt_client", broker=BROKER, backend=BACKEND)
app.conf.task_routes = {"celery_salt.dispatch_event": {"exchange": EXCHANGE, "exchange_type": "topic"}}


class GetRiskAssessmentV2(contracts.GetRiskAssessment):
    """A version that no Rust service of these tests serves."""

    class Meta:
        topic = "rpc.pulse.risk.get"
        mode = "rpc"
        version = "v2"
        exchange_name = EXCHANGE


class CarelessRequest(contracts.SaltEvent):
    """A contract that allows what the real one does not."""

    class Schema(contracts.BaseModel):
        assessment_id: int

    class Meta:
        topic = "rpc.pulse.risk.get"
        mode = "rpc"
        exchange_name = EXCHANGE
        auto_register = False


EVENTS = {**vars(contracts), "GetRiskAssessmentV2": GetRiskAssessmentV2, "CarelessRequest": CarelessRequest}


def publish(event, by, fields, **options):
    # A broker URL makes celery-salt leave Celery out and publish by kombu, as it does without Celery.
    broker = {"celery": None, "kombu": BROKER}[by]
    return EVENTS[event](**fields).publish(broker_url=broker, **options)


def call(event, fields, timeout=30):
    reply = EVENTS[event](**fields).call(timeout=timeout)
    return {"type": type(reply.data).__name__, "fields": reply.payload}


def send(topic, fields, compression):
    # What an application does that uses Celery's own compression.
    meta = {"is_rpc": False, "version": "v1"}
    options = {"exchange": EXCHANGE, "exchange_type": "topic", "routing_key": topic, "compression": compression}
    arguments = {"args": [json.dumps({**fields, "_tchu_meta": meta})], "kwargs": {"routing_key": topic}}
    return app.send_task("celery_salt.dispatch_event", **arguments, **options).id


serve(app, {"publish": publish, "call": call, "send": send})
