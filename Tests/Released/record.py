#!/usr/bin/env python3
"""Records a release: what its services keep, what they answer, and what goes over the wire.

    python3 record.py PROGRAMS TARGET      such as .build/release Tests/Released/0.1.0

PROGRAMS is a directory with the release's programs. TARGET must not exist. Takes two minutes, most of it waiting for shards to seal and merge.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Interop"))

import exchanges  # noqa: E402
import questions  # noqa: E402
import story  # noqa: E402
from processes import alive  # noqa: E402
from sluice_client import Client  # noqa: E402


class Cluster:
    """`sluice up` of the release, two shards."""

    def __init__(self, programs, directory):
        self.data, info = os.path.join(directory, "data"), os.path.join(directory, "info.json")
        command = [os.path.join(programs, "sluice"), "up", "--shards", "2", "--any-port", "--seal-rows", "1000"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
        self.process = subprocess.Popen(command + ["--data", self.data, "--info", info], stdin=subprocess.DEVNULL,
                                        env={**clean, **story.environment()})
        until = time.monotonic() + 120
        while not os.path.exists(info):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the cluster did not get ready")
            time.sleep(0.1)
        with open(info, encoding="utf-8") as file:
            self.info = json.load(file)

    def metrics(self):
        """Figures of the stores, by shard."""
        told = []
        for shard in self.info["shards"]:
            _, text = questions.call(shard["http"], "GET", "/metrics")
            lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("sluice_store_") and " " in line)
            told.append({name.removeprefix("sluice_store_"): float(value) for name, value in lines.items()})
        return told

    def settle(self):
        """Waits until nothing is left to seal or merge: shards do that after ten seconds without appends."""
        before, since, until = None, time.monotonic(), time.monotonic() + 120
        while time.monotonic() - since < 13:
            now = self.metrics()
            if now != before:
                before, since = now, time.monotonic()
            if time.monotonic() > until:
                raise SystemExit("the shards come to no rest")
            time.sleep(0.25)
        return before

    def kill(self):
        """As a machine that goes down: nothing is flushed, sealed or checkpointed."""
        for pid in (self.process.pid, *self.info["pids"].values()):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        while any(alive(pid) for pid in self.info["pids"].values()):
            time.sleep(0.05)


def send(cluster, events, project=1, headers=(), lines=False):
    """Over HTTP; all of it must be taken."""
    body = b"\n".join(json.dumps(event, ensure_ascii=False).encode() for event in events) if lines else {"events": events}
    headers = {**dict(headers), **({"Content-Type": "application/x-ndjson"} if lines else {})}
    status, told = questions.call(cluster.info["ingest"]["http"], "POST", "/v1/events", body, story.WRITE[project], headers)
    if (status, told) != (200, {"accepted": len(events), "rejected": []}):
        raise SystemExit(f"events: {status} {told}")


def load(cluster):
    """Everything up to the log's tail. Returns the batches that are to be repeated by whoever reads the recording."""
    for project, funnels in story.FUNNELS.items():
        for name, funnel in funnels.items():
            status, told = questions.call(cluster.info["coordinator"]["http"], "PUT", f"/v1/funnels/{name}", funnel, story.ADMIN[project])
            if status != 201:
                raise SystemExit(f"funnel {name}: {status} {told}")
    repeats, before = [], []
    for number, journeys, known in ((1, 300, 180), (2, 200, 220), (3, 160, 240)):
        events = story.chunk(number, journeys, known)
        third = len(events) // 3
        with Client(cluster.info["ingest"]["wire"], story.WRITE[1]) as client:
            client.producer = 0x5000 + number
            wired = story.wire(events[:third])
            for _ in range(2):
                assert client.append(wired, sequence=1)["accepted"] == third
        send(cluster, events[third:2 * third], lines=True)
        plain = [{**event, "event_id": None} for event in events[2 * third:]]
        for _ in range(2):
            send(cluster, plain, headers={"Idempotency-Key": f"chunk-{number}"})
        repeats.append({"idempotency_key": f"chunk-{number}", "events": plain[:20]})
        if number == 1:
            send(cluster, story.pings(9_000), lines=True)
            send(cluster, story.chunk("other project", 60, 120), project=2)
        else:
            send(cluster, story.corrected(before, 60))
        cluster.settle()
        before = events
    repeats.append({"idempotency_key": None, "events": [event for event in before[:2 * len(before) // 3] if event["event_id"]][:20]})
    # Late events of two months: segments too small to be merged into those that are there.
    late = [event for event in story.chunk("late", 80, 240) if event["timestamp"][6] in "13"]
    send(cluster, late + story.corrected(late, 10))
    cluster.settle()
    tail = story.chunk("tail", 5, 240) + [{"user_id": f"new in the log {n}", "event": "Seen ✓", "timestamp": "2024-04-30T23:59:59.999999Z",
                                          "properties": {"only here": n}} for n in range(3)]
    for _ in range(2):
        send(cluster, tail, headers={"Idempotency-Key": "tail"})
    repeats.append({"idempotency_key": "tail", "events": tail})
    send(cluster, story.chunk("other project's tail", 2, 120), project=2)
    return repeats


def write(path, entries):
    """One entry a line, so that a difference can be read."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n")


def main(programs, target):
    if os.path.exists(target):
        raise SystemExit(f"{target} exists; a recording never changes")
    with tempfile.TemporaryDirectory() as directory:
        cluster = Cluster(os.path.abspath(programs), directory)
        try:
            repeats = load(cluster)
            recorder = exchanges.Recorder(cluster.info)
            recorder.appends()
            rest = cluster.settle()
            if not all(shard["merges_total"] and shard["user_files"] > 1 and shard["memtable_rows"] for shard in rest):
                raise SystemExit(f"no merged segments, several user files and a log's tail on every shard: {rest}")
            answers = questions.ask(cluster.info["coordinator"]["http"])
            recorder.service_calls(recorder.client_calls())
            recorder.wire.close()
        finally:
            cluster.kill()
        for part in ("shard-0", "shard-1", "coordinator", "ingest"):
            # Both are made anew at every start.
            shutil.copytree(os.path.join(cluster.data, part), os.path.join(target, "data", part),
                            ignore=shutil.ignore_patterns("LOCK", "*-shm"))
    write(os.path.join(target, "answers.json"), answers)
    write(os.path.join(target, "wire.json"), recorder.entries)
    write(os.path.join(target, "repeats.json"), repeats)
    with open(os.path.join(target, "environment.json"), "w", encoding="utf-8") as file:
        json.dump(story.environment(), file, indent=2)
        file.write("\n")
    for number, shard in enumerate(rest):
        print(f"shard {number}:", ", ".join(f"{name} {value:g}" for name, value in sorted(shard.items()) if value))
    print(f"{len(answers)} answers, {len(recorder.entries)} exchanges, {len(repeats)} batches to repeat")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
