"""The remaining phases: storage, restart, growth; and what the machine is."""

import os
import platform
import shutil
import time

import cases
import generate
import loading
import peers
import queries


def seal_rows(events):
    """Small runs seal smaller segments, or there would be none to look at; from 2 million events on the default holds."""
    return None if events >= 2_000_000 else max(5_000, events // 10)


def sluice_bytes(running):
    """Bytes per sealed event and what is apart: the log holds what is not sealed yet."""
    state, sizes = running.state(), running.sizes()
    sealed = state["rows"] - state["memtable_rows"]
    per_event = lambda name: sizes[name] / sealed if sealed else None
    return {
        "segments": per_event("segments"),
        "dictionaries": per_event("dictionaries"),
        "total": (sizes["segments"] + sizes["dictionaries"]) / sealed if sealed else None,
        "sealed_rows": sealed,
        "log_bytes": sizes["log"],
        "log_rows": state["memtable_rows"],
        "state": state,
    }


def storage(bench, chdb, main):
    """Bytes per event of three shapes. `main` is what the loaded cluster said of all columns, or None."""
    events, found = bench.events, {}
    with_ids = os.path.join(bench.work, "parts-ids")
    if not os.path.isdir(with_ids):
        generate.write_parquet(events, with_ids + ".new", bench.seed, True, bench.say)
        os.rename(with_ids + ".new", with_ids)
    core = {name: peers.COLUMNS[name] for name in ("user", "event", "ts")}
    shapes = {
        "core": ("user, event, time", core, {"properties": False}, bench.parts),
        "all": ("all columns, no ids", peers.COLUMNS, {}, bench.parts),
        "uuid": ("all columns and a UUID an event", {**peers.COLUMNS, "id": "UUID"}, {"ids": True}, with_ids),
    }
    for name, (text, columns, how, parts) in shapes.items():
        row = {"text": text}
        if name == "all" and main:
            row["sluice"] = main
        else:
            bench.say(f"storage: {text}, Sluice")
            with bench.fresh_cluster(f"storage-{name}") as running:
                loading.fill(running, events, bench.seed, bench.say, **how)
                running.settle(bench.idle)
                row["sluice"] = sluice_bytes(running)
        bench.say(f"storage: {text}, peers")
        row["chdb"] = {}
        for table, order in peers.ORDERS.items():
            chdb.load("sized", order, parts, columns)
            row["chdb"][table] = chdb.bytes_of("sized") / events
        chdb.run("DROP TABLE bench.sized SYNC")
        file = os.path.join(bench.work, "sized.duckdb")
        duck = peers.Duck(file)
        duck.load(parts, tuple(columns))
        duck.close()
        row["duckdb"] = os.path.getsize(file) / events
        os.unlink(file)
        found[name] = row
    shutil.rmtree(with_ids)
    return found


def restart(running, say, times=3):
    """Seconds from the start of the programs to the first answered query, and of the stop before."""
    found = {"stop": [], "first_answer": []}
    for _ in range(times):
        say("restart: SIGTERM, start, first query")
        started = time.monotonic()
        running.stop()
        found["stop"].append(time.monotonic() - started)
        started = time.monotonic()
        running.start()
        asker = queries.Sluice(running)
        try:
            asker.ask(cases.CASES[0])
        finally:
            asker.close()
        found["first_answer"].append(time.monotonic() - started)
    return found


def growth(bench, chdb, sizes):
    """f4 over growing data: Sluice and chDB, medians, memory."""
    found, case = [], cases.CASES[0]
    for events in sizes:
        parts = os.path.join(bench.work, f"parts-{events}")
        bench.say(f"growth: {events:,} events")
        generate.write_parquet(events, parts, bench.seed, progress=bench.say)
        chdb.load("grown", peers.ORDERS["by_event"], parts)
        shutil.rmtree(parts)
        sql = cases.chdb_queries(case, "bench.grown")[""] + " SETTINGS max_threads = 2, max_execution_time = 300"
        with bench.fresh_cluster(f"growth-{events}", events) as running:
            loaded = loading.fill(running, events, bench.seed, bench.say)
            running.settle(bench.idle)
            asker, own, other = queries.Sluice(running), [], []
            for number in range(-1, bench.rounds):
                elapsed, counts = asker.ask(case)
                theirs, data = peers.timed(lambda: chdb.run(sql))
                queries.check(case, f"Sluice at {events:,}", counts, chdb.result(case, data))
                if number >= 0:
                    own.append(elapsed)
                    other.append(theirs)
            asker.close()
            found.append(
                {
                    "events": events,
                    "sluice": queries.summary(own),
                    "chdb": queries.summary(other),
                    "rate": loaded.rate,
                    "resident": sum(running.resident()),
                    "bytes": sluice_bytes(running)["total"],
                    "users": generate.user_count(events),
                    "restart": restart(running, bench.say, 3)["first_answer"],
                }
            )
        chdb.run("DROP TABLE bench.grown SYNC")
    return found


def machine():
    """Cores, model, memory, load."""
    with open("/proc/cpuinfo") as file:
        model = next(
            (line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine()
        )
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) * 1024
    return {"cores": os.cpu_count(), "model": model, "memory_gib": memory / 2**30, "kernel": platform.release()}
