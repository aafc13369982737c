"""`sluice load` of whole files: CSV and NDJSON, with an id of each event and without.

Both programs, the one of this build and one named by --against, load into clusters of this build, in turns: only the
client differs. Time and memory are the client's, from its start to its end.
"""

import os
import shutil
import subprocess
import time

import generate

FORMS = {
    "CSV with ids": ("csv", True),
    "CSV without ids": ("csv", False),
    "NDJSON with ids": ("json", True),
    "NDJSON without ids": ("json", False),
}

REST = {
    "csv": "country, device, round(price::DOUBLE, 2) AS price, session",
    "json": "{'country': country, 'device': device, 'price': round(price::DOUBLE, 2), 'session': session} AS properties",
}


def write(bench):
    """The files; returns their paths by form."""
    import duckdb

    parts = os.path.join(bench.work, "parts-files")
    generate.write_parquet(bench.events, parts, bench.seed, True, bench.say)
    paths = {}
    for form, (kind, has_ids) in FORMS.items():
        bench.say(f"files: writing {form}")
        path = os.path.join(bench.work, form.replace(" ", "-") + "." + kind)
        columns = "user::VARCHAR AS user_id, event, strftime(make_timestamp(ts * 1000), '%Y-%m-%dT%H:%M:%S.%gZ') AS timestamp"
        rest = REST[kind]
        ids = "id AS event_id, " if has_ids else ""
        how = "FORMAT csv, HEADER" if kind == "csv" else "FORMAT json"
        duckdb.sql(f"COPY (SELECT {ids}{columns}, {rest} FROM '{parts}/part-*.parquet') TO '{path}' ({how})")
        paths[form] = path
    shutil.rmtree(parts)
    return paths


def load(bench, programs, path, form, number):
    """Seconds, bytes of memory and events accepted."""
    with bench.fresh_cluster(f"files-{number}") as running:
        started = time.monotonic()
        process = subprocess.Popen(
            [os.path.join(programs, "sluice"), "load", path, "--to", running.ingest_wire],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        words = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        stored = running.state()["rows"]
        if process.returncode != 0 or stored != bench.events:
            raise SystemExit(f"{form}: status {process.returncode}, {stored} events stored: {words}")
        return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "bytes": usage.ru_maxrss * 1024}


def measure(bench):
    programs = {"this": bench.programs} | ({"against": bench.options.against} if bench.options.against else {})
    paths, found, number = write(bench), {}, 0
    for form, path in paths.items():
        found[form] = {"bytes": os.path.getsize(path)} | {name: [] for name in programs}
        for round_number in range(bench.rounds):
            for name, directory in programs.items():
                number += 1
                found[form][name].append(load(bench, directory, path, form, number))
                bench.say(f"files: {form}, {name}, round {round_number + 1}: {found[form][name][-1]['seconds']:.1f} s")
    return found
