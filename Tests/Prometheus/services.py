"""Real services on loopback, started one by one."""

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

PROGRAMS = os.environ.get("SLUICE_PROGRAMS", ".build/release")
SECRET = "a secret of the cluster, long enough"
ANY_CERTIFICATE = ssl._create_unverified_context()


def free_port(given=set()):
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if port not in given and probe.connect_ex(("127.0.0.1", port)) != 0:
                given.add(port)
                return port


class Service:
    """One process. `job` and `name` are what Prometheus calls it."""

    def __init__(self, program, name, folder, arguments, environment=None, prefix=(), before=None, tls=False, wire=None):
        self.job, self.name, self.tls = program, name, tls
        self.http, self.wire = free_port(), wire or free_port()
        self.data = os.path.join(folder, name)
        self.log = self.data + ".log"
        self.command = [
            *prefix, os.path.join(PROGRAMS, program), "--data", self.data, "--http-port", str(self.http), "--wire-port", str(self.wire),
            *arguments,
        ]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SLUICE_")}
        self.environment = {**clean, "SLUICE_CLUSTER_SECRET": SECRET, **(environment or {})}
        self.before = before
        self.process = None
        self.start()

    def start(self, *more):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command + list(more), env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.before)

    def kill(self, number):
        # Behind a wrapper such as faketime the program itself is the process: they replace themselves by it.
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.kill(signal.SIGCONT)
            self.kill(number)
        self.process.wait(15)

    @property
    def address(self):
        return f"127.0.0.1:{self.wire}"

    def call(self, path, body=None, timeout=3, headers=None, method=None):
        """Status and text."""
        scheme = "https" if self.tls else "http"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{self.http}{path}", data=data, headers=headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=ANY_CERTIFICATE if self.tls else None) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        try:
            status, text = self.call("/metrics", timeout=1)
        except OSError:
            return None
        return text if status == 200 else None

    def until(self, status, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            try:
                if self.call("/readyz", timeout=1)[0] == status:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        with open(self.log) as log:
            raise RuntimeError(f"{self.name} does not answer {status}\n{log.read()[-2000:]}")


class Cluster:
    """Two shards, a coordinator and an ingest; parts can be given other arguments."""

    def __init__(self, folder, name, shards=2, coordinator=(), shard=(), ingest=(), environment=None, ready=True, **of_parts):
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        wires = [free_port() for _ in range(shards)]
        list_of_shards = ",".join(f"127.0.0.1:{port}" for port in wires)
        more = {"environment": environment}
        self.coordinator = Service(
            "sluice-coordinator", "coordinator", self.folder, ["--shards", list_of_shards, *coordinator],
            **{**more, **of_parts.get("of_coordinator", {})})
        tie = ["--coordinator", self.coordinator.address]
        self.shards = [
            Service("sluice-shard", f"shard-{i}", self.folder, ["--shard", str(i), *tie, *shard], wire=port, **{**more, **of_parts.get("of_shards", {})})
            for i, port in enumerate(wires)
        ]
        self.ingest = Service("sluice-ingest", "ingest", self.folder, [*tie, *ingest], **{**more, **of_parts.get("of_ingest", {})})
        if not ready:
            return
        try:
            for service in self.all:
                service.until(200)
        except RuntimeError:
            self.stop()
            raise

    @property
    def all(self):
        return [self.coordinator, *self.shards, self.ingest]

    def stop(self):
        for service in self.all:
            if service.process.poll() is None:
                service.kill(signal.SIGCONT)
                service.kill(signal.SIGKILL)
                service.process.wait()

    def send(self, events, timeout=30):
        return self.ingest.call("/v1/events", events, timeout)

    def query(self, timeout=30, **more):
        return self.coordinator.call("/v1/query", {"funnel": {"steps": ["a", "b"]}, **more}, timeout)


def events(count, name="a", month=1, user="u"):
    return [
        {"user_id": f"{user}{i}", "event": name, "timestamp": f"2026-{month:02}-{1 + i % 28:02}T00:00:{i % 60:02}Z"} for i in range(count)
    ]
