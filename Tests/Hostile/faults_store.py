"""Shards whose files are damaged, or made to be many."""

import glob
import json
import os
import signal
import time

import servers
import wire
from case import Case, attempt
from rows import DAY, Client, Encoded, event, now_us
from servers import WRITE, Members

MONTH = int(30.44 * DAY)


def months_back(count):
    """The middle of each of so many months before this one, in microseconds."""
    year, month = time.gmtime()[:2]
    for _ in range(count):
        month -= 1
        year, month = (year - 1, 12) if month == 0 else (year, month)
        yield wire.parse_timestamp(f"{year:04}-{month:02}-15T12:00:00Z")


@attempt("B5", "a damaged segment: merges of the other months go on")
def damaged_segment(case: Case):
    """B5: one damaged segment stops all merges of all projects, and nothing is logged."""
    cluster = case.cluster = case.keep(Members(case.path("members"), shards=1, seal_rows=1000))
    cluster.start_all()
    rest = case.pick(13, 8)
    times = list(months_back(11))

    def round_of(number):
        with Client(cluster.ingest_wire, WRITE[1], timeout=30) as one:
            one.append([event(f"r{number}-{n}", "M", times[n % 11] + number * 1000 + n) for n in range(1_100)])
        time.sleep(rest)
        return servers.metrics(cluster.http("shard-0"))

    seen = [round_of(0)["sluice_store_segments"]]
    cluster.end("shard-0")
    segments = sorted(glob.glob(os.path.join(cluster.data, "shard-0", "**", "seg-*"), recursive=True))
    with open(segments[0], "r+b") as file:
        file.seek(60)
        byte = file.read(1)[0]
        file.seek(60)
        file.write(bytes([byte ^ 0xFF]))
    cluster.start("shard-0")
    cluster.wait_ready(names=["shard-0"])
    time.sleep(2)
    for number in range(1, case.pick(5, 4)):
        now = round_of(number)
        seen.append(now["sluice_store_segments"])
    log = [line for line in cluster.log("shard-0").splitlines() if os.path.basename(segments[0]) in line]
    status, answer, _ = case.query(1, {"funnel": {"steps": ["M"]}})
    case.say(f"segments after each round: {[int(n) for n in seen]}; merges {now['sluice_store_merges_total']:.0f}, "
             f"failed {now['sluice_store_failed_merges_total']:.0f}, damaged files {now['sluice_store_damaged_files']:.0f}; "
             f"{len(log)} lines in the log; a query is told {status}")
    case.check("merges of the other months go on", now["sluice_store_merges_total"] >= 10 and seen[-1] <= 11 + 2 * len(seen), seen)
    case.check("the damage is logged, with the file", log)
    case.check("and counted", now["sluice_store_damaged_files"] >= 1)
    case.check("a query says so", status == 503 and "seg-" in json.dumps(answer), f"{status} {answer}"[:200])


