"""What the cluster should answer to a query's body: the whole, breakdown, trend and lists."""

import json

import attempts_loop
import figures
import spans
from definition import Funnel, fill
from figures import ALWAYS, rate


def funnel_of(body):
    return Funnel(body["funnel"], body.get("count_by"), body.get("session_gap"))


def whole(con, body, users=None):
    """The members of the answer itself; leaves the tables `attempts`, `matched` and `speaking` of the query."""
    funnel, span = funnel_of(body), spans.span(body, ALWAYS)
    figures.attempts(con, funnel, span, users)
    figures.speak(con, funnel, span)
    found = figures.summary(con, funnel)
    if "as_of" in body:
        as_of = spans.instant(body["as_of"])
        found["expected_conversions"] = figures.expected_conversions(con, funnel, as_of, span)
        for step, still_open in zip(found["steps"], figures.open_of_steps(con, funnel, as_of, span)):
            step["open"] = still_open
    return found | {"times": "exact"}


def row(funnel, counts):
    """A row of a breakdown, from the counts of its steps."""
    entered, converted = counts[0], counts[-1]
    ci = None if funnel.count_by == "attempts" else figures.interval(converted, entered)
    steps = []
    for i, n in enumerate(counts, 1):
        before = counts[funnel.before(i) - 1] if i > 1 else None
        steps.append({
            "step": funnel.steps[i - 1].name, "index": i, "count": n, "conversion_from_first": rate(n, entered),
            "conversion_from_previous": rate(n, before), "dropoff": before - n if i > 1 and not funnel.steps[i - 1].optional else None})
    return {"entered": entered, "converted": converted, "conversion": rate(converted, entered), "conversion_ci": ci, "steps": steps}


# Each chosen attempt's value: of the first or the last step whose event has it, or of one step; or of its user.
VALUED = """
CREATE OR REPLACE TEMP TABLE valued AS
SELECT s.attempt, {pick} AS value
FROM speaking s JOIN matched m USING (attempt) JOIN events e USING (row) LEFT JOIN user_properties u ON u.user_id = s.user_id
GROUP BY s.attempt
"""
PICK = {
    "first": 'arg_min(e."{p}", m.position) FILTER (e."{p}" IS NOT NULL)', "last": 'arg_max(e."{p}", m.position) FILTER (e."{p}" IS NOT NULL)',
    "step": 'any_value(e."{p}") FILTER (m.position = {n})'}
GROUPS = "SELECT value, step, count(*) FROM valued JOIN matched USING (attempt) GROUP BY value, step"


def as_text(value):
    """The order of values: a string's own bytes, of others their JSON text; of equal ones the string comes last."""
    return (value if isinstance(value, str) else json.dumps(value)).encode(), isinstance(value, str)


def value_counts(con, funnel, prop, touch):
    """Of each value, as JSON text, or None the counts of its steps."""
    kind, _, number = touch.partition(":")
    pick = f"any_value(u.{prop[5:]})" if prop.startswith("user.") else PICK[kind].format(p=prop, n=number)
    con.execute(VALUED.format(pick=pick))
    return counts_of_values(con, funnel)


def counts_of_values(con, funnel):
    found = {}
    for value, step, n in con.execute(GROUPS).fetchall():
        found.setdefault(value, [0] * len(funnel.steps))[step - 1] = n
    return found


def breakdown(con, body):
    """After `whole`."""
    funnel, asked = funnel_of(body), body["breakdown"]
    found = value_counts(con, funnel, asked["property"], asked.get("touch", "first"))
    nothing = found.pop(None, [0] * len(funnel.steps))
    order = sorted(found, key=lambda text: (-found[text][0], *as_text(json.loads(text))))
    k = asked.get("k", 10)
    rows = [{"value": json.loads(text)} | row(funnel, found[text]) for text in order[:k]]
    rows.append({"value": None} | row(funnel, nothing))
    rest = order[k:]
    other = {"values": len(rest)} | row(funnel, [sum(c) for c in zip(*(found[text] for text in rest))]) if rest else None
    return {"property": asked["property"], "touch": asked.get("touch", "first"), "k": k, "rows": rows, "other": other}


# Each bucket is the same query with the bucket as its range.
TREND = """
SELECT bucket, step, count(*) FROM (
    FROM (SELECT b.bucket, a.* FROM buckets b JOIN attempts a ON a.a_us >= b.low AND a.a_us < b.high {first})
    QUALIFY row_number() OVER (PARTITION BY bucket, unit ORDER BY depth DESC, optional DESC, {entry}, a) = 1)
JOIN matched USING (attempt) GROUP BY bucket, step
"""


