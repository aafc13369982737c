"""Shards that hang, addresses and directories that are mixed up."""

import json
import shutil
import signal
import subprocess
import time

import servers
from attacks_queries import Live
from case import attempt
from rows import Client, SluiceError, event, now_us
from servers import READ, WRITE, Members, Up, ask, send_signal


def bodies(prefix, count=20):
    return json.dumps([{"user_id": f"{prefix}-{n}", "event": "Fault", "timestamp": "2026-01-01T00:00:00Z"} for n in range(count)])


@attempt("S9", "a shard that hangs")
def hanging_shard(case):
    """S9, B15: with one of two shards stopped, every batch that has a row for it waits 20 s before 503, again and again."""
    cluster = case.up()
    waits, stored = [], [0] * 4

    def write(number):
        n = 0
        while not case.stopping.is_set():
            n += 1
            started = time.monotonic()
            status, answer, _ = case.post_events(1, bodies(f"w{number}-{n}"))
            waits.append((time.monotonic() - started, status))
            stored[number] += json.loads(answer).get("accepted", 0) if status in (200, 503) else 0

    with case.attack(judged=False):
        pid = cluster.pids()["shard-1"]
        threads = case.threads(4, write)
        time.sleep(2)
        before, first = sum(stored), len(waits)
        send_signal(pid, signal.SIGSTOP)
        try:
            time.sleep(case.pick(30, 8))
            during, told = sum(stored) - before, waits[first:]
            down = servers.metrics(cluster.ingest)["sluice_ingest_shards_down"]
            ready, text, _ = ask(cluster.ingest, "/readyz")
            status, answer, taken = case.query(2, {"funnel": {"steps": ["A", "B"]}})
            part, some, part_taken = case.query(2, {"funnel": {"steps": ["A", "B"]}, "allow_partial": True})
        finally:
            send_signal(pid, signal.SIGCONT)
        started, again = time.monotonic(), None
        while again is None and time.monotonic() - started < 30:
            if case.post_events(1, bodies(f"again-{time.monotonic()}"))[0] == 200:
                again = time.monotonic() - started
            time.sleep(0.05)
        case.stopping.set()
        case.join(threads, 30)
    worst = max(seconds for seconds, _ in told)
    case.say(f"while it hung: {len(told)} requests, {worst:.1f} s at most, {during:,} rows of the other shard stored; "
             f"a query is told {status} in {taken:.1f} s, a partial one {part} in {part_taken:.1f} s; events taken again {again} s after")
    case.check("ingest answers within 3 s", worst <= 3, f"{worst:.2f} s")
    case.check("the other shard's rows are stored", during > 500, during)
    case.check("the gauge says so", down == 1, down)
    case.check("/readyz names the shard", ready == 200 and b"1" in text.split(b"ready", 1)[-1], f"{ready} {text!r}")
    case.check("queries are told within 3 s", status == 503 and taken <= 3 and part == 200 and part_taken <= 3,
               f"{status} {taken:.1f} s, {part} {part_taken:.1f} s")
    case.check("events are taken again within 3 s", again is not None and again <= 3, again)


@attempt("B9", "live answers after a shard that hung")
def live_after_hang(case):
    """B9: a live question sees nothing for 20 s after a shard hung for 7 s."""
    cluster = case.up()
    with case.attack(judged=False):
        viewer = Live(cluster.coordinator, READ[1], {"funnel": {"steps": ["Fault"]}})
        viewer.wait("report", 1, 10)
        pid = cluster.pids()["shard-1"]
        send_signal(pid, signal.SIGSTOP)
        try:
            # A question is looked at again where rows came; those of the other shard do.
            case.post_events(1, bodies("early"))
            time.sleep(7)
        finally:
            send_signal(pid, signal.SIGCONT)
        before, started = viewer.events("report"), time.monotonic()
        while case.post_events(1, bodies(f"late-{time.monotonic()}"))[0] != 200 and time.monotonic() - started < 20:
            time.sleep(0.1)
        taken = viewer.wait("report", before + 1, 40)
        total = time.monotonic() - started
        problems = viewer.events("problem")
        viewer.socket.close()
    case.say(f"{problems} problems told; the next report {total:.1f} s after the shard went on")
    case.check("the next report within 3 s", taken is not None and total <= 3, f"{total:.1f} s")


