"""Requests of one event each over HTTP/1.1 with keep-alive, as SDKs and servers send them.

h2load sends on one thread from so many connections; ingest, two shards and the coordinator run beside it on the same cores. A
request is answered once its event is synced. Programs named by --against are measured in turns. What was answered is compared
with what is stored.
"""

import os
import re
import shutil
import subprocess

from cluster import Cluster

BODY = b'[{"user_id":"user-1234567","event":"view","timestamp":"2026-11-20T10:00:00Z","properties":{"page":"/home","n":3}}]'
CONNECTIONS = (1, 64, 256)
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pids):
    """Seconds of CPU that processes have used."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def once(running, body, connections, seconds):
    """Requests a second, their mean latency in milliseconds, and CPU in microseconds a request of ingest and of all services."""
    pids = running.info["pids"]
    before = cpu([pids["ingest"]]), cpu(pids.values())
    stored = running.state()["rows"]
    command = ["h2load", "--h1", "-t", "1", "-c", str(connections), "-D", str(seconds), "-d", body]
    command += ["-H", "content-type: application/json", f"http://{running.ingest_http}/v1/events"]
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds * 3 + 60).stdout
    succeeded = int(re.search(r"(\d+) succeeded", out).group(1))
    failed = int(re.search(r"(\d+) failed", out).group(1))
    after = cpu([pids["ingest"]]), cpu(pids.values())
    stored = running.state()["rows"] - stored
    # Requests that were on their way when the time was over are stored and not counted.
    if failed or not succeeded <= stored <= succeeded + connections:
        raise SystemExit(f"{succeeded} requests answered, {failed} failed, {stored} events stored: {out}")
    times = re.search(r"time for request:\s+(\S+)\s+(\S+)\s+(\S+)", out)
    return {
        "rate": succeeded / seconds, "mean_ms": milliseconds(times.group(3)),
        "ingest_us": (after[0] - before[0]) / succeeded * 1e6, "services_us": (after[1] - before[1]) / succeeded * 1e6,
    }


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure(bench, seconds=8):
    """Results by program and connections; None where h2load is not installed."""
    if not shutil.which("h2load"):
        bench.say("small: h2load is not installed (package nghttp2-client)")
        return None
    body = os.path.join(bench.work, "one-event.json")
    with open(body, "wb") as file:
        file.write(BODY)
    programs = {"this": bench.programs} | ({"against": bench.options.against} if bench.options.against else {})
    found = {name: {count: [] for count in CONNECTIONS} for name in programs}
    for round_number in range(bench.rounds):
        for name, directory in programs.items():
            data = os.path.join(bench.work, f"small-{name}-{round_number}")
            with Cluster(directory, data) as running:
                for count in CONNECTIONS:
                    result = once(running, body, count, seconds)
                    found[name][count].append(result)
                    bench.say(f"small: {name}, {count} connections, round {round_number + 1}: {result['rate']:,.0f} requests/s")
            shutil.rmtree(data)
    return found
