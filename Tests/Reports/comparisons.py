"""Reports that set groups of users side by side: cohorts, segments, periods and experiments."""

import json

import figures
import reports
import spans
import tests_of_rates as tests
from definition import Funnel
from figures import ALWAYS


def as_object(step):
    return {"name": step} if isinstance(step, str) else dict(step)


def cohort(con, asked, saved):
    """SQL of a cohort's users: those whose chosen attempt of a saved funnel, of all time, did a step, or only the one before."""
    (outcome, of), = asked.items()
    definition = saved[of["funnel_id"]]
    funnel = Funnel(definition, count_by="users")
    step = of["step"] if isinstance(of["step"], int) else [s.name for s in funnel.steps].index(of["step"]) + 1
    body = {"funnel": definition, "count_by": "users"}
    reports.whole(con, body)
    users = reports.users(con, body, step, outcome)
    return "SELECT unnest([" + ", ".join("'" + u.replace("'", "''") + "'" for u in users) + "]::VARCHAR[])"


def both(*users):
    given = [u for u in users if u]
    return " INTERSECT ".join(given) if given else None


def segments(con, body, saved):
    """Each is the same query with its `where` added to step 1, over only the users of its cohort."""
    own = cohort(con, body["cohort"], saved) if "cohort" in body else None
    found = []
    for segment in body["segments"]:
        users = both(own, cohort(con, segment["cohort"], saved) if "cohort" in segment else None)
        first, *others = body["funnel"]["steps"]
        first = as_object(first)
        first["where"] = first.get("where", []) + segment.get("where", [])
        narrowed = {**body, "funnel": {**body["funnel"], "steps": [first, *others]}}
        found.append({"name": segment["name"]} | reports.whole(con, narrowed, users))
    return found


def period(con, funnel, span):
    figures.attempts(con, funnel, span)
    figures.speak(con, funnel, span)
    return reports.row(funnel, figures.counts(con, funnel))


def previous_period(con, body):
    """This period less the one before; a user can be in both."""
    funnel, as_of = reports.funnel_of(body), spans.instant(body["as_of"])
    (low, high), (start, end) = spans.previous(body), spans.span(body, ALWAYS)
    now, then = period(con, funnel, (start, end)), period(con, funnel, (low, high))
    less = lambda a, b: None if a is None or b is None else a - b
    change = {key: less(now[key], then[key]) for key in ("entered", "converted", "conversion")} | {
        "immature": end + funnel.matures > as_of,
        "steps": [{key: a[key] for key in ("step", "index")} | {key: less(a[key], b[key]) for key in ("count", "conversion_from_first")}
                  for a, b in zip(now["steps"], then["steps"])]}
    return {"previous": {"start": low, "end": high, "immature": high + funnel.matures > as_of} | then, "change": change}


def with_instants(answer):
    before = answer["previous"]
    return answer | {"previous": before | {key: spans.instant(before[key]) for key in ("start", "end")}}


# What each user saw: the property of the events that may start an attempt.
EXPOSED = """
CREATE OR REPLACE TEMP TABLE exposed AS
SELECT f.user_id, arg_min(e."{p}", e.row) AS value, count(DISTINCT e."{p}") AS several
FROM (SELECT DISTINCT user_id, row FROM fills WHERE {steps} AND us >= {start} AND us < {end}) f JOIN events e USING (row)
WHERE e."{p}" IS NOT NULL GROUP BY f.user_id
"""
VALUED = "CREATE OR REPLACE TEMP TABLE valued AS SELECT s.attempt, x.value FROM speaking s LEFT JOIN exposed x USING (user_id)"
SEVERAL = "SELECT count(*) FROM speaking JOIN exposed USING (user_id) WHERE several > 1"


def by_variant(con, funnel, body, touch):
    """Of each value the counts of its steps, and how many users saw several; by first exposure where `touch` is None."""
    prop = body["variants"]["property"]
    if prop.startswith("user."):
        return reports.value_counts(con, funnel, prop, touch or "first"), 0
    start, end = spans.span(body, ALWAYS)
    con.execute(EXPOSED.format(p=prop, steps="true" if funnel.order == "any" else "step = 1", start=start, end=end))
    several, = con.execute(SEVERAL).fetchone()
    if touch:
        return reports.value_counts(con, funnel, prop, touch), several
    con.execute(VALUED)
    return reports.counts_of_values(con, funnel), several


