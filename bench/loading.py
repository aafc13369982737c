"""Loading: the data of the other phases, durable loads against chDB, and queries while events come in.

A durable load is timed from its first byte to its last acknowledgement; bodies are built before the clock starts.
Sluice is loaded over sockets by a client on the same machine (wire.py says what that costs). chDB runs in this process
and reads its bodies from files in the page cache, or, where that is faster, from the text of the statement: no client,
no sockets. Both sync every batch to disk before they acknowledge it.
"""

import json
import multiprocessing
import os
import secrets
import statistics
import threading
import time

import bodies
import cases
import cluster
import generate
import peers
import wire

BATCH = 100_000
FSYNC = "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"


def frames(events, seed, ids=False, properties=True, progress=None):
    """Append frames of all events in order of arrival, one after the other."""
    producer, sequence, done = secrets.randbits(63), 0, 0
    for number, part in enumerate(generate.slices(events, seed)):
        size = len(part["ts"])
        texts = generate.uuid_texts(size, seed, number) if ids else None
        for low in range(0, size, BATCH):
            sequence += 1
            rows = bodies.batch(part, low, min(size, low + BATCH), texts, properties)
            yield bodies.append_frame(rows, producer, sequence)
            done += min(BATCH, size - low)
            if progress and sequence % 10 == 0:
                progress(f"sent {done:,} of {events:,} events")


def fill(running, events, seed, say, **how):
    """Loads all events; frames are built on the way, so the rate is a lower bound."""
    before = running.state()["rows"]
    loaded = wire.load_wire(running.ingest_wire, frames(events, seed, progress=say, **how), 2, cap=3600)
    stored = running.state()["rows"] - before
    if loaded.rows != events or stored != events:
        raise SystemExit(f"{events} events sent, {loaded.rows} acknowledged, {stored} stored")
    return loaded


class DurableLoad:
    """Three forms of batch, Sluice and chDB in turns."""

    def __init__(self, running, chdb, directory, events, seed, say):
        self.running, self.chdb, self.directory, self.say = running, chdb, directory, say
        part = next(generate.slices(events, seed))
        rows = min(len(part["ts"]), 1_000_000)
        few = min(rows, 40_000)
        self.batches = [bodies.batch(part, low, min(rows, low + BATCH)) for low in range(0, rows, BATCH)]
        self.large = [bodies.ndjson(part, low, min(rows, low + BATCH)) for low in range(0, rows, BATCH)]
        self.small = [bodies.ndjson(part, low, low + 1000) for low in range(0, min(rows, 200_000), 1000)]
        self.rows, self.few = rows, few
        self.files = {}

    def prepare(self, parts):
        """Writes chDB's bodies, with chDB."""
        structure = ", ".join(f"{name} {kind}" for name, kind in plain().items())
        for form in ("Native", "JSONEachRow"):
            self.files[form] = []
            for low in range(0, self.rows, BATCH):
                path = os.path.join(self.directory, f"{form}-{low}.bin")
                source = f"SELECT {', '.join(plain())} FROM file('{parts}/part-000.parquet') LIMIT {BATCH} OFFSET {low}"
                self.chdb.run(
                    f"INSERT INTO FUNCTION file('{path}', '{form}', '{structure}') {source} SETTINGS max_threads = 1"
                )
                self.files[form].append(path)
        with open(self.files["JSONEachRow"][0]) as file:
            lines = [line for _, line in zip(range(self.few), file)]
        self.texts = ["".join(lines[low : low + 1000]) for low in range(0, len(lines), 1000)]

    def sluice(self, form):
        """Events a second of one load."""
        before = self.running.state()["rows"]
        if form == "binary 100k":
            producer = secrets.randbits(63)
            made = [bodies.append_frame(rows, producer, n) for n, rows in enumerate(self.batches, 1)]
            loaded = wire.load_wire(self.running.ingest_wire, made, 3)
        elif form == "JSON 100k":
            loaded = wire.load_ndjson(self.running.ingest_http, self.large, 3)
        else:
            loaded = wire.load_ndjson(self.running.ingest_http, self.small, 16)
        stored = self.running.state()["rows"] - before
        if stored != loaded.rows:
            raise SystemExit(f"{form}: {loaded.rows} events acknowledged, {stored} stored")
        return loaded

    def peer(self, form):
        """Events a second of the same into a fresh table of chDB."""
        self.chdb.create("inserted", peers.ORDERS["by_event"], settings=FSYNC)
        if form == "JSON 1k":
            statements = [f"INSERT INTO bench.inserted FORMAT JSONEachRow {text}" for text in self.texts]
            rows = self.few
        else:
            kind = "Native" if form == "binary 100k" else "JSONEachRow"
            structure = ", ".join(f"{name} {type_}" for name, type_ in plain().items())
            limits = "SETTINGS max_threads = 2, max_insert_threads = 1, input_format_parallel_parsing = 1"
            statements = [
                f"INSERT INTO bench.inserted SELECT * FROM file('{path}', '{kind}', '{structure}') {limits}"
                for path in self.files[kind]
            ]
            rows = self.rows
        syncs = "SELECT sum(value) FROM system.events WHERE event = 'FileSync'"
        before, started = int(self.chdb.rows(syncs)[0][0]), time.perf_counter()
        for statement in statements:
            self.chdb.run(statement)
        seconds = time.perf_counter() - started
        if int(self.chdb.rows(syncs)[0][0]) - before < len(statements):
            raise SystemExit(f"chDB, {form}: fewer syncs than inserts; the comparison would not be of durable loads")
        stored = int(self.chdb.rows("SELECT count() FROM bench.inserted")[0][0])
        if stored != rows:
            raise SystemExit(f"chDB, {form}: {rows} rows sent, {stored} stored")
        return rows / seconds

    def run(self, rounds):
        """{form: {"sluice": [rates], "chdb": [rates], "client": part of a core}}"""
        forms = ("binary 100k", "JSON 1k", "JSON 100k")
        found = {form: {"sluice": [], "chdb": [], "client": []} for form in forms}
        for number in range(rounds):
            self.say(f"durable load: round {number + 1} of {rounds}")
            for form in forms:
                loaded = self.sluice(form)
                found[form]["sluice"].append(loaded.rate)
                found[form]["client"].append(loaded.client_cpu / loaded.seconds)
                found[form]["chdb"].append(self.peer(form))
        self.chdb.run("DROP TABLE bench.inserted SYNC")
        return found


