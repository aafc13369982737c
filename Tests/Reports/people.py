"""Times between two steps, one user explained, and what there is to ask about: FUNNEL.md section 6, PROTOCOL.md section 7."""

import json
from itertools import accumulate

import figures
import reports
import spans
from definition import IS_BEHAVIOUR, matches
from figures import ALWAYS

# In ticks, of users who did both steps; NULL of those who got as far but skipped one of the two.
TIMES = """
SELECT CASE WHEN f.sec IS NOT NULL AND t.sec IS NOT NULL
    THEN greatest(0, greatest(t.sec, a.us // {tick}) - greatest(f.sec, a.us // {tick})) END AS took
FROM speaking s JOIN events a ON a.row = s.a
LEFT JOIN matched f ON f.attempt = s.attempt AND f.step = {first} LEFT JOIN matched t ON t.attempt = s.attempt AND t.step = {last}
WHERE s.depth >= {last} ORDER BY took
"""
SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
ROUND = [m * 10 ** p for p in range(7) for m in (1, 2, 5)] + [10 * SECOND, 30 * SECOND] \
    + [m * MINUTE for m in (1, 2, 5, 10, 15, 30)] + [h * HOUR for h in (1, 2, 3, 6, 12)] + [d * DAY for d in (1, 2, 7, 14, 30, 60, 90, 180, 365)]


