"""The report: goals with what was reached, then every number behind them, as Markdown."""

import alerts
import cases
import two_versions

# label, goal, floor, unit, True where more is better, how to find the value in the results
GOALS = [
    ("4 steps, counts, vs chDB 2 threads", 25, 12, "x", True, lambda r: ratio(r, "f4_1d", "chdb2")),
    ("4 steps with times, vs chDB 2 threads", 15, 8, "x", True, lambda r: ratio(r, "f4_1d_times", "chdb2")),
    ("4 steps, counts, vs Polars", 10, 5, "x", True, lambda r: ratio(r, "f4_1d", "polars")),
    ("6 steps, vs chDB 2 threads", 15, 8, "x", True, lambda r: ratio(r, "f6_1d", "chdb2")),
    ("breakdown, vs chDB 2 threads", 15, 8, "x", True, lambda r: ratio(r, "f4_country", "chdb2")),
    ("daily trend, vs chDB 2 threads", 15, 8, "x", True, lambda r: ratio(r, "f4_trend", "chdb2")),
    ("property filter, vs chDB 2 threads", 15, 8, "x", True, lambda r: ratio(r, "f4_filter", "chdb2")),
    ("bytes per event, user + event + time", 4.5, 4.85, "B", False, lambda r: size(r, "core")),
    ("bytes per event, all columns, no ids", 10.0, 12.6, "B", False, lambda r: size(r, "all")),
    ("bytes per event with UUIDs, vs chDB", 1.0, 1.2, "x", False, lambda r: uuid_ratio(r)),
    ("durable load, binary 100k, vs chDB Native", 1.5, 1, "x", True, lambda r: load(r, "binary 100k")),
    ("durable load, JSON 1k, vs chDB", 20, 8, "x", True, lambda r: load(r, "JSON 1k")),
    ("durable load, JSON 100k, vs chDB", 3, 1, "x", True, lambda r: load(r, "JSON 100k")),
    ("requests of one event, HTTP, a second", 25_000, 10_000, "", True, lambda r: small(r, 64)),
    ("ingest: memory of 1,000 idle and 1,000 busy connections", 64, 64, "MiB", False, lambda r: beside(r, -1, "cost_bytes") / 2**20),
    ("p99 of an honest caller beside them at half rate, vs alone", 3, 3, "x", False, lambda r: beside(r, -2, "ratio")),
    ("p99 of an honest caller beside them at full rate, vs alone", 3, 3, "x", False, lambda r: beside(r, -1, "ratio")),
    ("100 alert rules while 10,000 events/s come in", 0.1, 0.1, "cores", False, lambda r: alerts.cost(r["alerts"])),
    ("longest evaluation of all alert rules", 5, 5, "s", False, lambda r: r["alerts"]["with"]["worst"][alerts.DURATION]),
    ("query p99 under load, vs idle median", 3, 6, "x", False, lambda r: r["latency"]["ratio"]),
    ("restart to first answer", 2, 10, "s", False, lambda r: median(r["restart"]["first_answer"])),
    (
        "resident memory of the shards, steady, after the queries", 300, 600, "MB", False,
        lambda r: sum(r["resident"]["after the queries"]) / 1e6,
    ),
]


def median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def ratio(results, case, peer):
    row = next(row for row in results["queries"]["steady"] if row["case"] == case)
    return row[peer]["ratio"] if row["sluice"] else "not in this version"


def size(results, shape):
    return results["storage"][shape]["sluice"]["total"]


def uuid_ratio(results):
    row = results["storage"]["uuid"]
    return row["sluice"]["total"] / min(row["chdb"].values())


def load(results, form):
    return median(results["load"][form]["sluice"]) / median(results["load"][form]["chdb"])


def small(results, connections):
    return median([run["rate"] for run in results["small"]["this"][connections]])


def beside(results, stage, figure):
    """Of a caller beside many connections: -1 is at their full rate, -2 at half of it."""
    return median([stages[stage][figure] for stages in results["doors"]["beside"]])


def number(value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}"


