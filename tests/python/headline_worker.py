"""A celery-salt service that knows no more of its contracts than the registry. Arguments: its queue, the registry, the
folder of its stubs (or -), and the topics that it subscribes to."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/python"))

import celerysalt_registry
from celery import Celery
from celery.signals import task_failure
from celery_salt import subscribe
from celery_salt.django import setup_salt_queue
from peer import BROKER, EXCHANGE, say, work

queue, registry, stubs, *topics = sys.argv[1:]
app = Celery("headline", broker=BROKER, backend="rpc://")
celerysalt_registry.use(registry, service=queue, stubs=None if stubs == "-" else stubs)


def handler_of(topic):
    def handler(event):
        kind = type(event)
        say(topic=topic, type=kind.__name__, module=kind.__module__, fields=event.model_dump())

    handler.__name__ = topic.replace(".", "_")
    return subscribe(topic)(handler)


for topic in topics:
    handler_of(topic)


@task_failure.connect(weak=False)
def _refused(exception=None, **_):
    say(refused=type(exception).__name__, text=str(exception))


setup_salt_queue(app, queue_name=queue, subscriber_modules=[], exchange_name=EXCHANGE)
work(app, queue)
