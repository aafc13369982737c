"""Events for the clusters under test: batches for the wire, encoded once and sent often, and what was sent."""

import struct
import time

import wire
from servers import tls
from wire import Client, SluiceError

MINUTE, DAY = 60_000_000, 86_400_000_000


def now_us():
    return time.time_ns() // 1000


def event(user, name, at, id="", **properties):
    return {"user": user, "event": name, "microseconds": at, "id": id, "properties": properties}


def client(address, key, timeout=60.0, compress=False):
    return Client(address, key, timeout=timeout, compress=compress, tls=tls())


def send(target, events, rows=20_000):
    """Sends all of them in batches; any that is not accepted ends the test."""
    for first in range(0, len(events), rows):
        some = events[first:first + rows]
        result = target.append_until_done(some)
        if result["accepted"] != len(some):
            raise RuntimeError(f"of {len(some)} events {result}"[:400])


class Encoded:
    """A batch that is encoded once. Each sending has a sequence of its own, so events without ids are new ones each time."""

    def __init__(self, events):
        self.rows, self.batch = len(events), wire.encode_batch(events)

    def body(self, producer, sequence):
        return struct.pack("<QQI", producer, sequence, 0) + b"\x00" + self.batch

    def send(self, target, patience=120):
        """Until it is stored; gives the number of repeats that this took."""
        target.sequence += 1
        body, repeats, deadline = self.body(target.producer, target.sequence), 0, time.monotonic() + patience
        while True:
            try:
                answer, _ = target._one("append", wire.APPEND, body, wire.APPEND_RESULT)
                result = wire.decode_append_result(answer)
                if result["accepted"] == self.rows:
                    return repeats
                problem = f"{result}"[:300]
            except SluiceError as error:
                if not error.retryable:
                    raise
                problem = str(error)
            repeats += 1
            if time.monotonic() > deadline:
                raise RuntimeError(f"a batch was not taken in {patience} s: {problem}")
            time.sleep(min(0.05 * 2 ** min(repeats, 5), 1))


def funnel_events(users, names="ABCD", prefix="u", start=None):
    """So many users; one in two goes on at each step, a minute apart."""
    start = start or now_us() - 3 * DAY
    return [event(f"{prefix}{n}", name, start + n * 1000 + place * MINUTE)
            for n in range(users) for place, name in enumerate(names) if n % (1 << place) == 0 or place < 2]


def steady_events(users, names, prefix="u", start=None):
    """Every user does every name, in order, a minute apart."""
    start = start or now_us() - 3 * DAY
    return [event(f"{prefix}{n}", name, start + n * 1000 + place * MINUTE)
            for n in range(users) for place, name in enumerate(names)]