def goal_rows(results):
    """[goal, wanted, floor, reached, verdict]"""
    rows = []
    for label, goal, floor, unit, more, find in GOALS:
        try:
            value = find(results)
        except (KeyError, StopIteration, TypeError):
            value = None
        if value is None or isinstance(value, str):
            verdict, reached = "-", value or "not measured"
        else:
            better = lambda limit: value >= limit if more else value <= limit
            verdict = "goal" if better(goal) else "floor" if better(floor) else "BELOW FLOOR"
            reached = f"{number(value)} {unit}"
        rows.append([label, f"{number(goal)} {unit}", f"{number(floor)} {unit}", reached, verdict])
    return rows


def table(head, rows):
    """A table that reads well in a terminal and in Markdown."""
    cells = [list(map(str, row)) for row in [head, *rows]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    line = lambda row: "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths)) + " |"
    return "\n".join(
        [line(cells[0]), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, cells[1:])]
    )


def pair(ms):
    return f"{number(ms['min'])} / {number(ms['median'])}" if ms else "not in this version"


def query_table(rows):
    head = [
        "case (ms: min / median)",
        "Sluice",
        "chDB 2 threads",
        "chDB 1 thread",
        "DuckDB",
        "Polars",
        "Sluice is faster than: chDB 2, 1, DuckDB, Polars",
    ]
    body = []
    for row in rows:
        found = [row["case"], pair(row["sluice"])]
        ratios = []
        for peer in ("chdb2", "chdb1", "duckdb", "polars"):
            ms = row.get(peer)
            notes = (
                ", ".join(note for note in (ms["layout"], ms["form"]) if note) if ms and peer.startswith("chdb") else ""
            )
            found.append((pair(ms) + (f" ({notes})" if notes else "")) if ms else "-")
            ratios.append(f"{number(ms['ratio'])}x" if ms and "ratio" in ms else "-")
        body.append([*found, "  ".join(ratios)])
    return table(head, body)


def doors_text(found):
    """Two tables: forms of requests, and a caller beside many connections."""
    rows, figures = [], ("requests_s", "events_s", "events_cpu_s", "p50_ms", "p99_ms")
    for form, by_connections in found["forms"].items():
        for connections, runs in by_connections.items():
            row = [form, connections, *(number(median([run[key] for run in runs])) for key in figures)]
            rows.append([*row, *(sum(run[key] for run in runs) for key in ("refused", "broken"))])
    forms = table(
        ["form x events", "connections", "requests/s", "events/s", "events per CPU second of ingest", "p50 ms", "p99 ms", "refused",
         "broken"],
        rows,
    )
    rows = []
    for stages in zip(*found["beside"]):
        middle = lambda key: number(median([stage[key] for stage in stages]))
        row = [stages[0]["name"], middle("p50_ms"), middle("p99_ms"), middle("ratio")]
        row += [number(median([stage[key] for stage in stages]) / 2**20) for key in ("bytes", "cost_bytes")]
        busy = "requests_s" in stages[0]
        row += [middle("requests_s"), sum(stage["refused"] for stage in stages)] if busy else ["-", "-"]
        rows.append([*row, min(stage["idle_open"] for stage in stages)])
    return (
        "HTTP/1.1 with keep-alive, answered once the events are synced; the sender (wrk, one thread) runs on the same cores. Every "
        "event has an id of its own. Medians of the rounds; `refused` counts answers other than 2xx, `broken` connections that "
        "failed and requests without an answer within 30 s, of all rounds.\n\n"
        + forms
        + "\n\nOne honest caller of another project sends 50 events, waits for the answer, and again 20 ms later. Busy "
        "connections send 50 events of NDJSON each: at full rate as soon as the last request is answered. Memory is the maximum of "
        "anonymous resident bytes of ingest.\n\n"
        + table(
            ["honest caller", "p50 ms", "p99 ms", "p99 vs alone", "ingest MiB", "more than alone", "busy requests/s", "refused",
             "idle still open"],
            rows,
        )
    )