def experiment(con, body):
    """`variants` of a property, after `reports.whole`; groups by the JSON text of their value."""
    funnel, asked = reports.funnel_of(body), body["variants"]
    exposure = asked.get("exposure", "attempt" if "touch" in asked else "first")
    touch = asked.get("touch", "step:1") if exposure == "attempt" else None
    counts, several = by_variant(con, funnel, body, touch)
    nothing = counts.pop(None, [0] * len(funnel.steps))
    shares = asked.get("expected", {})
    texts = {t: json.loads(t) if isinstance(json.loads(t), str) else t for t in counts}
    counts |= {json.dumps(name, ensure_ascii=False): [0] * len(funnel.steps) for name in shares if name not in texts.values()}
    values = sorted(counts, key=lambda t: reports.as_text(json.loads(t)))
    control = json.dumps(asked.get("control", "control"))
    control = control if control in values else values[0]
    order = [control] + [v for v in values if v != control]
    pairs = [(counts[v][-1], counts[v][0]) for v in order]
    compared = [tests.comparison(*pairs[0], *pair) for pair in pairs[1:]]
    for key in ("p_value", "sequential_p_value"):
        for one, value in zip(compared, tests.holm([c[key] for c in compared])):
            one["adjusted_" + key] = value
    best = tests.chance_to_be_best(pairs)
    users = [n for _, n in pairs]
    parts = [shares[as_share(v)] if shares else 1 for v in order]
    ratio = tests.sample_ratio(users, parts)
    newest = con.execute("SELECT max(us) FROM events").fetchone()[0]
    end = min(spans.span(body, ALWAYS)[1], newest)
    return {
        "property": asked["property"], "exposure": exposure, "touch": touch, "several_values": several, "control": json.loads(control),
        "immature": end + funnel.matures > spans.instant(body["as_of"]),
        "groups": {v: {"value": json.loads(v), "chance_to_be_best": best[k], "comparison": compared[k - 1] if k else None}
                   | reports.row(funnel, counts[v]) for k, v in enumerate(order)},
        "without_value": reports.row(funnel, nothing),
        "sample_ratio": {"expected": {v: part / sum(parts) for v, part in zip(order, parts)}, "p_value": ratio,
                         "mismatch": None if ratio is None else ratio < 0.0005},
    }


def as_share(text):
    value = json.loads(text)
    return value if isinstance(value, str) else text


def with_groups_by_value(answer):
    """The answer with its groups and shares by the JSON text of their value; the control must be the first of them."""
    variants = dict(answer["variants"])
    assert variants["groups"][0]["value"] == variants["control"], "the control is not the first group"
    variants["groups"] = {json.dumps(g["value"], ensure_ascii=False): g for g in variants["groups"]}
    ratio = variants["sample_ratio"]
    variants["sample_ratio"] = ratio | {"expected": {json.dumps(e["value"], ensure_ascii=False): e["share"] for e in ratio["expected"]}}
    return answer | {"variants": variants}


# Users of two funnels by whether they entered and converted in each.
PAIRS = """
SELECT coalesce(a.depth > 0, false), coalesce(a.depth = {n}, false), coalesce(b.depth > 0, false), coalesce(b.depth = {m}, false), count(*)
FROM first_speaking a FULL JOIN speaking b USING (user_id) GROUP BY ALL
"""


def two_funnels(con, body):
    """`variants` of two funnels; the whole answer is the first one's."""
    one, two = (f["funnel"] for f in body["variants"]["funnels"])
    first = reports.whole(con, {**body, "funnel": one})
    con.execute("CREATE OR REPLACE TEMP TABLE first_speaking AS FROM speaking")
    second = reports.whole(con, {**body, "funnel": two})
    found = {(a, c, b, d): n for a, c, b, d, n in con.execute(PAIRS.format(n=len(one["steps"]), m=len(two["steps"]))).fetchall()}
    cell = lambda c, d: found.get((True, c, True, d), 0)
    alone = lambda keys: {"entered": sum(n for key, n in found.items() if key in keys),
                          "converted": sum(n for key, n in found.items() if key in keys and True in (key[1], key[3]))}
    first_alone, second_alone = ([(True, c, False, False) for c in (True, False)], [(False, False, True, d) for d in (True, False)])
    kinds = {"converted_both": cell(True, True), "converted_first_only": cell(True, False), "converted_second_only": cell(False, True),
             "converted_neither": cell(False, False)}
    return first | {"variants": {
        "funnels": [{"name": f["name"]} | {key: whole[key] for key in ("entered", "converted", "conversion", "conversion_ci")}
                    for f, whole in zip(body["variants"]["funnels"], (first, second))],
        "table": {"entered_both": {"users": sum(kinds.values())} | kinds,
                  "entered_first_only": alone(first_alone), "entered_second_only": alone(second_alone)},
        "paired": tests.paired(*kinds.values())}}