@attempt("B14", "files cut short under a running shard")
def cut_files(case: Case):
    """B14: a segment cut to 4 KB under a running shard ends the shard by signal 7 at the next query."""
    cluster = case.cluster = case.keep(Members(case.path("members"), shards=1, seal_rows=20_000))
    cluster.start_all()
    with Client(cluster.ingest_wire, WRITE[1], timeout=30) as one:
        for number in range(6):
            one.append([event(f"c{number}-{n}", "Cut", now_us() - DAY + n, v=f"text-{n}") for n in range(15_000)])
        for number in range(2):
            one.append([event(f"d{number}-{n}", "Other", now_us() - 70 * DAY + n) for n in range(15_000)])
    deadline = time.monotonic() + 20
    while servers.metrics(cluster.http("shard-0"))["sluice_store_memtable_rows"] > 20_000 and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    before = case.count(1, "Cut")[0]
    told = {}
    for what, pattern in (("segments", "seg-*"), ("user files", "usr-*")):
        for path in glob.glob(os.path.join(cluster.data, "shard-0", "**", pattern), recursive=True):
            os.truncate(path, min(4096, os.path.getsize(path) // 2))
        for path, body in (("/v1/query", {"funnel": {"steps": ["Cut"]}}),
                           ("/v1/query", {"funnel": {"steps": ["Other", "Cut"], "conversion_order": "any"}}),
                           ("/v1/query", {"funnel": {"steps": ["Cut"]}, "breakdown": {"property": "v"}}),
                           ("/v1/query/users", {"funnel": {"steps": ["Cut"]}, "step": 1})):
            status, answer, _ = case.query(1, body, path)
            told.setdefault(what, []).append(status)
        if "shard-0" not in cluster.pids():
            case.check(f"the shard lives on with its {what} cut short", False, f"ended with {cluster.processes['shard-0'].poll()}")
            return
        case.check(f"the shard lives on with its {what} cut short", True)
        with Client(cluster.ingest_wire, WRITE[1], timeout=30) as one:
            for who in ("later", "c0-1"):
                taken = one.append([event(who, "Later", now_us())])
                case.check(f"events of {'a new' if who == 'later' else 'a known'} user are still taken, {what} cut short",
                           taken["accepted"] == 1, taken)
    now = servers.metrics(cluster.http("shard-0"))
    case.say(f"{before:,} events before; queries were told {told}; damaged files {now['sluice_store_damaged_files']:.0f}")
    case.check("queries that need the files fail", all(status == 503 for status in told["segments"]), told)
    case.check("the damage is counted", now["sluice_store_damaged_files"] >= 1, now["sluice_store_damaged_files"])


@attempt("B6", "events spread over 671 months: seals keep up")
def many_months(case: Case):
    """B6: a seal costs months x rows: 40 s of events over 1971 to 2026 keep a shard sealing for more than ten minutes."""
    cluster = case.up(users=9_000, shards=1, seal_rows=20_000)
    months = case.pick(671, 120)
    start = wire.parse_timestamp("1971-01-15T00:00:00Z")
    batch = Encoded([event(f"s{n % 97}", "Spread", start + (n * 7919 % months) * MONTH + n) for n in range(2_000)])
    most = most_bytes = 0
    counts = [0, 0]

    def load(number):
        with Client(cluster.ingest_wire, WRITE[1], timeout=60, compress=False) as one:
            while not case.stopping.is_set():
                batch.send(one)
                counts[number] += batch.rows

    with case.attack():
        threads = case.threads(2, load)
        deadline = time.monotonic() + case.pick(40, 10)
        while time.monotonic() < deadline:
            time.sleep(0.5)
            now = case.metrics("shard-0")
            most = max(most, now["sluice_store_memtable_rows"])
            most_bytes = max(most_bytes, now["sluice_store_memtable_bytes"])
        seals = case.metrics("shard-0")["sluice_store_seals_total"]
        case.stopping.set()
        case.join(threads, 60)
    sent, started = sum(counts), time.monotonic()
    while case.metrics("shard-0")["sluice_store_memtable_rows"] > 20_000 and time.monotonic() - started < 120:
        time.sleep(0.5)
    now = case.metrics("shard-0")
    case.say(f"{sent:,} rows, {seals:.0f} seals meanwhile, {most:,.0f} rows in memory at most; all sealed {time.monotonic() - started:.0f} s "
             f"after the last; {now['sluice_store_segments']:.0f} segments")
    # Above that, SEGMENT.md says, the project's appends are refused; two senders are faster than seals with what they leave of two cores.
    case.check("seals go on, and memory stays below 768 MiB", seals >= 3 and most_bytes < 768 << 20,
               f"{seals:.0f} seals, {most:,.0f} rows and {most_bytes / 2**20:.0f} MiB in memory")
    case.check("memory is sealed within 60 s", time.monotonic() - started < 60)
    case.stopping.clear()
    threads = case.threads(2, load)
    time.sleep(case.pick(10, 3))
    # The end is asked for in the middle of it.
    case.judge_rest()
    pid = cluster.pids()["shard-0"]
    started = time.monotonic()
    servers.send_signal(pid, signal.SIGTERM)
    while os.path.exists(f"/proc/{pid}") and servers.status_field(pid, "VmSize") and time.monotonic() - started < 60:
        time.sleep(0.05)
    taken = time.monotonic() - started
    case.stopping.set()
    case.join(threads, 60)
    case.may_restart = True
    case.say(f"SIGTERM in the middle of it: ended after {taken:.1f} s")
    case.check("SIGTERM ends it within 10 s", taken <= 10, f"{taken:.1f} s")


@attempt("B7", "projects x months: 66,600 segments on a shard")
def many_segments(case: Case):
    """B7: 1,800 projects with an event in each of 36 months: each segment is a mapping, no seal succeeds any more, for ever."""
    projects = case.pick(1_800, 300)
    keys = {**WRITE, **{n: f"write-key-{n}-of-many-projects" for n in range(3, 3 + projects)}}
    cluster = case.up(users=9_000, shards=1, seal_rows=projects * 36 - 2_000, write=keys)
    times = list(months_back(36))
    with case.attack():
        def load(number):
            for project in range(3 + number, 3 + projects, 2):
                with Client(cluster.ingest_wire, keys[project], timeout=60) as one:
                    one.append_until_done([event(f"u{n}", "Yearly", at) for n, at in enumerate(times)])

        started = time.monotonic()
        case.join(case.threads(2, load), 300)
        case.say(f"{projects:,} projects loaded in {time.monotonic() - started:.0f} s")
        while time.monotonic() - started < case.pick(900, 120):
            now = case.metrics("shard-0")
            if now["sluice_store_segments"] >= projects * 36 * 0.9 or now["sluice_store_failed_seals_total"]:
                break
            time.sleep(1)
        sealed = time.monotonic() - started
        most = now["sluice_store_mappings"]
        for _ in range(case.pick(20, 5)):
            time.sleep(0.5)
            most = max(most, case.metrics("shard-0")["sluice_store_mappings"])
    now = case.metrics("shard-0")
    case.say(f"{now['sluice_store_segments']:,.0f} segments after {sealed:.0f} s, failed seals {now['sluice_store_failed_seals_total']:.0f}, "
             f"mappings {most:,.0f} at most, last seal {now['sluice_store_last_seal_seconds']:.0f} s")
    case.check("the seal succeeds", now["sluice_store_segments"] >= projects * 30 and not now["sluice_store_failed_seals_total"])
    case.check("mappings are bounded", most <= 4_200, most)
    status, answer, taken = case.query(2, {"funnel": {"steps": ["A", "B"]}})
    case.check("queries work", status == 200 and taken < 2, f"{status} {taken:.2f} s")
