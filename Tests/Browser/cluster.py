"""A cluster of real processes with generated traffic, and the server of its dashboard."""

import datetime
import json
import os
import shlex
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

SHOP = ["Visit", "View Product", "Add to Cart", "Checkout", "Purchase"]


class Cluster:
    """
    `sluice up` in a directory of its own; ended with everything it started.

    SLUICE_DASHBOARD_COMMAND, for work on the pages alone: a program that serves them in front of the coordinator and prints its
    address; {coordinator} and {info} are filled in.
    """

    def __init__(self, users=3000, funnels=10, environment=None):
        self.directory = tempfile.TemporaryDirectory(prefix="sluice-browser-")
        self.programs = os.environ.get("SLUICE_PROGRAMS", ".build/release")
        self.started = []
        try:
            self._start(users, funnels, environment or {})
        except BaseException:
            self.stop()
            raise

    def _start(self, users, funnels, environment):
        info = os.path.join(self.directory.name, "cluster.json")
        data = os.path.join(self.directory.name, "data")
        self.log = open(os.path.join(self.directory.name, "up.log"), "wb")
        self._spawn([self._program("sluice"), "up", "--shards", "2", "--data", data, "--info", info, "--any-port"], environment)
        deadline = time.monotonic() + 120
        while not os.path.exists(info):
            if self.started[0].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the cluster did not start:\n" + open(self.log.name).read()[-2000:])
            time.sleep(0.1)
        with open(info) as file:
            self.info = json.load(file)
        self.coordinator = "http://" + self.info["coordinator"]["http"]
        self.ingest = "http://" + self.info["ingest"]["http"]
        if users:
            self._load(users)
        for i in range(funnels):
            self.put_funnel("shop" if i == 0 else f"shop-{i}", {"steps": SHOP[: 2 + i % 4], "window_duration": "1d"} if i else {
                "steps": SHOP, "window_duration": "1d", "default": True})
        self.address = self._front(info)

    def _load(self, users):
        file = os.path.join(self.directory.name, "shop.ndjson")
        # Ends two days ago, so that no event is in the future.
        first = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=31)
        self.run("generate", "--users", str(users), "--from", first.isoformat(), "--out", file)
        self.run("load", file, "--to", self.info["ingest"]["wire"])

    def _front(self, info):
        command = os.environ.get("SLUICE_DASHBOARD_COMMAND")
        if not command:
            return self.coordinator
        words = [word.format(coordinator=self.info["coordinator"]["http"], info=info) for word in shlex.split(command)]
        front = self._spawn(words, {}, stdout=subprocess.PIPE)
        return front.stdout.readline().decode().strip().rstrip("/")

    def _program(self, name):
        return os.path.join(self.programs, name)

    def _spawn(self, command, environment, stdout=None):
        process = subprocess.Popen(command, stdout=stdout or self.log, stderr=self.log, env={**os.environ, **environment})
        self.started.append(process)
        return process

    def run(self, *words):
        subprocess.run([self._program("sluice"), *words], check=True, stdout=self.log, stderr=self.log)

    def call(self, method, address, body=None, headers=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {"content-type": "application/json", **(headers or {})}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def query(self, body, path=""):
        return self.call("POST", f"{self.coordinator}/v1/query{path}", body)

    def put_funnel(self, name, definition):
        return self.call("PUT", f"{self.coordinator}/v1/funnels/{name}", definition)

    def delete_funnel(self, name):
        try:
            self.call("DELETE", f"{self.coordinator}/v1/funnels/{name}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def send(self, events):
        """`(user, event, seconds ago, properties)`; returns once they are durable."""
        now = datetime.datetime.now(datetime.timezone.utc)
        rows = [
            {"user_id": user, "event": event, "timestamp": (now - datetime.timedelta(seconds=ago)).isoformat(), "properties": properties}
            for user, event, ago, properties in events
        ]
        answer = self.call("POST", self.ingest + "/v1/events", rows)
        assert answer["accepted"] == len(rows), answer

    def stop(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        self.directory.cleanup()
