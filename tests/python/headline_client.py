"""A process that publishes and calls with generated models. Arguments: the registry, the folder of its stubs."""

import importlib
import sys
from pathlib import Path

registry, stubs = sys.argv[1:]
sys.path[:0] = [str(Path(__file__).parents[2] / "examples/python"), stubs]

import celerysalt_registry
from celery import Celery
from celery_salt import SaltEvent
from celery_salt.core.decorators import subscribe
from peer import BROKER, EXCHANGE, serve
from pydantic import BaseModel

app = Celery("headline_client", broker=BROKER, backend="rpc://")
app.conf.task_routes = {"celery_salt.dispatch_event": {"exchange": EXCHANGE, "exchange_type": "topic"}}
celerysalt_registry.use(registry, stubs=stubs)


def event(module, schema, response=None, error=None):
    """A celery-salt event of generated models, as the README has it."""
    models = importlib.import_module(module)

    class Meta(getattr(models, schema).Meta):
        exchange_name = EXCHANGE

    body = {"Schema": getattr(models, schema), "Meta": Meta}
    if response:
        body |= {"Response": getattr(models, response), "Error": getattr(models, error)}
    return type(f"{schema}Event", (SaltEvent,), body)


CREATED = event("pulse_risk_created", "RiskAssessmentCreated")
GET = event("rpc_pulse_risk_get", "GetRiskAssessment", "GetRiskAssessmentResponse", "GetRiskAssessmentError")


def publish(fields):
    return CREATED(**fields).publish()


def call(fields):
    reply = GET(**fields).call(timeout=30)
    return {"type": type(reply.data).__name__, "fields": reply.payload}


def follow(topic, version="latest"):
    """Subscribes, to see what comes of it."""
    subscribe(topic, version=version)(lambda event: None)


def define(topic, fields):
    """Defines an event with a schema of its own, which celery-salt registers."""
    types = {"int": int, "str": str, "float": float}
    schema = type("Schema", (BaseModel,), {"__annotations__": {name: types[kind] for name, kind in fields.items()}})
    meta = type("Meta", (), {"topic": topic})
    type("Own", (SaltEvent,), {"Schema": schema, "Meta": meta})


serve(app, {"publish": publish, "call": call, "follow": follow, "define": define})
