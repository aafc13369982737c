"""Exports of raw events: killed and taken up while shards merge and events arrive, compared with what was loaded, and loaded elsewhere.

    python3 Tests/Export/run.py --events 200000 --kills 10 --seed 1      SLUICE_PROGRAMS names the directory of the programs

Prints the events a second and the memory of each process. Parquet is written and read if Python has duckdb. Exit status 0 if all is well.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Processes"))
from members import Members, ask, clean_environment, program, start  # noqa: E402

# How much more a process may hold than before the export: pages of several steps of work, and no more with more events.
GROWTH = 600 << 20
LATE = "late-"
VARIABLES = clean_environment() | {"SLUICE_CLUSTER_SECRET": "one-secret-for-all-the-services"}
STEPS = {"funnel": {"steps": ["Visit", "Add to Cart", "Purchase"], "window_duration": "7d"}, "as_of": "2030-01-01T00:00:00Z"}


class Memory(threading.Thread):
    """The most resident memory of processes since `begin`."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.most, self.base, self.stopped = cluster, {}, {}, threading.Event()

    def read(self):
        found = {}
        for name, pid in self.cluster.pids().items():
            try:
                with open(f"/proc/{pid}/status") as file:
                    found[name] = next((int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon")), 0)
            except OSError:
                pass
        return found

    def run(self):
        self.base = self.read()
        while not self.stopped.wait(0.2):
            for name, bytes_ in self.read().items():
                self.most[name] = max(self.most.get(name, 0), bytes_)


def sluice(*arguments, **more):
    return subprocess.run([program("sluice"), *arguments], env=clean_environment(), check=False, **more)


def key(line):
    """A hash of an event, whatever the order of its members; None for events that came during the export."""
    event = json.loads(line)
    if event["user_id"].startswith(LATE):
        return None
    text = event["timestamp"].replace("Z", "").ljust(19)
    seconds, _, fraction = text.partition(".")
    whole = [event["user_id"], event.get("event"), seconds, fraction.ljust(6, "0")[:6], event.get("event_id"), event.get("properties")]
    return hashlib.blake2b(json.dumps(whole, sort_keys=True).encode(), digest_size=12).digest()


def keys(path):
    with open(path, "rb") as file:
        return [found for found in map(key, file) if found is not None]


def load(cluster, path, *options):
    done = sluice("load", path, "--to", cluster.ingest_wire, *options, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"load: {done.stderr}")


def trickle(cluster, stopped, sent):
    """Sends late events, so that shards seal and merge."""
    while not stopped.wait(0.05):
        number = sent[0]
        one = {"event": "Visit", "timestamp": "2026-01-05T10:00:00Z"}
        events = [{"user_id": f"{LATE}{number}-{i}", "event_id": f"{i}", **one} for i in range(500)]
        status, _, _ = ask(cluster.ingest, "/v1/events", events)
        sent[0] += status == 200


def answer(cluster):
    status, body, _ = ask(cluster.coordinator, "/v1/query", STEPS, timeout=120)
    if status != 200:
        raise SystemExit(f"query: {status} {body}")
    return [(step["step"], step["count"]) for step in json.loads(body)["steps"]]


def export(cluster, path, *options):
    return [program("sluice"), "export", "--to", cluster.coordinator, "--output", path, *options]


def killed_and_taken_up(cluster, path, kills, source):
    """Kills the export `kills` times, then lets it end."""
    done = 0
    while True:
        process = start(export(cluster, path), env=clean_environment(), stderr=subprocess.PIPE, text=True)
        try:
            _, words = process.communicate(timeout=source.uniform(0.05, 0.6) if done < kills else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
            continue
        if process.returncode:
            raise SystemExit(f"export: {words}")
        return done


def parquet(folder, cluster, expected):
    """Events through Parquet and back, by DuckDB; None if Python has none."""
    try:
        import duckdb
    except ImportError:
        return None
    csv, columns, back = (os.path.join(folder, name) for name in ("events.csv", "events.parquet", "back.csv"))
    subprocess.run(export(cluster, csv, "--format", "csv"), env=clean_environment(), check=True, stderr=subprocess.DEVNULL)
    connection = duckdb.connect()
    connection.execute(f"COPY (FROM read_csv('{csv}', header = true, all_varchar = true)) TO '{columns}'")
    connection.execute(f"COPY (FROM '{columns}') TO '{back}' (FORMAT csv, HEADER)")
    other = Members(os.path.join(folder, "parquet"), VARIABLES, shards=1)
    other.start_all()
    try:
        load(other, back, "--preset", "sluice-export", "--row-ids", "none")
        again = os.path.join(folder, "again.ndjson")
        subprocess.run(export(other, again), env=clean_environment(), check=True, stderr=subprocess.DEVNULL)
        return sorted(keys(again)) == expected
    finally:
        other.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    source = random.Random(options.seed)
    faults = []

    def check(is_well, text):
        print(("ok    " if is_well else "FAULT ") + text, flush=True)
        if not is_well:
            faults.append(text)

    with tempfile.TemporaryDirectory(prefix="sluice-export-") as folder:
        made, out, copy = (os.path.join(folder, name) for name in ("made.ndjson", "out.ndjson", "copy.ndjson"))
        users = max(10, options.events // 4)
        sluice("generate", "--users", str(users), "--events", str(options.events), "--seed", str(options.seed), "--out", made)
        cluster = Members(os.path.join(folder, "data"), VARIABLES, shards=2, seal_rows=20_000)
        cluster.start_all()
        try:
            load(cluster, made)
            expected = sorted(set(keys(made)))
            before = answer(cluster)
            memory, stopped, sent = Memory(cluster), threading.Event(), [0]
            memory.start()
            begun = time.monotonic()
            sluice("export", "--to", cluster.coordinator, "--output", copy, stderr=subprocess.DEVNULL)
            seconds = time.monotonic() - begun
            print(f"      {len(expected) / seconds:,.0f} events a second", flush=True)
            writer = threading.Thread(target=trickle, args=(cluster, stopped, sent), daemon=True)
            writer.start()
            kills = killed_and_taken_up(cluster, out, options.kills, source)
            stopped.set()
            writer.join()
            memory.stopped.set()
            memory.join()
            found = keys(out)
            check(sorted(found) == expected, f"{len(expected):,} events, export killed {kills} times while {sent[0] * 500:,} events came")
            check(sorted(keys(copy)) == expected, "the same in one piece")
            with open(out, "rb") as file:
                late = [line for line in file if b'"user_id":"' + LATE.encode() in line]
            check(len(set(late)) == len(late), f"{len(late):,} of the events that came are there, each once")
            for name, most in sorted(memory.most.items()):
                base = memory.base.get(name, 0)
                check(most - base < GROWTH, f"{name}: {base >> 20} MiB before, {most >> 20} MiB at most")
            path = "/v1/export/events?" + urllib.parse.urlencode({"event": "Purchase", "limit": 10})
            status, body, fields = ask(cluster.coordinator, path)
            check(status == 200 and body.count(b"\n") <= 10 and "Sluice-As-Of" in fields, "a page of one event name")
            through = parquet(folder, cluster, expected)
            check(through is not False, "through Parquet and back" + (": not tried, Python has no duckdb" if through is None else ""))
        finally:
            cluster.stop()
        other = Members(os.path.join(folder, "other"), VARIABLES, shards=3)
        other.start_all()
        try:
            load(other, copy, "--preset", "sluice-export", "--row-ids", "none")
            check(answer(other) == before, f"loaded elsewhere: {before}")
        finally:
            other.stop()
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
