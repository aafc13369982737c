"""What 100 alert rules cost while events come in.

The month of the other phases, moved so that it ends now, is loaded; then events with the time of now come in at a fixed rate. CPU of
all services is measured without rules, with them, and without again, each for the same time: the difference is the cost of the rules.
"""

import json
import multiprocessing
import secrets
import time

import numpy as np

import bodies
import cluster
import generate
import loading
import small
import wire

RATE = 10_000
BATCH = 1_000
FUNNELS = 10
LAG = "sluice_alert_lag_seconds"
DURATION = "sluice_alert_evaluation_seconds"
EVALUATIONS = "sluice_alert_evaluations_total"
FAILURES = "sluice_alert_query_failures_total"


def definition(number):
    """A funnel of four or more steps that begins on one kind of device, or on any."""
    steps = generate.FUNNEL[: 4 + number % 3]
    if number:
        device = generate.DEVICES[number % len(generate.DEVICES)]
        steps[0] = {"name": steps[0], "where": [{"property": "device", "op": "=", "value": device}]}
    return {"steps": steps, "window_duration": f"{1 + number}h"}


def rules(number):
    """Ten rules of a funnel, in five questions: every five minutes, but for two that compare with four weeks."""
    conversion = lambda step: {"kind": "conversion", "step": step}
    rule = lambda metric, condition, **more: {
        "funnel_id": f"bench-{number}", "metric": metric, "condition": condition, "period": "5m", "delay": "10s", **more}
    by_country = {"breakdown": {"property": "country", "k": 50}}
    return [
        rule(conversion(2), {"threshold": {"below": 0.01}}),
        rule(conversion(3), {"threshold": {"below": 0.001}}),
        rule(conversion(4), {"threshold": {"above": 0.9}}),
        rule({"kind": "count", "step": 1}, {"threshold": {"below": 1}}),
        rule(conversion(2), {"change": {"relative": 0.5}}),
        rule(conversion(3), {"change": {"relative": 0.9}}),
        rule(conversion(2), {"threshold": {"below": 0.0001}}, **by_country),
        rule({"kind": "drop_off", "step": 3}, {"threshold": {"above": 0.9999}}, **by_country),
        rule(conversion(2), {"significant_change": {}}, period="1h", within="5m"),
        rule(conversion(4), {"significant_change": {}}, period="1h", within="5m"),
    ]


def put(address, path, body):
    status, answer = cluster.fetch(address, path, "PUT", json.dumps(body))
    if status not in (200, 201):
        raise SystemExit(f"PUT {path} {body}: {status} {answer[:300]}")


def send(address, seed, end, told):
    """A process of its own: events of now at the rate, until `end` is set."""
    part = next(generate.slices(1_000_000, seed))
    producer, sequence, started = secrets.randbits(63), 0, time.monotonic()
    connection = wire.AppendConnection(address)
    while not end.is_set():
        time.sleep(max(0, started + sequence * BATCH / RATE - time.monotonic()))
        low = sequence * BATCH % (len(part["ts"]) - BATCH)
        now = int(time.time() * 1000)
        rows = {name: column[low : low + BATCH] for name, column in part.items()}
        rows["ts"] = np.linspace(now - 1000 * BATCH // RATE, now, BATCH).astype(np.int64)
        sequence += 1
        frame = bodies.append_frame(bodies.batch(rows, 0, BATCH), producer, sequence)
        while True:
            _, code, message = wire.read_answer(connection.append(frame))
            if code not in wire.WAIT_CODES:
                break
            time.sleep(0.02)
        if code:
            told.put({"failure": message})
            return
    connection.close()
    told.put({"failure": "", "rate": sequence * BATCH / (time.monotonic() - started)})


def figures(running):
    found = {}
    for line in cluster.fetch(running.coordinator, "/metrics")[1].decode().splitlines():
        name, _, value = line.partition(" ")
        if name.startswith("sluice_alert"):
            found[name] = float(value)
    return found


def cores(running, seconds):
    """Cores used by each kind of service, and the worst figures of the rules meanwhile."""
    pids = running.info["pids"]
    kinds = {"ingest": [], "shards": [], "coordinator": []}
    for name, pid in pids.items():
        kinds["shards" if name.startswith("shard") else name].append(pid)
    before = {kind: small.cpu(of) for kind, of in kinds.items()}
    started, worst, first = time.monotonic(), {LAG: 0.0, DURATION: 0.0}, figures(running)
    while time.monotonic() < started + seconds:
        time.sleep(1)
        now = figures(running)
        worst = {name: max(value, now[name]) for name, value in worst.items()}
    passed = time.monotonic() - started
    used = {kind: (small.cpu(of) - before[kind]) / passed for kind, of in kinds.items()}
    return {"cores": used, "worst": worst, "counts": {name: now[name] - first[name] for name in (EVALUATIONS, FAILURES)}}


def measure(bench, seconds):
    """Cores without, with and again without the rules."""
    start, generate.START_MS = generate.START_MS, int(time.time() * 1000) // 3_600_000 * 3_600_000 - generate.DAYS * generate.DAY_MS
    try:
        return _measure(bench, seconds)
    finally:
        generate.START_MS = start


def cost(found):
    """Cores that the rules take, of all services."""
    cores = {name: sum(found[name]["cores"].values()) for name in ("before", "with", "after")}
    return cores["with"] - (cores["before"] + cores["after"]) / 2


def _measure(bench, seconds):
    context = multiprocessing.get_context("spawn")
    end, told = context.Event(), context.Queue()
    with bench.fresh_cluster("alerts") as running:
        loading.fill(running, bench.events, bench.seed, bench.say)
        running.settle(bench.idle)
        sender = context.Process(target=send, args=(running.ingest_wire, bench.seed, end, told), daemon=True)
        sender.start()
        try:
            time.sleep(20)
            found = {"seconds": seconds, "events": bench.events, "rows before": running.state()["rows"]}
            bench.say(f"alerts: {seconds} s without rules")
            found["before"] = cores(running, seconds)
            for number in range(FUNNELS):
                put(running.coordinator, f"/v1/funnels/bench-{number}", definition(number))
                for place, rule in enumerate(rules(number)):
                    put(running.coordinator, f"/v1/alerts/bench-{number}-{place}", rule)
            bench.say(f"alerts: {seconds} s with {int(figures(running).get('sluice_alert_rules', 0)) or FUNNELS * 10} rules")
            found["with"] = cores(running, seconds)
            for number in range(FUNNELS):
                for place in range(10):
                    cluster.fetch(running.coordinator, f"/v1/alerts/bench-{number}-{place}", "DELETE")
            bench.say(f"alerts: {seconds} s without rules")
            found["after"] = cores(running, seconds)
            end.set()
            found["sender"] = told.get(timeout=60)
        finally:
            end.set()
            sender.join(10)
            if sender.is_alive():
                sender.kill()
    if found["sender"]["failure"]:
        raise SystemExit(f"the sender failed: {found['sender']['failure']}")
    return found
