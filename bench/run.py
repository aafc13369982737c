#!/usr/bin/env python3
"""Side-by-side benchmarks of Sluice against chDB, DuckDB and Polars: one report.

    bench/run.sh --events 100000 --rounds 2                 a small run, everything
    bench/run.sh --events 10000000 --only queries,storage   some phases
    bench/run.sh --growth 1000000,10000000,100000000        growth besides

Phases: queries, storage, load, files, small, doors, alerts, latency, restart, memory, versions; --only takes some of them.
Sluice runs as real processes under `sluice up --shards 2`; the peers run in this process. If two engines count differently, the run ends and says which.
Progress goes to stderr, the report to stdout and to bench/REPORT.md.
"""

import argparse
import datetime
import glob
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time

os.environ["POLARS_MAX_THREADS"] = "2"  # before anybody imports it

import alerts
import cases
import cluster
import doors
import files
import generate
import loading
import peers
import phases
import queries
import report
import rules
import small
import two_versions

HERE = os.path.dirname(os.path.abspath(__file__))
PHASES = ("queries", "storage", "load", "files", "small", "doors", "alerts", "latency", "restart", "memory", "versions")


class Bench:
    """Options, directories and what was found."""

    def __init__(self, options):
        self.events, self.rounds, self.seed = options.events, options.rounds, options.seed
        self.idle = options.idle if options.idle is not None else 60 if options.events >= 2_000_000 else 5
        self.programs, self.options = options.programs, options
        self.work = os.path.join(os.path.abspath(options.work), str(os.getpid()))
        self.parts = os.path.join(self.work, "parts")
        self.started = time.monotonic()
        self.only = set(options.only.split(",")) if options.only else set(PHASES)
        self.results = {}
        os.makedirs(self.work)

    def say(self, text):
        print(f"[{time.monotonic() - self.started:7.1f} s] {text}", file=sys.stderr, flush=True)

    def wants(self, *names):
        return bool(self.only & set(names))

    def fresh_cluster(self, name, events=None):
        """A cluster over an empty directory that goes away with it."""
        return Temporary(
            self.programs, os.path.join(self.work, name), seal_rows=phases.seal_rows(events or self.events)
        )


class Temporary(cluster.Cluster):
    """A cluster whose data is deleted when it is left."""

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)


def version_of(programs):
    done = subprocess.run([os.path.join(programs, "sluice"), "--version"], capture_output=True, text=True, timeout=30)
    return done.stdout.strip() or "unknown"


def run_queries(bench, running, chdb, engines):
    """States: right after the load, steady, compacted."""
    found = {"states": {}}
    bench.results["queries"] = found
    sluice = queries.Sluice(running)
    try:
        found["states"]["right after the load"] = running.state()
        fresh = queries.alone(sluice, bench.rounds, bench.say)
        found["right after the load"] = [
            {"case": case.name, "sluice": queries.summary(fresh[case.name]) if case.name in fresh else None}
            for case in cases.CASES
        ]
        bench.say(f"idle for {bench.idle} s")
        found["states"]["steady"] = running.settle(bench.idle)
        times = queries.compare(sluice, engines, bench.rounds, bench.say, bench.options.query_minutes)
        found["steady"] = queries.table(times)
        bench.results["rules"] = rules.measure(running, chdb, bench.rounds, bench.say)
        bench.say("compacting")
        sluice.close()
        running.compact()
        sluice = queries.Sluice(running)
        found["states"]["compacted"] = running.state()
        times = queries.compare(sluice, [chdb], bench.rounds, bench.say, bench.options.query_minutes)
        found["compacted"] = queries.table(times)
    finally:
        sluice.close()