@attempt("B1", "shard addresses swapped, or one given twice")
def swapped_addresses(case):
    """B1: with the shards' addresses swapped every event is refused for good with status 200."""
    cluster = case.cluster = case.keep(Members(case.path("members")))
    cluster.start_all()
    case.memory = None
    answers = [case.post_events(1, bodies("before"))[0]]
    cluster.order = [1, 0]
    cluster.end("coordinator")
    cluster.start("coordinator")
    time.sleep(case.pick(5, 3))
    seen, deadline = {}, time.monotonic() + case.pick(10, 4)
    while time.monotonic() < deadline:
        status, answer, _ = case.post_events(1, bodies("swapped"), headers={"Idempotency-Key": "swapped"})
        seen[status] = seen.get(status, 0) + 1
        rejected = json.loads(answer).get("rejected") if status in (200, 503) else None
        if rejected:
            case.check("no event is rejected for good", False, rejected[:1])
            break
        time.sleep(0.2)
    try:
        with Client(cluster.ingest_wire, WRITE[1], timeout=10) as one:
            result = one.append([event(f"by-wire-{n}", "Fault", now_us()) for n in range(20)])
            wire_error = "rejected" if result["rejected"] else "retry" if result["retry"] else "stored"
    except SluiceError as error:
        wire_error = f"{error} retryable={error.retryable}"
    case.say(f"swapped: statuses {seen}; by wire: {wire_error}"[:300])
    case.check("events are told to come again (503)", set(seen) == {503}, seen)
    case.check("the same by wire", "retryable=True" in wire_error or wire_error == "retry", wire_error)
    cluster.order = [0, 1]
    cluster.end("coordinator")
    cluster.start("coordinator")
    started, status = time.monotonic(), 0
    while status != 200 and time.monotonic() - started < 20:
        status, _, _ = case.post_events(1, bodies("swapped"), headers={"Idempotency-Key": "swapped"})
        time.sleep(0.1)
    case.say(f"right again: events taken after {time.monotonic() - started:.1f} s")
    case.check("right again, nothing is lost", case.count(1, "Fault")[0] == 40 and answers == [200], case.count(1, "Fault"))
    cluster.end("coordinator")
    cluster.order = [0, 0]
    cluster.start("coordinator")
    time.sleep(2)
    ended = cluster.processes["coordinator"].poll()
    case.check("an address given twice is refused at the start", ended not in (None, 0), ended)


@attempt("B2", "a second `sluice up` on one directory")
def second_cluster(case):
    """B2: a second `sluice up` on the directory of a cluster with keys opens it to everybody, or stops its ingest."""
    cluster = case.up()
    info = cluster.first
    ports = ["--ingest-http", info["ingest"]["http"], "--ingest-wire", info["ingest"]["wire"],
             "--coordinator-http", info["coordinator"]["http"], "--coordinator-wire", info["coordinator"]["wire"],
             "--shard-wire", info["shards"][0]["wire"], "--shard-http", info["shards"][0]["http"]]
    same = [text.rsplit(":", 1)[-1] for text in ports]
    with case.attack():
        for what, arguments in (("the same ports, no keys", same), ("any ports, no keys", ["--any-port"])):
            command = [servers.program("sluice"), "up", "--shards", "2", "--data", cluster.data, "--patience", "25"]
            started = time.monotonic()
            second = servers.start(command + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env=servers.environment(keys=False))
            try:
                words, _ = second.communicate(timeout=40)
                ended = second.returncode
            except subprocess.TimeoutExpired:
                second.terminate()
                words, _ = second.communicate(timeout=20)
                ended = None
            case.say(f"{what}: ended with {ended} after {time.monotonic() - started:.0f} s: {words.strip()[-120:]}")
            case.check(f"{what}: refused", ended not in (None, 0), ended)
            status, _, _ = ask(cluster.ingest, "/v1/events", bodies("open"))
            case.check(f"{what}: the first still wants keys", status == 401, status)
            status, answer, _ = case.post_events(1, bodies("mine"))
            case.check(f"{what}: the first goes on", status == 200, f"{status} {answer[:100]!r}")
    case.check("nothing came in without a key", case.count(1, "Fault")[0] == 20, case.count(1, "Fault"))


@attempt("B3", "a copy started beside the original, with the same secret")
def copy_beside(case):
    """B3: a restored copy beside the original writes into the original: 160 events of 160."""
    cluster = case.up()
    case.post_events(1, bodies("original"))
    copied = case.path("copy")
    shutil.copytree(cluster.data, copied, ignore=shutil.ignore_patterns("logs"))
    with case.attack():
        second, problem = None, ""
        try:
            second = case.keep(Up(copied, patience=25))
        except RuntimeError as error:
            problem = str(error)
        statuses = {}
        if second:
            for number in range(40):
                status, _, _ = ask(second.ingest, "/v1/events", bodies(f"leak-{number}", 4).replace("Fault", "Leak"), WRITE[1])
                statuses[status] = statuses.get(status, 0) + 1
            time.sleep(2)
            status, _, _ = ask(second.ingest, "/v1/events", bodies("leak-late", 4).replace("Fault", "Leak"), WRITE[1])
            statuses[f"late {status}"] = 1
        leaked = case.count(1, "Leak")[0]
    case.say(f"the copy: {problem[-160:] or statuses}; events of the copy in the original: {leaked}")
    case.check("nothing of the copy is in the original", leaked == 0, leaked)
    case.check("the original's events are there", case.count(1, "Fault")[0] == 20)
    if second:
        second.stop()
