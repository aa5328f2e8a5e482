"""A service on celery-salt. Arguments: its queue, the module of its handlers."""

import sys

from celery import Celery
from celery_salt.django import setup_salt_queue
from peer import BACKEND, BROKER, EXCHANGE, work

queue, handlers = sys.argv[1:]
app = Celery("salt", broker=BROKER, backend=BACKEND)
# Of the Django helpers, but it needs none.
setup_salt_queue(app, queue_name=queue, subscriber_modules=[handlers], exchange_name=EXCHANGE)
work(app, queue)