def run_all(bench):
    options, results = bench.options, bench.results
    if bench.wants("small"):
        results["small"] = small.measure(bench)
    if bench.wants("doors"):
        results["doors"] = doors.measure(bench)
    if bench.wants("alerts"):
        results["alerts"] = alerts.measure(bench, options.alerts_seconds)
    # These need no peers.
    if bench.only - {"none"} <= {"small", "doors", "alerts"} and not options.growth:
        return
    bench.say("generating")
    generate.write_parquet(bench.events, bench.parts, bench.seed, progress=bench.say)
    chdb = peers.Chdb(os.path.join(bench.work, "chdb"))
    duck = frame = None
    try:
        results["versions"]["ClickHouse in chDB"] = chdb.version()
        engines = [chdb]
        if bench.wants("queries"):
            for table, order in peers.ORDERS.items():
                bench.say(f"chDB: table in order of {order}")
                chdb.load(table, order, f"{bench.parts}")
            bench.say("DuckDB: table in order of event, user, ts")
            duck = peers.Duck(os.path.join(bench.work, "peer.duckdb"))
            duck.load(bench.parts)
            bench.say("Polars: frame in order of event, key")
            frame = peers.Polars()
            frame.load(bench.parts)
            engines += [duck, frame]
        main_storage, rate = None, None
        if bench.wants("queries", "latency", "restart", "memory", "storage"):
            with bench.fresh_cluster("main") as running:
                bench.say("Sluice: load over the binary protocol")
                loaded = loading.fill(running, bench.events, bench.seed, bench.say)
                rate = loaded.rate
                bench.say(f"Sluice: {rate:,.0f} events/s; {running.state()}")
                results["resident"] = {"right after the load": running.resident()}
                if bench.wants("queries"):
                    run_queries(bench, running, chdb, engines)
                    results["resident"]["after the queries"] = running.resident()
                elif bench.wants("storage"):
                    running.settle(bench.idle)
                main_storage = phases.sluice_bytes(running)
                for engine in engines[1:]:
                    engine.close()
                engines = [chdb]
                if bench.wants("restart"):
                    results["restart"] = phases.restart(running, bench.say)
                    results["resident"]["after a restart"] = running.resident()
                if bench.wants("latency"):
                    seconds = options.latency_seconds
                    results["latency"] = loading.latency(running, bench.events, bench.seed, rate, seconds, bench.say)
        if bench.wants("storage"):
            results["storage"] = phases.storage(bench, chdb, main_storage)
        if bench.wants("load"):
            bench.say("durable load: building bodies")
            with bench.fresh_cluster("load") as running:
                measured = loading.DurableLoad(running, chdb, bench.work, bench.events, bench.seed, bench.say)
                measured.prepare(bench.parts)
                results["load"] = measured.run(bench.rounds)
        if bench.wants("files"):
            results["files"] = files.measure(bench)
        if bench.wants("versions"):
            results["two versions"] = two_versions.measure(bench)
        if options.growth:
            results["growth"] = phases.growth(bench, chdb, [int(size) for size in options.growth.split(",")])
    finally:
        for engine in (duck, frame, chdb):
            if engine:
                engine.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=generate.SEED)
    parser.add_argument(
        "--only", help=f"some of {', '.join(PHASES)}, with commas; 'none' for only what --growth asks for"
    )
    parser.add_argument(
        "--growth", metavar="SIZES", help="f4 over data of these sizes, such as 1000000,10000000,100000000"
    )
    default = os.environ.get("SLUICE_PROGRAMS") or os.path.join(HERE, "..", ".build", "release")
    parser.add_argument("--programs", default=default, help="directory of Sluice's programs (SLUICE_PROGRAMS)")
    parser.add_argument("--against", metavar="DIR", help="programs of another version, for the phases files, small and versions")
    parser.add_argument("--work", default=os.path.join(HERE, ".work"), help="directory for data, emptied at the end")
    parser.add_argument("--keep", action="store_true", help="leave the data there")
    parser.add_argument(
        "--idle", type=float, help="seconds without work before the steady state (60; 5 below 2 million events)"
    )
    parser.add_argument("--latency-seconds", type=float, default=20, help="seconds of queries, idle and under load")
    parser.add_argument(
        "--doors-seconds", type=int, default=4, help="seconds of each form and number of connections in the phase doors"
    )
    parser.add_argument(
        "--alerts-seconds", type=int, default=330, help="seconds without, with and again without rules in the phase alerts"
    )
    parser.add_argument(
        "--query-minutes", type=float, default=30, help="after so long no further round of queries begins"
    )
    parser.add_argument("--report", default=os.path.join(HERE, "REPORT.md"), help="file for the report")
    options = parser.parse_args()
    unknown = set((options.only or "").split(",")) - set(PHASES) - {"", "none"}
    if unknown:
        parser.error(f"--only: {', '.join(sorted(unknown))} is no phase; there are {', '.join(PHASES)}")
    if options.events < 10_000 or options.rounds < 1 or options.doors_seconds < 1:
        parser.error("at least 10000 events, 1 round and 1 second")
    if not os.access(os.path.join(options.programs, "sluice"), os.X_OK):
        parser.error(f"no programs in {options.programs}: run make build, or say --programs DIR")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that processes are ended on this way out, too

    bench = Bench(options)
    bench.results |= {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "events": bench.events,
        "seed": bench.seed,
        "rounds": bench.rounds,
        "machine": phases.machine(),
        "load_before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "versions": {"Sluice": version_of(options.programs)}
        | {name: importlib.metadata.version(name) for name in ("chdb", "duckdb", "polars", "numpy", "pyarrow")},
    }
    print("\n".join(cases.side_by_side(case) + "\n" for case in cases.CASES))
    try:
        run_all(bench)
    finally:
        if not options.keep:
            for path in glob.glob(os.path.join(bench.work, "*")):
                if not path.endswith(".log"):
                    shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    if not options.keep:
        shutil.rmtree(bench.work)  # with the logs, which only a run that failed leaves
    bench.results["load_after"] = " ".join(f"{load:.1f}" for load in os.getloadavg())
    text = report.write(bench.results)
    with open(options.report, "w") as file:
        file.write(text)
    with open(os.path.splitext(options.report)[0] + ".json", "w") as file:
        json.dump(bench.results, file, indent=1)
    print(text.split("\n## The queries")[0])
    bench.say(f"written: {options.report}")


if __name__ == "__main__":
    main()
