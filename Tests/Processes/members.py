"""The programs of a cluster as processes of their own, for tests in Python: each is started and ended by the caller."""

import concurrent.futures
import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.path.abspath(os.environ.get("SLUICE_PROGRAMS") or os.path.join(ROOT, ".build", "release"))

# Programs are started from this thread, which keeps the priority that the run began with; attempts lower theirs.
STARTER = concurrent.futures.ThreadPoolExecutor(1)
STARTER.submit(int).result()


# Certificate of the cluster under test, where it speaks TLS.
CERTIFICATE = None


def trust(certificate):
    global CERTIFICATE
    CERTIFICATE = certificate


def tls():
    """A context of its own for each connection, since clients choose protocols in it; None for plain text."""
    return ssl.create_default_context(cafile=CERTIFICATE) if CERTIFICATE else None


def http_connection(address, timeout):
    host, port = address.rsplit(":", 1)
    if context := tls():
        return http.client.HTTPSConnection(host, int(port), timeout=timeout, context=context)
    return http.client.HTTPConnection(host, int(port), timeout=timeout)


def clean_environment():
    """Nothing of the caller's own Sluice gets in."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}


def start(command, **more):
    return STARTER.submit(subprocess.Popen, command, stdin=more.pop("stdin", subprocess.DEVNULL), **more).result()


def program(name):
    return os.path.join(PROGRAMS, name)


def end(process, patience=30):
    """SIGTERM, and SIGKILL where that does not do. Gives the seconds it took, or None where it had to be killed."""
    if process.poll() is not None:
        return 0.0
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience)
        return time.monotonic() - started
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
        return None


def send_signal(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def free_port():
    """A port nobody listens on, below those that the kernel gives to callers."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def ask(address, path, body=None, key=None, method=None, headers=(), timeout=30):
    """Status, body and headers of one HTTP request on a connection of its own; status 0 where there was none."""
    connection = http_connection(address, timeout)
    fields = dict(headers)
    if key:
        fields["Authorization"] = "Bearer " + key
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    try:
        connection.request(method or ("GET" if body is None else "POST"), path, body, fields)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error).encode(), {}
    finally:
        connection.close()


class Members:
    """Single programs, each started, ended and given its settings by the caller. Addresses stay the same over restarts."""

    def __init__(self, data, variables, shards=2, seal_rows=None):
        self.data, self.count, self.variables = data, shards, variables
        self.seal_rows = seal_rows
        os.makedirs(data, exist_ok=True)
        self.names = [f"shard-{n}" for n in range(shards)] + ["coordinator", "ingest"]
        self.ports = {name: (free_port(), free_port()) for name in self.names}
        self.processes = {}
        self.order = list(range(shards))

    def http(self, name):
        return f"127.0.0.1:{self.ports[name][0]}"

    def wire(self, name):
        return f"127.0.0.1:{self.ports[name][1]}"

    ingest = property(lambda self: self.http("ingest"))
    ingest_wire = property(lambda self: self.wire("ingest"))
    coordinator = property(lambda self: self.http("coordinator"))
    coordinator_wire = property(lambda self: self.wire("coordinator"))

    def pids(self):
        return {name: process.pid for name, process in list(self.processes.items()) if process.poll() is None}

    def restarts(self):
        return []

    def start(self, name):
        http_port, wire_port = self.ports[name]
        command = ["--http-port", str(http_port), "--wire-port", str(wire_port), "--data", os.path.join(self.data, name)]
        if name == "coordinator":
            command += ["--shards", ",".join(self.wire(f"shard-{n}") for n in self.order)]
        else:
            command += ["--coordinator", self.wire("coordinator")]
        if name.startswith("shard-"):
            command += ["--shard", name[6:]] + (["--seal-rows", str(self.seal_rows)] if self.seal_rows else [])
        os.makedirs(os.path.join(self.data, name), exist_ok=True)
        with open(os.path.join(self.data, name + ".log"), "ab") as log:
            command = [program("sluice-" + name.split("-")[0])] + command
            self.processes[name] = start(command, stdout=log, stderr=log, env=self.variables)

    def start_all(self, patience=30):
        for name in self.names:
            self.start(name)
        self.wait_ready(patience)

    def wait_ready(self, patience=30, names=None):
        deadline = time.monotonic() + patience
        for name in names or self.names:
            while ask(self.http(name), "/readyz", timeout=2)[0] != 200:
                if time.monotonic() > deadline or self.processes[name].poll() is not None:
                    raise RuntimeError(f"{name} is not ready, in {patience} s at most: {self.log(name)[-600:]}")
                time.sleep(0.05)

    def log(self, name):
        with open(os.path.join(self.data, name + ".log"), errors="replace") as file:
            return file.read()

    def end(self, name, patience=30):
        return end(self.processes.pop(name), patience)

    def stop(self, patience=30):
        for process in self.processes.values():
            send_signal(process.pid, signal.SIGCONT)
        return [self.end(name, patience) for name in list(self.processes)]
