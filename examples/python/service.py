"""A Python service that hears of risks from whoever publishes them. Start it as `celery -A service worker -Q mail`."""

import os

import celerysalt_registry
from celery import Celery
from celery_salt import subscribe
from celery_salt.django import setup_salt_queue

app = Celery("mail", broker=os.environ["CELERYSALT_BROKER_URL"], backend="rpc://")
celerysalt_registry.use(
    os.environ["CELERYSALT_REGISTRY_URL"],
    service="mail",
    stubs=os.environ.get("CELERYSALT_STUBS"),
)


@subscribe("pulse.risk.created")
def notify(event):
    print(f"{event.assessment_id}: {event.risk_score} of 10")


# Of the Django helpers, but it needs none: binds the queue to the topics of the handlers.
setup_salt_queue(app, queue_name="mail", subscriber_modules=[])
