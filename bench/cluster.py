"""A Sluice cluster of real processes, started by `sluice up`, and what can be seen of it from outside."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time


class Unsupported(Exception):
    """The product says that this version does not have it."""


class Cluster:
    """`sluice up` on any free ports, over one data directory."""

    def __init__(self, programs, data, shards=2, seal_rows=None, environment=None):
        self.programs, self.data, self.shards = os.path.abspath(programs), os.path.abspath(data), shards
        self.seal_rows = seal_rows  # None: the product's default
        self.environment = environment or {}  # beside that of this process
        self.info_file = self.data + ".info.json"
        self.log_file = self.data + ".log"
        self.process = self.info = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, patience=120):
        if os.path.exists(self.info_file):
            os.unlink(self.info_file)
        command = [os.path.join(self.programs, "sluice"), "up", "--shards", str(self.shards), "--data", self.data]
        command += ["--info", self.info_file, "--any-port", "--patience", str(patience)]
        if self.seal_rows:
            command += ["--seal-rows", str(self.seal_rows)]
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **self.environment})
        deadline = time.monotonic() + patience + 5
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"sluice up ended with {self.process.returncode}; see {self.log_file}")
            if os.path.exists(self.info_file):
                try:
                    with open(self.info_file) as file:
                        self.info = json.load(file)
                    return self
                except ValueError:
                    pass  # caught while it was being written
            time.sleep(0.01)
        self.stop()
        raise SystemExit(f"the cluster was not ready in {patience} s; see {self.log_file}")

    def stop(self):
        """SIGTERM and a wait; what is left after a minute is ended by its process id."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            print("the cluster did not stop in 60 s; killing it", file=sys.stderr)
            self.process.kill()
            self.process.wait(10)
            for pid in (self.info or {}).get("pids", {}).values():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process = None

    @property
    def ingest_http(self):
        return self.info["ingest"]["http"]

    @property
    def ingest_wire(self):
        return self.info["ingest"]["wire"]

    @property
    def coordinator(self):
        return self.info["coordinator"]["http"]

    def metrics(self):
        """The sums over all shards of every metric without labels."""
        sums = {}
        for shard in self.info["shards"]:
            for line in fetch(shard["http"], "/metrics")[1].decode().splitlines():
                name, _, value = line.partition(" ")
                if name and not name.startswith("#") and "{" not in name:
                    sums[name] = sums.get(name, 0) + float(value)
        return sums

    def state(self):
        """The files and the memory table in a few words."""
        now = self.metrics()
        return {
            "rows": int(now.get("sluice_store_rows", 0)),
            "segments": int(now.get("sluice_store_segments", 0)),
            "memtable_rows": int(now.get("sluice_store_memtable_rows", 0)),
        }

    def settle(self, seconds):
        """Waits so long without asking for anything, then says what state that led to."""
        time.sleep(seconds)
        return self.state()

    def compact(self):
        """Stops, compacts every shard, and starts again: at other addresses."""
        shards = [shard["id"] for shard in self.info["shards"]]
        self.stop()
        for shard in shards:
            command = [os.path.join(self.programs, "sluice"), "compact", os.path.join(self.data, f"shard-{shard}")]
            subprocess.run(command, check=True, timeout=3600, stdout=subprocess.DEVNULL)
        self.start()

    def resident(self):
        """Anonymous resident bytes of each shard."""
        return [anonymous_bytes(self.info["pids"][f"shard-{shard['id']}"]) for shard in self.info["shards"]]

    def sizes(self):
        """Bytes on disk over all shards by kind of file: log, segments, dictionaries, other."""
        sums = {"segments": 0, "dictionaries": 0, "log": 0, "other": 0}
        for shard in self.info["shards"]:
            for folder, _, files in os.walk(os.path.join(self.data, f"shard-{shard['id']}")):
                for name in files:
                    try:
                        size = os.stat(os.path.join(folder, name)).st_size
                    except FileNotFoundError:
                        continue  # a merge just took it away
                    sums[kind_of(name)] += size
        return sums


def kind_of(name):
    """What a file of a shard's directory is for, by its name."""
    if name.startswith("log"):
        return "log"
    if name.startswith("usr-"):
        return "dictionaries"
    return "segments" if name.startswith("seg-") else "other"


def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def fetch(address, path, method="GET", body=None, timeout=30):
    """Status and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection(*address.rsplit(":", 1), timeout=timeout)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Asker:
    """Queries over one kept connection to the coordinator. The clock stops before the answer is parsed."""

    def __init__(self, address, timeout=150):
        self.connection = http.client.HTTPConnection(*address.rsplit(":", 1), timeout=timeout)
        self.used = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, body):
        """(milliseconds, parsed answer) of a request whose body is bytes of JSON."""
        if time.monotonic() - self.used > 20:
            # The server ends connections that were idle for a minute.
            self.connection.close()
            self.connection.connect()
        started = time.perf_counter()
        self.connection.request("POST", "/v1/query", body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        text = response.read()
        self.used = time.monotonic()
        elapsed = (time.perf_counter() - started) * 1000
        if response.status == 200:
            return elapsed, json.loads(text)
        if 400 <= response.status < 500 and b"not supported by this version" in text:
            raise Unsupported(text.decode("utf-8", "replace"))
        raise SystemExit(f"query failed, HTTP {response.status}: {text[:600].decode('utf-8', 'replace')}")