def sections(results):
    """(title, text) of everything that was measured."""
    for name, rows in results.get("queries", {}).items():
        if name == "states":
            continue
        state = results["queries"]["states"].get(name, {})
        text = (
            f"Shards: {state.get('segments')} segments, {state.get('memtable_rows'):,} of {state.get('rows'):,} rows in "
            "memory tables.\n\n"
        )
        if rows and "chdb2" in rows[0]:
            text += "Peers with their fastest layout for the case, by median; ratios are of medians.\n\n" + query_table(
                rows
            )
        else:
            text += table(["case", "ms: min / median"], [[row["case"], pair(row["sluice"])] for row in rows])
        yield f"Queries, {name}", text
    if "rules" in results:
        rows = [
            [
                row["name"],
                pair(row["ms"]),
                f"{number(row['times'])}x of {row['base']}" if row["base"] else "-",
                f"{row['limit']}x" if row["limit"] else "-",
                number(row["chdb"]),
            ]
            for row in results["rules"]
        ]
        yield "Rules and reports, steady", table(["query", "ms: min / median", "costs", "at most", "chDB 2 threads, ms"], rows)
    if "storage" in results:
        rows = []
        for row in results["storage"].values():
            own = row["sluice"]
            rows.append(
                [
                    row["text"],
                    number(own["total"]),
                    number(own["segments"]),
                    number(own["dictionaries"]),
                    f"{number(own['log_bytes'] / own['log_rows']) if own['log_rows'] else '-'} x {own['log_rows']:,}",
                    number(row["chdb"]["by_event"]),
                    number(row["chdb"]["by_user"]),
                    number(row["duckdb"]),
                ]
            )
        yield (
            "Storage, bytes per event",
            (
                "Sluice: files of sealed segments and of user dictionaries by sealed events; the log, apart, by the events that "
                "are only in it.\n\n"
                + table(
                    [
                        "columns",
                        "Sluice",
                        "of it segments",
                        "of it dictionaries",
                        "log B x events",
                        "chDB by event",
                        "chDB by user",
                        "DuckDB",
                    ],
                    rows,
                )
            ),
        )
    if "load" in results:
        rows = [
            [
                form,
                number(median(r["sluice"])),
                number(max(r["sluice"])),
                number(median(r["chdb"])),
                number(max(r["chdb"])),
                f"{number(load(results, form))}x",
                f"{median(r['client']) * 100:.0f} % of a core",
            ]
            for form, r in results["load"].items()
        ]
        yield (
            "Durable load, events per second",
            (
                "First byte to last acknowledgement; both sync every batch. chDB runs in the process and has no client to "
                "pay; it takes one insert at a time, Sluice has 3 connections (16 for JSON 1k).\n\n"
                + table(
                    ["form", "Sluice median", "best", "chDB median", "best", "ratio of medians", "Sluice's client"],
                    rows,
                )
            ),
        )
    if "files" in results:
        rows = []
        for form, found in results["files"].items():
            for name in ("this", "against"):
                if name not in found:
                    continue
                seconds = median([run["seconds"] for run in found[name]])
                rows.append(
                    [
                        form,
                        "this build" if name == "this" else "the other",
                        number(found["bytes"] / 1e6),
                        number(seconds),
                        number(results["events"] / seconds),
                        number(median([run["cpu"] for run in found[name]])),
                        number(max(run["bytes"] for run in found[name]) / 1e6),
                        number(seconds / median([run["seconds"] for run in found["this"]])),
                    ]
                )
        yield (
            "sluice load of one file",
            "From the program's start to its end, durable; CPU and memory are the program's own.\n\n"
            + table(["file", "program", "MB", "seconds, median", "events/s", "CPU s", "peak MB", "of this build"], rows),
        )
    if results.get("small"):
        rows = []
        for name, by_connections in results["small"].items():
            for connections, runs in by_connections.items():
                row = ["this build" if name == "this" else "the other", connections]
                row += [number(median([run[key] for run in runs])) for key in ("rate", "mean_ms", "ingest_us", "services_us")]
                rows.append(row)
        yield (
            "Requests of one event over HTTP",
            "HTTP/1.1 with keep-alive, answered once the event is synced; the sender (h2load, one thread) runs on the same cores.\n\n"
            + table(
                ["program", "connections", "requests/s, median", "mean ms", "CPU us a request, ingest", "all services"], rows
            ),
        )
    if results.get("alerts"):
        found = results["alerts"]
        rows = []
        for name, text in (("before", "without rules"), ("with", "100 rules"), ("after", "without again")):
            cores, worst, counts = found[name]["cores"], found[name]["worst"], found[name]["counts"]
            row = [text] + [f"{cores[kind]:.3f}" for kind in ("ingest", "shards", "coordinator")]
            row += [number(counts[alerts.EVALUATIONS]), number(counts[alerts.FAILURES])]
            rows.append(row + [f"{worst[alerts.DURATION]:.2f}", f"{worst[alerts.LAG]:.1f}"])
        yield (
            "Alert rules",
            f"{found['rows before']:,} events stored, {found['sender']['rate']:,.0f} a second come in; "
            f"{found['seconds']} s each. The rules take {alerts.cost(found):.3f} cores.\n\n"
            + table(
                ["", "cores: ingest", "shards", "coordinator", "periods evaluated", "queries failed", "longest evaluation, s", "lag after it, s"],
                rows,
            ),
        )
    if results.get("two versions"):
        yield (
            "Two versions of Sluice",
            "By turns over the same events, in one run; medians. A ratio is this build's figure by the other's.\n\n"
            + table(["", "this build", "the other", "ratio"], [
                [what, number(this), number(other), f"{ratio:.2f}"] for what, this, other, ratio in two_versions.rows(results["two versions"])
            ]),
        )
    if results.get("doors"):
        yield "What ingest takes over HTTP", doors_text(results["doors"])
    if "latency" in results:
        found = results["latency"]
        rows = []
        for name, key in (("idle", "idle"), ("under load", "busy")):
            rows.append([name, number(found[key]["p50"]), number(found[key]["p99"]), found[key]["n"]])
        yield (
            "Latency under load",
            (
                f"{cases.CASES[0].rule}; queries due {number(found['rate'])} a second, counted from when they were due. Load "
                f"{number(found['reached'])} events/s of {number(found['wanted'])} wanted (half of the full rate), latest batch "
                f"{number(found['late'])} s late.\n\n" + table(["", "p50 ms", "p99 ms", "queries"], rows)
            ),
        )
    if "restart" in results:
        found = results["restart"]
        yield (
            "Restart",
            (
                f"SIGTERM to ended {number(median(found['stop']))} s; start to first answered query "
                f"{number(median(found['first_answer']))} s (medians of {len(found['stop'])})."
            ),
        )
    if "resident" in results:
        moments = results["resident"]
        each = [f"{when} {', '.join(number(size / 1e6) for size in sizes)}" for when, sizes in moments.items()]
        yield "Memory", f"Anonymous resident MB of each shard: {'; '.join(each)}."
    if "growth" in results:
        rows = [
            [
                f"{row['events']:,}",
                pair(row["sluice"]),
                pair(row["chdb"]),
                f"{number(row['chdb']['median'] / row['sluice']['median'])}x",
                number(row["rate"]),
                number(row["resident"] / 1e6),
                number(row["resident"] / row["users"]),
                number(row["bytes"]),
                number(median(row["restart"])),
            ]
            for row in results["growth"]
        ]
        yield (
            "Growth, 4 steps, window 1 day",
            table(
                [
                    "events",
                    "Sluice ms",
                    "chDB 2 threads ms",
                    "ratio",
                    "load events/s",
                    "resident MB",
                    "of it B a user",
                    "bytes per event",
                    "restart to first answer, s",
                ],
                rows,
            ),
        )


def write(results):
    """The whole report."""
    machine, versions = results["machine"], results["versions"]
    lines = [
        "# Benchmark report",
        "",
        f"{results['date']}. {results['events']:,} events, seed {results['seed']}, {results['rounds']} rounds after a "
        "warm-up, engines in turns. Written by `make bench`; the sources beside this file say how things are measured.",
        "",
        f"Machine: {machine['cores']} cores, {machine['model']}, {machine['memory_gib']:.0f} GiB, Linux {machine['kernel']}; "
        f"load average {results['load_before']} before, {results.get('load_after', '-')} after. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".",
        "",
        "## Goals",
        "",
        "Queries: medians of the steady state.",
        "",
        table(["goal", "wanted", "floor", "reached", ""], goal_rows(results)),
        "",
    ]
    for title, text in sections(results):
        lines += [f"## {title}", "", text, ""]
    lines += ["## The queries", "", "```"] + [cases.side_by_side(case) + "\n" for case in cases.CASES] + ["```", ""]
    return "\n".join(lines)
