"""Clusters of real processes, with keys for two projects, and what can be seen of them from outside."""

import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = os.path.abspath(os.environ.get("SLUICE_PROGRAMS") or os.path.join(ROOT, ".build", "release"))

SECRET = "one-secret-for-all-the-services"
WRITE = {1: "write-key-of-project-one", 2: "write-key-of-project-two"}
READ = {1: "read-key-of-project-one", 2: "read-key-of-project-two"}
ADMIN = {1: "admin-key-of-project-one", 2: "admin-key-of-project-two"}


def environment(keys=True, write=None, secret=SECRET):
    """Variables of the programs: nothing of the caller's own Sluice gets in."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    if secret:
        variables["SLUICE_CLUSTER_SECRET"] = secret
    if keys:
        for name, ring in (("WRITE", write or WRITE), ("READ", READ), ("ADMIN", ADMIN)):
            variables[f"SLUICE_{name}_KEYS"] = ",".join(f"{project}:{key}" for project, key in ring.items())
    return variables


# Programs are started from this thread, which keeps the priority that the run began with; attempts lower theirs.
STARTER = concurrent.futures.ThreadPoolExecutor(1)
STARTER.submit(int).result()


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


class Up:
    """`sluice up` on any free ports, over one data directory."""

    def __init__(self, data, shards=2, keys=True, seal_rows=None, arguments=(), any_port=True, patience=60,
                 variables=None, **more):
        self.data, self.shards, self.variables = data, shards, {**environment(keys, **more), **(variables or {})}
        self.info_file, self.log_file, self.patience = data + ".info.json", data + ".log", patience
        self.arguments = ["--any-port"] if any_port else []
        self.arguments += list(arguments) + (["--seal-rows", str(seal_rows)] if seal_rows else [])
        self.process = None
        self.start()

    def start(self):
        if os.path.exists(self.info_file):
            os.unlink(self.info_file)
        command = [program("sluice"), "up", "--shards", str(self.shards), "--data", self.data, "--info", self.info_file]
        command += ["--patience", str(self.patience)] + self.arguments
        with open(self.log_file, "ab") as log:
            self.process = start(command, stdout=log, stderr=log, env=self.variables)
        deadline = time.monotonic() + self.patience + 5
        while not self.info:
            if self.process.poll() is not None or time.monotonic() > deadline:
                end(self.process)
                with open(self.log_file, errors="replace") as log:
                    raise RuntimeError(f"sluice up is not ready: {log.read()[-600:]}")
            time.sleep(0.02)
        self.first = self.info

    @property
    def info(self):
        """Written anew whenever a member was started again."""
        try:
            with open(self.info_file) as file:
                return json.load(file)
        except (OSError, ValueError):
            return None  # not there yet, or caught while it was being written

    def pids(self):
        info = self.info
        return info["pids"] if info else {}

    def restarts(self):
        """Members that are another process than at the start."""
        now = self.pids()
        return sorted(name for name, pid in self.first["pids"].items() if now.get(name, pid) != pid)

    ingest = property(lambda self: self.first["ingest"]["http"])
    ingest_wire = property(lambda self: self.first["ingest"]["wire"])
    coordinator = property(lambda self: self.first["coordinator"]["http"])
    coordinator_wire = property(lambda self: self.first["coordinator"]["wire"])

    def shard(self, number, kind="http"):
        return self.first["shards"][number][kind]

    def stop(self, patience=30):
        taken = end(self.process, patience) if self.process else 0.0
        self.process = None
        return taken


def free_port():
    """A port nobody listens on, below those that the kernel gives to callers."""
    import random
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Members:
    """Single programs, each started, ended and given its settings by the caller. Addresses stay the same over restarts."""

    def __init__(self, data, shards=2, keys=True, seal_rows=None):
        self.data, self.count, self.variables = data, shards, environment(keys)
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
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{name} is not ready after {patience} s: {self.log(name)[-600:]}")
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


def ask(address, path, body=None, key=None, method=None, headers=(), timeout=30):
    """Status, body and headers of one HTTP request on a connection of its own; status 0 where there was none."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
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


def metrics(address):
    """Every metric without labels, and those with labels under their whole name."""
    values = {}
    for line in ask(address, "/metrics")[1].decode("utf-8", "replace").splitlines():
        name, _, value = line.rpartition(" ")
        if name and not name.startswith("#"):
            values[name] = float(value)
    return values


def status_field(pid, field):
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


class Memory:
    """Peak resident MiB of each member in each phase, looked at ten times a second. Pages of mapped files do not count."""

    def __init__(self, pids):
        self.pids, self.peaks, self.name, self.ended = pids, {}, "start", threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _look(self):
        peaks = self.peaks.setdefault(self.name, {})
        for name, pid in self.pids().items():
            now = status_field(pid, "RssAnon") / 1024
            peaks[name] = max(peaks.get(name, 0), now)

    def _run(self):
        while not self.ended.wait(0.1):
            self._look()

    def phase(self, name):
        self.name = name
        self._look()

    def close(self):
        self.ended.set()
        self.thread.join()


def remove(path):
    shutil.rmtree(path, ignore_errors=True)


def note(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)
