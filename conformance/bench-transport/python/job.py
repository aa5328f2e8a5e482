"""What a peer is told to do, and how it says what it took; as in `src/job.rs`."""

import json
import os
import time

URL = os.environ["BENCH_URL"]
NAME = os.environ["BENCH_NAME"]
COUNT = int(os.environ["BENCH_COUNT"])
WARM = int(os.environ["BENCH_WARM"])
TOPIC = "bench.order.recorded"
RPC_TOPIC = "rpc.bench.quote"
# Celery replaces `sys.stdout`; its file descriptor stays.
_OUT = os.dup(1)


def fields(number):
    order = {
        "order_id": f"7f1c2d3e-4b5a-4c6d-8e9f-{number:012x}",
        "number": number,
        "recorded_at": "2026-11-27T13:00:00Z",
        "customer": f"Kunde {number % 1000}",
        "currency": "EUR",
        "total_cents": 1999 + number % 5000,
        "skus": ["ABC-1234", "XYZ-0042"],
        "note": "",
    }
    size = len(json.dumps(order, separators=(",", ":")))
    order["note"] = "n" * (300 - size)
    return order


def say(line):
    os.write(_OUT, f"{line}\n".encode())


class Watch:
    def __init__(self):
        self.start, self.cpu = time.perf_counter(), time.process_time()

    def say(self, count, times=()):
        times = sorted(times)
        at = lambda share: times[len(times) * share // 100] * 1000 if times else 0.0
        took = {
            "count": count,
            "seconds": time.perf_counter() - self.start,
            "cpu": time.process_time() - self.cpu,
            "p50": at(50),
            "p99": at(99),
        }
        say(json.dumps(took))


class Counting:
    """From the end of the warm-up to the last."""

    def __init__(self):
        self.seen, self.watch = 0, None

    def one(self):
        self.seen += 1
        if self.seen == WARM:
            self.watch = Watch()
        if self.seen == WARM + COUNT:
            self.watch.say(COUNT)
            return True
        return False