def plain():
    """Types of the bodies: dictionaries are the table's business."""
    return {name: "String" if "String" in kind else kind for name, kind in peers.COLUMNS.items()}


def pace(address, events, seed, rate, ready, go, end, told):
    """A process of its own that loads at a fixed rate, whether or not answers come (open loop)."""
    part = next(generate.slices(events, seed))
    size = min(10_000, len(part["ts"]), max(500, int(rate / 20)))
    made = [bodies.batch(part, low, low + size) for low in range(0, min(len(part["ts"]) - size + 1, 50 * size), size)]
    producer, lock = secrets.randbits(63), threading.Lock()
    state = {"next": 0, "rows": 0, "late": 0.0, "failure": ""}
    ready.set()
    go.wait()
    started = time.monotonic()

    def work():
        connection = wire.AppendConnection(address)
        try:
            while not end.is_set():
                with lock:
                    number = state["next"]
                    state["next"] += 1
                due = started + number * size / rate
                time.sleep(max(0, due - time.monotonic()))
                frame = bodies.append_frame(made[number % len(made)], producer, number + 1)
                while True:
                    rows, code, message = wire.read_answer(connection.append(frame))
                    if code not in wire.WAIT_CODES:
                        break
                    time.sleep(0.02)
                if code:
                    raise wire.WireError(message)
                with lock:
                    state["rows"] += rows
                    state["late"] = max(state["late"], time.monotonic() - due)
        except Exception as error:
            state["failure"] = f"{type(error).__name__}: {error}"
            end.set()
        finally:
            connection.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    told.put(
        {
            "rows": state["rows"],
            "seconds": time.monotonic() - started,
            "late": state["late"],
            "failure": state["failure"],
        }
    )


def ask_steadily(address, seconds, rate, body):
    """Latencies in ms of queries that are due at a fixed rate, counted from when they were due."""
    found, started = [], time.perf_counter()
    with cluster.Asker(address) as asker:
        for number in range(int(seconds * rate)):
            due = started + number / rate
            time.sleep(max(0, due - time.perf_counter()))
            asker.ask(body)
            found.append((time.perf_counter() - due) * 1000)
            if time.perf_counter() - started > 3 * seconds:
                break
    return found


def percentiles(values):
    ordered = sorted(values)
    return {
        "p50": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "n": len(ordered),
    }


def latency(running, events, seed, full_rate, seconds, say):
    """Queries when nothing else happens, and while events come in at half of `full_rate`.

    Queries are due 10 a second, or so seldom that an idle cluster is busy with them a fifth of the time: more would
    measure a queue that grows as long as the phase lasts.
    """
    body = json.dumps(cases.sluice_request(cases.CASES[0])).encode()
    say(f"latency: {seconds} s idle")
    rate = min(10, 200 / percentiles(ask_steadily(running.coordinator, 3, 10, body))["p50"])
    idle = percentiles(ask_steadily(running.coordinator, seconds, rate, body))
    context = multiprocessing.get_context("spawn")
    ready, go, end, told = context.Event(), context.Event(), context.Event(), context.Queue()
    wanted = full_rate / 2
    arguments = (running.ingest_wire, events, seed, wanted, ready, go, end, told)
    loader = context.Process(target=pace, args=arguments, daemon=True)
    loader.start()
    try:
        if not ready.wait(120):
            raise SystemExit("the loader did not get ready")
        say(f"latency: {seconds} s while loading {wanted:,.0f} events/s")
        go.set()
        time.sleep(1)
        busy = percentiles(ask_steadily(running.coordinator, seconds, rate, body))
        end.set()
        load = told.get(timeout=90)
    finally:
        end.set()
        loader.join(10)
        if loader.is_alive():
            loader.kill()
    if load["failure"]:
        raise SystemExit(f"the load beside the queries failed: {load['failure']}")
    return {
        "idle": idle,
        "busy": busy,
        "wanted": wanted,
        "reached": load["rows"] / load["seconds"],
        "late": load["late"],
        "rate": rate,
        "ratio": busy["p99"] / idle["p50"],
    }