def times(con, body):
    """The answer to `/v1/query/times`; its histogram has None where the edges had to be thinned out."""
    funnel, span = reports.funnel_of(body), spans.span(body, ALWAYS)
    names = [s.name for s in funnel.steps]
    number = lambda step: names.index(step) + 1 if isinstance(step, str) else step
    first, last = number(body.get("from", 1)), number(body.get("to", len(names)))
    figures.attempts(con, funnel, span)
    figures.speak(con, funnel, span)
    found = [row[0] for row in con.execute(TIMES.format(tick=funnel.tick, first=first, last=last)).fetchall()]
    values = [v for v in found if v is not None]
    n = len(values)
    seconds = lambda ticks: None if ticks is None else ticks * funnel.tick / 1e6
    rank = lambda percent: values[(percent * n + 99) // 100 - 1] if n else None
    answer = {
        "from": first, "to": last, "users": n, "skipped": len(found) - n, "average_seconds": seconds(sum(values) / n) if n else None,
        "median_seconds": seconds((values[(n - 1) // 2] + values[n // 2]) / 2) if n else None, "p90_seconds": seconds(rank(90)),
        "p99_seconds": seconds(rank(99)), "min": seconds(values[0]) if n else None, "max": seconds(values[-1]) if n else None,
        "times": "exact", "approximate": False, "in_bars": n, "gaps": []}
    scale, edges = bars([r // funnel.tick for r in ROUND if r % funnel.tick == 0], values, rank(99), body.get("bins", 20))
    return answer | {"scale": scale} | ({} if edges is None else {"histogram": histogram(values, edges, seconds)})


def histogram(values, edges, seconds):
    counts = [sum(low <= v < high for v in values) for low, high in zip(edges, edges[1:])]
    found = [{"from_seconds": seconds(low), "to_seconds": seconds(high), "users": n} for low, high, n in zip(edges, edges[1:], counts)]
    if values and sum(counts) < len(values):
        found.append({"from_seconds": seconds(edges[-1]), "to_seconds": None, "users": len(values) - sum(counts)})
    return found


def bars(ladder, values, p99, bins):
    """Scale and edges: linear by the least round width that reaches the 99th percentile, with a bar left for those beyond."""
    if not values:
        return None, []
    for width in ladder:
        start = values[0] // width * width
        edges = list(range(start, p99 + width + 1, width))
        edges = [e for e in edges if e <= p99] + [max(e for e in edges if e <= p99) + width]
        if len(edges) <= bins:
            break
    if len(edges) <= 3 or 2 * sum(v < edges[1] for v in values) <= len(values):
        return "linear", edges
    edges = [max([0] + [r for r in ladder if r <= values[0]])] + [r for r in ladder if values[0] < r <= p99]
    edges.append(min(r for r in ladder if r > p99))
    return "log", edges if len(edges) <= bins else None


def with_sums(answer):
    """Whatever its edges are, a histogram's bars have no gaps and hold all users."""
    shown = answer["histogram"]
    return answer | {"in_bars": sum(b["users"] for b in shown),
                     "gaps": [b["from_seconds"] for a, b in zip(shown, shown[1:]) if a["to_seconds"] != b["from_seconds"]]}


# ---- what there is

EVENTS = """
SELECT event, count(*), min(us), max(us) FROM events e WHERE {behaviour} AND starts_with(event, $prefix)
GROUP BY event ORDER BY count(*) DESC, event
"""


def events(con, prefix="", limit=1000):
    rows = con.execute(EVENTS.format(behaviour=IS_BEHAVIOUR), {"prefix": prefix}).fetchall()
    return {"total": len(rows), "events": [{"event": e, "rows": n, "first": low, "last": high} for e, n, low, high in rows[:limit]]}


def events_with_instants(answer):
    return answer | {"events": [e | {key: spans.instant(e[key]) for key in ("first", "last")} for e in answer["events"]]}


PROPERTIES = """
UNPIVOT (SELECT {columns} FROM events WHERE $event IN ('', event)) ON COLUMNS(*) INTO NAME property VALUE value
"""


def properties(con, names, event=""):
    found = con.execute(f"""
        SELECT property, count(*), count(string_of(value)), count(number_of(value)), count(boolean_of(value))
        FROM ({PROPERTIES.format(columns=", ".join(names))}) GROUP BY property ORDER BY count(*) DESC, property""", {"event": event}).fetchall()
    return {"total": len(found), "properties": [
        {"property": p, "rows": n, "kinds": {k: c for k, c in zip(("string", "number", "boolean"), kinds) if c}} for p, n, *kinds in found]}


def values(con, name, event="", prefix="", limit=100):
    found = con.execute(f"""
        SELECT {name}, count(*) FROM events e
        WHERE {name} IS NOT NULL AND ($event = event OR $event = '' AND {IS_BEHAVIOUR}) GROUP BY 1""", {"event": event}).fetchall()
    found = [(json.loads(value), n) for value, n in found]
    found = sorted(((v, n) for v, n in found if reports.as_text(v)[0].startswith(prefix.encode())), key=lambda f: (-f[1], reports.as_text(f[0])))
    return {"property": name, "event": event or None, "total": len(found), "truncated": False, "note": None,
            "values": [{"value": v, "rows": n} for v, n in found[:limit]]}


# ---- one user

CHOSEN = """
SELECT m.position, e.event, e.us, m.sec, {properties}
FROM speaking s JOIN matched m USING (attempt) JOIN events e USING (row) WHERE s.user_id = $user ORDER BY m.step
"""


# Of a plain funnel: the event whose name the next step admits that fails fewest rules, nearest to the last matched event.
MISS = """
WITH chain AS (SELECT arg_max(m.sec, m.step) AS last, arg_min(m.sec, m.step) AS a_sec, list(m.row) AS rows, any_value(s.user_id) AS user_id
    FROM speaking s JOIN matched m USING (attempt) WHERE s.user_id = $user),
tested AS (
    SELECT e.event, e.us, e.row, e.us // {tick} AS sec, last, [
        ('condition', e.row NOT IN (SELECT row FROM fills WHERE step = {step})),
        ('used', list_contains(rows, e.row)),
        ('same_time', {forward} AND sec = last),
        ('order', CASE WHEN {forward} THEN sec < last ELSE last - sec >= {limit} END),
        ('window', sec - {base} > {window})] AS rules
    FROM chain c JOIN events e USING (user_id) WHERE {admits} AND c.a_sec - sec <= {window})
SELECT list_filter(rules, lambda r: r[2])[1][1], event, us FROM tested
ORDER BY len(list_filter(rules, lambda r: r[2])), abs(sec - last), sec < last, row LIMIT 1
"""

# The other instants at which an attempt could begin, each with its best attempt.
OTHERS = """
SELECT a.a_us, a.depth, a.took,
    CASE WHEN a.depth < s.depth THEN 'shallower' WHEN a.took > s.took AND {shortest} THEN 'slower' ELSE 'later' END
FROM attempts a JOIN speaking s USING (user_id) WHERE user_id = $user AND a.a_us <> s.a_us
QUALIFY row_number() OVER (PARTITION BY a.a_us ORDER BY a.depth DESC, {entry}, a.a) = 1
ORDER BY a.a_us
"""


def stopped(con, funnel, user, depth):
    step = funnel.steps[depth]
    row = con.execute(MISS.format(
        tick=funnel.tick, step=depth + 1, forward=funnel.order == "sequential", limit=funnel.limit or 0, window=funnel.window,
        base="last" if funnel.from_previous else "a_sec", admits=matches(step.events, [])), {"user": user}).fetchone()
    reason, event, us = row or ("no_event", None, None)
    return {"step": step.name, "index": depth + 1, "reason": reason, "event": event, "time": us}


def others(con, funnel, user):
    entry = "a.took" if funnel.entry == "shortest" else "a.a"
    rows = con.execute(OTHERS.format(shortest=funnel.entry == "shortest", entry=entry), {"user": user}).fetchall()
    told = [{"time": us, "depth": depth, "seconds": took * funnel.tick / 1e6, "not_chosen": why} for us, depth, took, why in rows]
    return {"attempts_total": len(rows)} | ({"attempts": told} if len(rows) <= 20 else {})


def explain(con, body, user, names):
    """After `reports.whole`: what is known of the chosen attempt. Times of day are microseconds."""
    funnel = reports.funnel_of(body)
    rows = con.execute(CHOSEN.format(properties=", ".join(names)), {"user": user}).fetchall()
    depth = con.execute("SELECT coalesce(max(depth), 0) FROM speaking WHERE user_id = ?", [user]).fetchone()[0]
    at = list(accumulate((max(row[3], rows[0][3]) for row in rows), lambda _, now: now))
    chosen, before = [], None
    for k, (step, event, us, _, *values) in enumerate(rows):
        chosen.append({
            "step": funnel.steps[step - 1].name, "index": step, "event": event, "time": us, "seconds_from_first": (at[k] - at[0]) * funnel.tick / 1e6,
            "seconds_from_previous": None if before is None else max(0, at[k] - before) * funnel.tick / 1e6,
            "properties": {name: json.loads(v) for name, v in zip(names, values) if v is not None}})
        before = before if funnel.steps[step - 1].optional else at[k]
    found = {"user_id": user, "found": True, "depth": depth, "chosen": chosen,
             "outcome": "not_entered" if not depth else "converted" if depth == len(funnel.steps) else "dropped"}
    still_open = figures.still_open(funnel, spans.instant(body["as_of"]), spans.span(body, ALWAYS))
    found["open_until"] = con.execute(
        f"SELECT max(open_us) FROM ({still_open}) JOIN speaking USING (unit) WHERE user_id = ?", [user]).fetchone()[0]
    if depth == len(funnel.steps):
        found["stopped"] = None
    elif depth and funnel.is_plain:
        found["stopped"] = stopped(con, funnel, user, depth)
    return found | others(con, funnel, user) if depth and funnel.is_plain else found


def explain_with_instants(answer):
    timed = lambda entry: entry if entry is None or entry["time"] is None else entry | {"time": spans.instant(entry["time"])}
    return answer | {"chosen": [timed(c) for c in answer["chosen"]], "attempts": [timed(a) for a in answer["attempts"]],
                     "stopped": timed(answer["stopped"]), "open_until": answer["open_until"] and spans.instant(answer["open_until"])}