def trend(con, body, users=None):
    """After `whole`. Bounds of buckets are microseconds."""
    funnel, asked, zone = funnel_of(body), body["trend"], spans.zone_of(body)
    low, high = spans.span(body, ALWAYS)
    if not funnel.is_plain and not attempts_loop.depends_on_range(funnel):
        figures.attempts(con, funnel, users=users)  # of all time, not of the query's range alone
    steps = "true" if funnel.order == "any" else "step = 1"
    first, last = con.execute(f"SELECT min(us), max(us) FROM fills WHERE {steps} AND us >= {low} AND us < {high}").fetchone()
    first, last = first if low == ALWAYS[0] else low, last if high == ALWAYS[1] else high - 1
    bounds = spans.buckets(asked["by"], zone, first, last) if first is not None and first <= last else []
    pairs = [(max(a, low), min(b, high)) for a, b in zip(bounds, bounds[1:])]
    found = [[0] * len(funnel.steps) for _ in pairs]
    if not attempts_loop.depends_on_range(funnel):
        con.execute("CREATE OR REPLACE TEMP TABLE buckets AS SELECT unnest(range(len($1))) AS bucket, unnest($1) AS low, unnest($2) AS high",
                    [[p[0] for p in pairs], [p[1] for p in pairs]])
        only = "QUALIFY row_number() OVER (PARTITION BY bucket, unit ORDER BY a) = 1" if funnel.entry == "first" else ""
        for bucket, step, n in con.execute(TREND.format(first=only, entry="took" if funnel.entry == "shortest" else "a")).fetchall():
            found[bucket][step - 1] = n
    else:
        fill(con, funnel)
        histories = list(attempts_loop.histories(con, funnel))
        for k, pair in enumerate(pairs):
            attempts_loop.build(con, funnel, *pair, histories)
            figures.only(con, users)
            figures.speak(con, funnel, pair)
            found[k] = figures.counts(con, funnel)
    as_of = spans.instant(body["as_of"])
    return {"by": asked["by"], "time_zone": body.get("time_zone", "UTC"), "buckets": [
        {
            "start": pair[0], "end": pair[1], "immature": pair[1] + funnel.matures > as_of, "entered": counts[0], "converted": counts[-1],
            "conversion": rate(counts[-1], counts[0]),
            "steps": [{"step": s.name, "index": i, "count": n} for i, (s, n) in enumerate(zip(funnel.steps, counts), 1)],
        } for pair, counts in zip(pairs, found)]}


def with_instants(answer):
    """The answer with the bounds of a trend's buckets in microseconds, as ours."""
    if "trend" not in answer:
        return answer
    instants = lambda bucket: bucket | {key: spans.instant(bucket[key]) for key in ("start", "end")}
    return answer | {"trend": answer["trend"] | {"buckets": [instants(bucket) for bucket in answer["trend"]["buckets"]]}}


def users(con, body, step, outcome, among="true"):
    """After `whole`: ids of the users of a row, in order; `among` is a condition in SQL."""
    funnel = funnel_of(body)
    did = f"attempt IN (SELECT attempt FROM matched WHERE step = {step})"
    if outcome == "converted":
        test = f"depth = {len(funnel.steps)}"
    elif outcome in ("dropped", "open"):
        test = f"depth >= {funnel.before(step)} AND NOT {did}"
        if outcome == "open":
            test += f" AND unit IN (SELECT unit FROM ({figures.still_open(funnel, spans.instant(body['as_of']), spans.span(body, ALWAYS))}))"
    else:
        test = did
    return [row[0] for row in con.execute(f"SELECT DISTINCT user_id FROM speaking WHERE {test} AND {among} ORDER BY user_id").fetchall()]


def group_users(con, body):
    """Users of a row of a breakdown."""
    group = body["group"]
    whole(con, body)
    value_counts(con, funnel_of(body), group["property"], group.get("touch", "first"))
    value = None if group["value"] is None else json.dumps(group["value"], ensure_ascii=False)
    test = "value IS NULL" if value is None else "value = '" + value.replace("'", "''") + "'"
    return users(con, body, body["step"], body.get("outcome", "reached"), f"attempt IN (SELECT attempt FROM valued WHERE {test})")
