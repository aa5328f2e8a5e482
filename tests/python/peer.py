"""How a Python peer and the test that started it talk: JSON lines.

What the peer says goes to standard output behind a mark, for other things are printed there too. What it hears comes
from standard input; when that ends, the test is gone, and so is the peer.
"""

import datetime
import json
import os
import queue
import sys
import threading

BROKER = os.environ["PEER_BROKER"]
EXCHANGE = os.environ["PEER_EXCHANGE"]
# Where Celery keeps results.
BACKEND = os.environ["PEER_BACKEND"]

MARK = "@@ "
# Celery replaces `sys.stdout`; its file descriptor stays.
_OUT = os.dup(1)
_heard = queue.Queue()


def _text(value):
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    raise TypeError(f"{type(value)} is not said")


def say(**fields):
    """Tells the test. One write, so that lines never mix."""
    os.write(_OUT, f"{MARK}{json.dumps(fields, default=_text)}\n".encode())


def hear():
    """What the test says next. Waits for it."""
    return _heard.get()


def _listen():
    for line in sys.stdin:
        _heard.put(json.loads(line))
    os._exit(0)


threading.Thread(target=_listen, daemon=True).start()


def work(app, queue):
    """Runs a Celery worker in this process and thread until the test ends it."""
    from celery.signals import worker_ready

    # Connected last, so the bindings that the packages make on the same signal are there.
    @worker_ready.connect(weak=False)
    def _ready(**_):
        say(ready=True, replies=app.thread_oid)

    # Nothing of it concerns events; it only declares queues of its own.
    app.conf.worker_enable_remote_control = False
    app.conf.broker_connection_retry_on_startup = True
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", "--pool", "solo", "--loglevel", "INFO", "-n", f"{queue}@peer", "-Q", queue, *quiet])


def serve(app, commands):
    """Does what the test asks for, one after the other, and says what came of it."""
    say(ready=True, replies=app.thread_oid)
    while True:
        order = hear()
        try:
            say(done=commands[order.pop("do")](**order))
        except Exception as error:
            say(raised=type(error).__name__, text=str(error))
