"""The honest callers of project 2, in a process of their own: what they see while others attack.

One thread sends 20 events each 50 ms, one asks a funnel over HTTP each 100 ms, one over the wire each 200 ms. Told by lines
on the standard input: `phase NAME` begins a phase and answers with the figures of the one before it as a line of JSON; in a
phase `rest` nothing is sent; `stop` ends with what was acknowledged. A request that is not acknowledged is sent again under
the same key until it is. All waits are counted as a caller who comes on time would have met them: an answer that took
a second stands for all those, 50 ms apart, that could not be asked meanwhile.
"""

import http.client
import json
import sys
import threading
import time

from rows import SluiceError, client
from servers import READ, WRITE, http_connection, trust


class Figures:
    def __init__(self):
        self.lock, self.name, self.seen, self.faults = threading.Lock(), "rest", {}, {}

    def add(self, kind, seconds, interval):
        with self.lock:
            waits = self.seen.setdefault(kind, [])
            while seconds > 0:
                waits.append(seconds * 1000)
                seconds = seconds - interval if seconds > interval else 0

    def fault(self, kind, text):
        with self.lock:
            entry = self.faults.setdefault(kind, {"count": 0, "first": text[:200]})
            entry["count"] += 1

    def phase(self, name):
        with self.lock:
            seen, faults, self.seen, self.faults, self.name = self.seen, self.faults, {}, {}, name
        figures = {"faults": faults}
        for kind, waits in seen.items():
            waits.sort()
            figures[kind] = {"n": len(waits), "p50": round(waits[len(waits) // 2], 1),
                             "p99": round(waits[min(len(waits) - 1, len(waits) * 99 // 100)], 1), "max": round(waits[-1], 1)}
        return figures


class Caller(threading.Thread):
    """Calls once each interval while the phase is not `rest`."""

    def __init__(self, kind, interval, figures, ended):
        super().__init__(daemon=True)
        self.kind, self.interval, self.figures, self.ended = kind, interval, figures, ended

    def run(self):
        while not self.ended.is_set():
            if self.figures.name == "rest":
                time.sleep(0.02)
                continue
            started = time.monotonic()
            self.once()
            taken = time.monotonic() - started
            if self.figures.name != "rest":
                self.figures.add(self.kind, taken, self.interval)
            time.sleep(max(0, self.interval - taken))


class HttpCaller(Caller):
    def __init__(self, kind, interval, figures, ended, address, key):
        super().__init__(kind, interval, figures, ended)
        self.connection = http_connection(address, 30)
        self.headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}

    def post(self, path, body, headers=()):
        try:
            self.connection.request("POST", path, body, {**self.headers, **dict(headers)})
            response = self.connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return 0, repr(error).encode()


class Writer(HttpCaller):
    acknowledged = open_events = number = 0

    def once(self):
        self.number += 1
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = json.dumps([{"user_id": f"beat-{self.number}-{n}", "event": "Beat", "timestamp": moment} for n in range(20)])
        self.open_events, pause = 20, 0.05
        while True:
            status, answer = self.post("/v1/events", body, {"Idempotency-Key": f"beat-{self.number}"})
            if status == 200 and json.loads(answer)["accepted"] == 20:
                self.acknowledged, self.open_events = self.acknowledged + 20, 0
                return
            self.figures.fault(self.kind, f"{status} {answer[:160]!r}")
            if self.ended.wait(pause):
                return
            pause = min(pause * 2, 1)


class Asker(HttpCaller):
    body = json.dumps({"funnel": {"steps": ["A", "B", "C"], "window_duration": "7d"}})

    def once(self):
        status, answer = self.post("/v1/query", self.body)
        if status != 200:
            self.figures.fault(self.kind, f"{status} {answer[:160]!r}")


class WireAsker(Caller):
    def __init__(self, kind, interval, figures, ended, address, key):
        super().__init__(kind, interval, figures, ended)
        self.client = client(address, key, timeout=30)

    def once(self):
        try:
            self.client.query({"funnel": {"steps": ["A", "B", "C"], "window_duration": "7d"}})
        except SluiceError as error:
            self.client.close()
            self.figures.fault(self.kind, str(error))


def main():
    ingest, coordinator, coordinator_wire = sys.argv[1:4]
    trust(sys.argv[4] if len(sys.argv) > 4 else None)
    figures, ended = Figures(), threading.Event()
    writer = Writer("append", 0.05, figures, ended, ingest, WRITE[2])
    callers = [writer, Asker("query", 0.1, figures, ended, coordinator, READ[2]),
               WireAsker("wire", 0.2, figures, ended, coordinator_wire, READ[2])]
    for caller in callers:
        caller.start()
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "phase":
            print(json.dumps(figures.phase(rest)), flush=True)
        elif word == "stop":
            figures.phase("rest")
            deadline = time.monotonic() + 60
            while writer.open_events and time.monotonic() < deadline:
                time.sleep(0.05)
            ended.set()
            print(json.dumps({"acknowledged": writer.acknowledged, "open": writer.open_events}), flush=True)
            return


if __name__ == "__main__":
    main()
