"""What rules and reports cost beside the plain funnel of four steps, in the steady state.

Sluice by itself, in rounds; each row says how many times the plain funnel it takes, and what it may take at most. Where
ClickHouse has the same question, chDB is asked it too and the counts must agree: a held property is `windowFunnel` by user
and value, of which each user's deepest counts.
"""

import json
import statistics
import time

import cases
import queries

BASE = {"steps": cases.F4, "window_duration": "1d", "preset": "clickhouse-default/1"}


def query(body=None, **definition):
    return {"funnel": {**BASE, **definition}, **(body or {})}


NONE = {"times": "none"}
LIST = {"step": 2, "outcome": "reached", "limit": 1000}
EXCLUDE = [{"events": ["search"], "after": 1, "before": 2}]
# name, path, body, the row it is held against, at most so many times that
ROWS = [
    ("plain, counts", "/v1/query", query(NONE), None, None),
    ("plain, with times", "/v1/query", query(), None, None),
    ("breakdown by country", "/v1/query", query({**NONE, "breakdown": {"property": "country", "touch": "step:1"}}), "plain, with times", 3),
    ("trend by day", "/v1/query", query({**NONE, "start": "2025-06-01", "end": "2025-06-30", "trend": {"by": "day"}}), "plain, with times", 3),
    ("list of 1,000 users", "/v1/query/users", query(LIST), "plain, with times", 3),
    ("count_by attempts", "/v1/query", query(count_by="attempts"), "plain, with times", 10),
    ("hold_constant device", "/v1/query", query(hold_constant=["device"]), "plain, with times", 10),
    ("an exclusion", "/v1/query", query(exclude=EXCLUDE), "plain, with times", 10),
    ("strict", "/v1/query", query(conversion_order="strict", clock="microsecond", preset="sluice/1"), "plain, with times", None),
    ("any order", "/v1/query", query(conversion_order="any", preset="sluice/1"), "plain, with times", None),
    ("count_by sessions", "/v1/query", query(count_by="sessions"), "plain, with times", None),
]


def held_sql(table):
    funnel = cases.CASES[0]
    levels = ", ".join(f"countIf(l >= {k})" for k in range(1, len(cases.F4) + 1))
    level = f"windowFunnel({funnel.window})(ts, {', '.join(funnel.conditions())}) AS l"
    by_value = f"SELECT user, {level} FROM {table} WHERE {funnel.rows()} GROUP BY user, device"
    return f"SELECT {levels} FROM (SELECT user, max(l) AS l FROM ({by_value}) GROUP BY user) SETTINGS max_threads = 2"


def ask(connection, path, body):
    text = json.dumps(body)
    started = time.monotonic()
    connection.request("POST", path, text, {"Content-Type": "application/json"})
    response = connection.getresponse()
    data = response.read()
    elapsed = (time.monotonic() - started) * 1000
    if response.status != 200:
        raise SystemExit(f"{path} {text}: {response.status} {data[:300]}")
    return elapsed, json.loads(data)


def measure(running, chdb, rounds, say):
    """[{name, ms, times, limit, chdb}]: medians, and how many times the row's base."""
    say(f"rules: {rounds} rounds")
    sluice, found, held = queries.Sluice(running), {}, []
    want = tuple(int(count) for count in chdb.result(cases.CASES[0], chdb.run(held_sql("bench.by_user"))))
    for number in range(-1, rounds):
        for name, path, body, _, _ in ROWS:
            elapsed, answer = ask(sluice.asker.connection, path, body)
            if name.startswith("hold_constant"):
                counts = tuple(step["count"] for step in answer["steps"])
                if counts != want:
                    raise SystemExit(f"{name}: Sluice {counts}, chDB {want}")
            if number >= 0:
                found.setdefault(name, []).append(elapsed)
        started = time.monotonic()
        chdb.run(held_sql("bench.by_user"))
        if number >= 0:
            held.append((time.monotonic() - started) * 1000)
    sluice.close()
    median = {name: statistics.median(ms) for name, ms in found.items()}
    return [
        {
            "name": name,
            "ms": queries.summary(found[name]),
            "times": median[name] / median[base] if base else None,
            "base": base,
            "limit": limit,
            "chdb": statistics.median(held) if name.startswith("hold_constant") else None,
        }
        for name, _, _, base, limit in ROWS
    ]
