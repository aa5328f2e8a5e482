"""A service on tchu-tchu. Arguments: its queue, the module of its handlers."""

import importlib
import sys

from peer import BACKEND, BROKER, EXCHANGE, work
from tchu_tchu import get_subscribed_routing_keys
from tchu_tchu.django import Celery

queue, handlers = sys.argv[1:]
app = Celery("tchu", broker=BROKER, backend=BACKEND)
# Of the Django helpers, but it needs none.
app.message_broker(queue_name=queue, exchange_name=EXCHANGE)
# It would import the handlers and bind their topics on signals of the worker, but Celery holds its receivers weakly and
# they are gone by then. So both are done here.
importlib.import_module(handlers)
with app.connection() as connection:
    bound = app.conf.task_queues[0](connection.default_channel)
    bound.declare()
    for key in get_subscribed_routing_keys():
        bound.bind_to(EXCHANGE, routing_key=key)
work(app, queue)
