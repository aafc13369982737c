"""Paths and predictors: what users do next to the steps of their chosen attempt, and what goes with a step. FUNNEL.md section 6."""

import json

import figures
import reports
import spans
import tests_of_rates as tests
from definition import IS_BEHAVIOUR, quoted
from figures import ALWAYS, rate

# One row a chosen attempt: the time of A, of its latest event, and the last microsecond of its window.
CHOSEN = """
CREATE OR REPLACE TEMP TABLE chosen AS
SELECT s.attempt, s.user_id, s.depth, s.a_us, max(e.us) AS latest,
    (({base} // {tick} + {window}) + 1) * {tick} - 1 AS until
FROM speaking s JOIN matched m USING (attempt) JOIN events e USING (row)
GROUP BY s.attempt, s.user_id, s.depth, s.a_us
"""
AT = "(SELECT us FROM matched m JOIN events e USING (row) WHERE m.attempt = c.attempt AND m.step = {step})"


def number(funnel, step):
    return [s.name for s in funnel.steps].index(step) + 1 if isinstance(step, str) else step


def choose(con, body):
    funnel, span = reports.funnel_of(body), spans.span(body, ALWAYS)
    figures.attempts(con, funnel, span)
    figures.speak(con, funnel, span)
    con.execute(CHOSEN.format(base="arg_max(e.us, m.step)" if funnel.from_previous else "s.a_us", tick=funnel.tick, window=funnel.window))
    return funnel


# Between two microseconds, neither included, the first so many events of each user.
PATHS = """
WITH looked AS ({users}),
firsts AS (
    SELECT l.attempt, e.event, e.row FROM looked l JOIN events e ON e.user_id = l.user_id AND e.us > l.low AND e.us < l.high
    WHERE {wanted} QUALIFY row_number() OVER (PARTITION BY l.attempt ORDER BY e.row) <= {length}),
paths AS (SELECT l.attempt, coalesce(list(f.event ORDER BY f.row) FILTER (f.event IS NOT NULL), []) AS path
    FROM looked l LEFT JOIN firsts f USING (attempt) GROUP BY l.attempt)
SELECT path, count(*) FROM paths GROUP BY path
"""


def paths(con, body):
    funnel = choose(con, body)
    if "dropped" in body["from"]:
        step = number(funnel, body["from"]["dropped"])
        users = f"SELECT attempt, user_id, latest AS low, until + 1 AS high FROM chosen WHERE depth < {step} AND depth >= {funnel.before(step)}"
        origin = {"dropped": step}
    else:
        i, j = (number(funnel, step) for step in body["from"]["between"])
        users = f"SELECT * FROM (SELECT attempt, user_id, {AT.format(step=i)} AS low, {AT.format(step=j)} AS high FROM chosen c) " \
            "WHERE low IS NOT NULL AND high IS NOT NULL"
        origin = {"between": [i, j]}
    wanted = f"e.event IN ({', '.join(map(quoted, body['events']))})" if "events" in body else \
        f"{IS_BEHAVIOUR} AND e.event NOT IN ({', '.join(map(quoted, body['exclude_events']))})" if "exclude_events" in body else IS_BEHAVIOUR
    length, k = body.get("length", 3), body.get("k", 20)
    found = con.execute(PATHS.format(users=users, wanted=wanted, length=length)).fetchall()
    found = sorted(found, key=lambda f: (-f[1], [e.encode() for e in f[0]]))
    total = sum(n for _, n in found)
    first = {}
    for path, n in found:
        first[path[0] if path else None] = first.get(path[0] if path else None, 0) + n
    nothing = first.pop(None, 0)
    first = sorted(first.items(), key=lambda f: (-f[1], f[0].encode()))
    rest = lambda what, list: {what: len(list), "users": sum(n for _, n in list)} if list else None
    return {
        "from": origin, "length": length, "k": k, "events": body.get("events"), "exclude_events": body.get("exclude_events"), "users": total,
        "paths": [{"events": path, "users": n, "share": rate(n, total)} for path, n in found[:k]], "other": rest("paths", found[k:]),
        "next": [{"event": e, "users": n, "share": rate(n, total)} for e, n in first[:k] + [(None, nothing)]],
        "next_other": rest("events", first[k:])}


