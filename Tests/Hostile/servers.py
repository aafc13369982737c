"""Clusters of real processes, with keys for two projects, and what can be seen of them from outside."""

import json
import os
import shutil
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "Processes"))

import members  # noqa: E402
from members import ask, clean_environment, end, http_connection, program, send_signal, start, tls, trust  # noqa: E402, F401

SECRET = "one-secret-for-all-the-services"
WRITE = {1: "write-key-of-project-one", 2: "write-key-of-project-two"}
READ = {1: "read-key-of-project-one", 2: "read-key-of-project-two"}
ADMIN = {1: "admin-key-of-project-one", 2: "admin-key-of-project-two"}


def environment(keys=True, write=None, secret=SECRET):
    """Variables of the programs."""
    variables = clean_environment()
    if secret:
        variables["SLUICE_CLUSTER_SECRET"] = secret
    if keys:
        for name, ring in (("WRITE", write or WRITE), ("READ", READ), ("ADMIN", ADMIN)):
            variables[f"SLUICE_{name}_KEYS"] = ",".join(f"{project}:{key}" for project, key in ring.items())
    return variables


class Up:
    """`sluice up` on any free ports, over one data directory."""

    def __init__(self, data, shards=2, keys=True, seal_rows=None, arguments=(), any_port=True, patience=60,
                 variables=None, **more):
        self.data, self.shards, self.variables = data, shards, {**environment(keys, **more), **(variables or {})}
        trust(self.variables.get("SLUICE_TLS_CA"))
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


class Members(members.Members):
    """Single programs with the keys of two projects."""

    def __init__(self, data, shards=2, seal_rows=None):
        super().__init__(data, environment(), shards, seal_rows)


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
