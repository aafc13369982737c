"""A cluster of single programs, so that a shard can be killed and started again; a project and keys for each case."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time

PROJECTS = 250
HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.abspath(os.environ.get("SLUICE_PROGRAMS") or os.path.join(HERE, "..", "..", ".build", "release"))


def write_key(project):
    return f"write-key-of-project-{project}"


def read_key(project):
    return f"read-key-of-project-{project}"


def keys(key):
    return ",".join(f"{project}:{key(project)}" for project in range(1, PROJECTS + 1))


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


class Cluster:
    """Two shards, a coordinator and an ingest on loopback."""

    NAMES = ("shard-0", "shard-1", "coordinator", "ingest")

    def __init__(self, directory):
        self.directory, self.processes = directory, {}
        self.ports = {name: (free_port(), free_port()) for name in self.NAMES}
        # Nothing of the caller's own Sluice gets in.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
        self.environment |= {
            "SLUICE_CLUSTER_SECRET": "one-secret-for-all-the-services",
            "SLUICE_WRITE_KEYS": keys(write_key), "SLUICE_READ_KEYS": keys(read_key),
        }

    def __enter__(self):
        try:
            for name in self.NAMES:
                self.start(name)
            self.wait_ready(self.NAMES)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()

    def http(self, name):
        return f"127.0.0.1:{self.ports[name][0]}"

    def wire(self, name):
        return f"127.0.0.1:{self.ports[name][1]}"

    def start(self, name):
        http_port, wire_port = self.ports[name]
        data = os.path.join(self.directory, name)
        os.makedirs(data, exist_ok=True)
        command = [os.path.join(PROGRAMS, "sluice-" + name.split("-")[0]), "--http-port", str(http_port), "--wire-port", str(wire_port)]
        command += ["--data", data]
        if name == "coordinator":
            command += ["--shards", ",".join(self.wire(f"shard-{number}") for number in range(2))]
        else:
            command += ["--coordinator", self.wire("coordinator")]
        if name.startswith("shard-"):
            command += ["--shard", name[6:]]
        with open(data + ".log", "ab") as log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def wait_ready(self, names, seconds=60):
        end = time.monotonic() + seconds
        for name in names:
            while self.status(name) != 200:
                if time.monotonic() > end or self.processes[name].poll() is not None:
                    raise RuntimeError(f"{name} is not ready: {self.log(name)}")
                time.sleep(0.05)

    def ended(self):
        """The programs that are not running any more, with the ends of their logs."""
        return [(name, self.log(name)) for name, process in self.processes.items() if process.poll() is not None]

    def log(self, name):
        with open(os.path.join(self.directory, name + ".log"), errors="replace") as file:
            return file.read()[-1000:]

    def status(self, name):
        try:
            return self._request(name, "GET", "/readyz")[0]
        except (OSError, http.client.HTTPException):
            return 0

    def counts(self, project, funnel):
        """The count of each step."""
        return [step["count"] for step in self._ask(project, "/v1/query", {"funnel": funnel})["steps"]]

    def users(self, project, step):
        """The users with an event of the step."""
        return set(self._ask(project, "/v1/query/users", {"funnel": {"steps": [step]}, "step": 1, "limit": 10_000})["users"])

    def _ask(self, project, path, query):
        fields = {"Authorization": "Bearer " + read_key(project), "Content-Type": "application/json"}
        status, text = self._request("coordinator", "POST", path, json.dumps(query), fields)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {text[:500]}")
        return json.loads(text)

    def _request(self, name, method, path, body=None, fields=None):
        host, port = self.http(name).rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            connection.request(method, path, body, fields or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
