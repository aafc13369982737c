"""Kills the coordinator between the evaluation of alert rules and the delivery of their notices, again and again: every notice arrives,
and each firing has one key.

Usage: kills.py [--kills N] [--seed N]    Programs are found as Tests/Prometheus/services.py does.
"""

import argparse
import http.server
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Prometheus"))
from services import Cluster  # noqa: E402


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes webhooks; every third request gets 503, and some answers are slow, so that a kill meets a delivery under way."""

    taken = {}
    lock = threading.Lock()
    count = 0
    random = random.Random()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with Receiver.lock:
            Receiver.count += 1
            status = 503 if Receiver.count % 3 == 0 else 200
            pause = Receiver.random.choice([0, 0, 0.2])
        time.sleep(pause)
        if status == 200:
            notice = json.loads(body)
            assert notice["id"] == self.headers["idempotency-key"]
            with Receiver.lock:
                Receiver.taken.setdefault(notice["rule"], []).append(notice["id"])
        try:
            self.send_response(status)
            if status == 503:
                self.send_header("retry-after", "1")
            self.send_header("content-length", "0")
            self.end_headers()
        except OSError:
            pass  # the coordinator was killed while it waited

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source = Receiver.random = random.Random(options.seed)
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="sluice-notices-") as folder:
        cluster = Cluster(folder, "kills", shards=1, coordinator=["--alert-seconds", "1", "--allowed-targets", "127.0.0.1"])
        try:
            put(cluster, "/v1/funnels/f", {"steps": ["a", "b"]})
            url = f"http://127.0.0.1:{receiver.server_port}/"
            put(cluster, "/v1/channels/hook", {"kind": "webhook", "settings": {"url": url}})
            for kill in range(options.kills):
                put(cluster, f"/v1/alerts/r{kill}", {
                    "funnel_id": "f", "metric": {"kind": "count", "step": 1}, "condition": {"no_data": {}}, "period": "5m", "delay": "0s",
                    "channels": ["hook"]})
                time.sleep(source.uniform(0, 1.6))
                cluster.coordinator.kill(signal.SIGKILL)
                cluster.coordinator.process.wait()
                cluster.coordinator.start()
                cluster.coordinator.until(200)
            end = time.time() + 120
            while len(Receiver.taken) < options.kills and time.time() < end:
                time.sleep(0.2)
        finally:
            cluster.stop()
            receiver.shutdown()
    lost = [kill for kill in range(options.kills) if f"r{kill}" not in Receiver.taken]
    doubled = {rule: sorted(set(ids)) for rule, ids in Receiver.taken.items() if len(set(ids)) != 1}
    repeats = sum(len(ids) - len(set(ids)) for ids in Receiver.taken.values())
    print(f"{options.kills} kills: {len(Receiver.taken)} notices arrived, {repeats} of them again with the same key; "
          f"lost: {len(lost)}; with several keys: {len(doubled)}")
    if lost or doubled:
        print(lost, doubled)
        sys.exit(1)


def put(cluster, path, document):
    status, text = cluster.coordinator.call(path, document, method="PUT")
    assert status in (200, 201), (path, status, text)


main()
