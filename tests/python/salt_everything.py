"""A handler of every topic, as an audit service has it."""

from celery_salt import subscribe
from peer import say


@subscribe("#")
def everything(data):
    say(handler="#", fields=data.model_dump())