# From A on and before the event of the step, or up to the end of the window; of a name that a later step names, in any order any, only up to `of`.
LOOKED = """
CREATE OR REPLACE TEMP TABLE looked AS
WITH users AS (SELECT attempt, user_id, a_us, until, {of} AS done, {step} AS reached FROM chosen c)
SELECT u.attempt, u.reached IS NOT NULL AS converted, e.*
FROM users u LEFT JOIN events e ON e.user_id = u.user_id AND e.us >= u.a_us AND e.us < coalesce(u.reached, u.until + 1)
    AND {behaviour} AND (NOT ({later}) OR e.us <= u.done)
WHERE u.done IS NOT NULL
"""
FEATURES = """
WITH features AS (
    SELECT DISTINCT attempt, converted, 'event' AS property, event AS value FROM looked WHERE NOT ({named})
    UNION
    SELECT DISTINCT attempt, converted, property, value FROM (UNPIVOT looked ON {columns} INTO NAME property VALUE value))
SELECT property, value, count(*), count(*) FILTER (converted) FROM features WHERE value IS NOT NULL GROUP BY property, value
"""


def names(steps):
    given = [quoted(e) for s in steps for e in s.events if e != "*"]
    return f"e.event IN ({', '.join(given)})" if given else "false"


def predictors(con, body, columns):
    funnel = choose(con, body)
    step = number(funnel, body.get("step", len(funnel.steps)))
    of = number(funnel, body.get("of", funnel.before(step)))
    later = funnel.steps if funnel.order == "any" else funnel.steps[of:]
    con.execute(LOOKED.format(behaviour=IS_BEHAVIOUR, of=AT.format(step=of), step=AT.format(step=step), later=names(later)))
    users, converted = con.execute("SELECT count(*), count(*) FILTER (converted) FROM (SELECT DISTINCT attempt, converted FROM looked)").fetchone()
    found = con.execute(FEATURES.format(named=names(funnel.steps).replace("e.event", "event"), columns=", ".join(columns))).fetchall()
    of_property = lambda name: sum(f[0] == name for f in found)
    left_out = [name for name in sorted(columns) if body.get("properties", True) and of_property(name) > 1000]
    rows = []
    for name, value, n, x in found:
        is_event = name == "event"
        if n < body.get("min_users", 10) or name in left_out or not (is_event or body.get("properties", True)):
            continue
        feature = {"event": value} if is_event else {"property": name, "value": json.loads(value)}
        place = (0, value.encode()) if is_event else (1, name.encode(), *reports.as_text(json.loads(value)))
        rows.append((feature, place, (converted - x, users - n), (x, n)))
    compared = [tests.versus(*without, *with_it) for _, _, without, with_it in rows]
    q_values = tests.benjamini_hochberg([c["p_value"] for c in compared])
    whole = lambda pair: {"users": pair[1], "converted": pair[0], "conversion": rate(*pair)}
    shown = []
    for (feature, place, without, with_it), c, q in zip(rows, compared, q_values):
        p1, p2 = rate(*without), rate(*with_it)
        alike = p1 is None or p1 == p2
        times = 1 if alike else float("inf") if 0 in (p1, p2) else max(p1 / p2, p2 / p1)
        shown.append(((q is None, q or 0, -times, place), feature | c | {
            "with": whole(with_it), "without": whole(without), "q_value": q, "direction": None if alike else "up" if p2 > p1 else "down"}))
    shown.sort(key=lambda s: s[0])
    k = body.get("k", 20)
    return {"step": step, "of": of, "k": k, "min_users": body.get("min_users", 10), "users": users, "converted": converted,
            "conversion": rate(converted, users), "tested": len(rows), "left_out": left_out, "predictors": [row for _, row in shown[:k]]}
