"""The figures of a funnel from its attempts: FUNNEL.md section 6."""

from statsmodels.stats.proportion import proportion_confint

import attempts_loop
import attempts_sql
from definition import fill

ALWAYS = (-(1 << 62), 1 << 62)

# The attempt that speaks for each unit. With `first` only the earliest may.
SPEAKING = """
CREATE OR REPLACE TEMP TABLE speaking AS
FROM (FROM attempts WHERE a_us >= {start} AND a_us < {end} {first})
QUALIFY row_number() OVER (PARTITION BY unit ORDER BY depth DESC, optional DESC, {entry}, a) = 1
"""
FIRST = "QUALIFY row_number() OVER (PARTITION BY unit ORDER BY a) = 1"

# Of every step the units that did it and their times, in ticks; a step before A, or with it, took none.
STEPS = """
WITH steps(step, previous) AS (VALUES {steps}),
done AS (SELECT attempt, step, greatest(0, m.sec - a.us // {tick}) AS tick
    FROM speaking s JOIN matched m USING (attempt) JOIN events a ON a.row = s.a),
times AS (
    SELECT d.step, d.tick, greatest(d.tick, p.tick) - p.tick AS after
    FROM done d JOIN steps USING (step) LEFT JOIN done p ON p.attempt = d.attempt AND p.step = steps.previous)
SELECT step, count(tick), median(tick), sum(tick)::HUGEINT, list_sort(list(tick))[(9 * count(tick) + 9) // 10],
    median(after), sum(after)::HUGEINT, list_sort(list(after))[(9 * count(tick) + 9) // 10]
FROM steps LEFT JOIN times USING (step) GROUP BY step ORDER BY step
"""

# Unconverted users with an attempt that was still open: the depth of the deepest one, and until when some attempt is.
OPEN = """
SELECT unit, max(depth) AS open_depth, max(open_until) * {tick} AS open_us
FROM (FROM (FROM attempts WHERE a_us >= {start} AND a_us < {end} {first}) QUALIFY max(depth) OVER (PARTITION BY unit) < {n})
WHERE {as_of} // {tick} <= open_until GROUP BY unit
"""


def attempts(con, funnel, span=ALWAYS, users=None):
    """The tables `fills`, `attempts` and `matched`; `users` is SQL of the users that count."""
    fill(con, funnel)
    if funnel.is_plain:
        attempts_sql.build(con, funnel)
    else:
        attempts_loop.build(con, funnel, *span)
    only(con, users)


def only(con, users):
    if users:
        con.execute(f"DELETE FROM attempts WHERE user_id NOT IN ({users})")


def speak(con, funnel, span=ALWAYS):
    """The table `speaking`."""
    entry = "took" if funnel.entry == "shortest" else "a"
    con.execute(SPEAKING.format(start=span[0], end=span[1], entry=entry, first=FIRST if funnel.entry == "first" else ""))


def rate(part, whole):
    return part / whole if whole else None


def interval(part, whole, scale=1):
    if not whole:
        return None
    return [bound * scale for bound in map(float, proportion_confint(part, whole, method="wilson"))]


def step_rows(con, funnel):
    n = len(funnel.steps)
    before = {i: funnel.before(i) if i > 1 else None for i in range(1, n + 1)}
    values = ", ".join(f"({i}, {before[i] or 'NULL'})" for i in before)
    return before, con.execute(STEPS.format(steps=values, tick=funnel.tick)).fetchall()


def counts(con, funnel):
    return [row[1] for row in step_rows(con, funnel)[1]]


def steps(con, funnel):
    before, rows = step_rows(con, funnel)
    count = {row[0]: row[1] for row in rows}
    unit = funnel.tick / 1e6
    ci = (lambda *_: None) if funnel.count_by == "attempts" else interval
    found = []
    for i, n, median, total, p90, median_after, total_after, p90_after in rows:
        optional = funnel.steps[i - 1].optional
        previous = count[before[i]] if i > 1 else None
        lost = previous - n if i > 1 and not optional else None
        entry = {
            "step": funnel.steps[i - 1].name, "index": i, "count": n, "dropoff": lost,
            "dropout_rate": None if lost is None or not previous else lost / previous * 100,
            "dropout_rate_ci": None if lost is None or not previous else ci(lost, previous, 100),
            "conversion_rate": None if optional else rate(count[len(rows)], n),
            "conversion_rate_ci": None if optional else ci(count[len(rows)], n),
            "conversion_from_first": rate(n, count[1]), "conversion_from_first_ci": ci(n, count[1]),
            "conversion_from_previous": rate(n, previous), "conversion_from_previous_ci": ci(n, previous),
        }
        for name, value in (("median", median), ("average", rate(total, n)), ("p90", p90)):
            entry[f"{name}_seconds"] = None if value is None else value * unit
        for name, value in (("median", median_after), ("average", rate(total_after, n) if i > 1 else None), ("p90", p90_after)):
            entry[f"{name}_seconds_from_previous"] = None if value is None else value * unit
        found.append(entry)
    return found


def summary(con, funnel):
    """What the whole says of itself, and a segment or a row of it."""
    rows = steps(con, funnel)
    entered, converted = rows[0]["count"], rows[-1]["count"]
    lost = [r for r in rows if r["dropoff"]]
    worst = max(lost, key=lambda r: (r["dropoff"], -r["index"]), default=None)
    return {
        "entered": entered, "converted": converted, "conversion": rate(converted, entered),
        "conversion_ci": None if funnel.count_by == "attempts" else interval(converted, entered), "steps": rows,
        "biggest_dropoff": worst and {"step": worst["step"], "index": worst["index"], "users": worst["dropoff"]},
    }


def still_open(funnel, as_of, span=ALWAYS):
    """SQL of the users who can still convert."""
    first = FIRST if funnel.entry == "first" else ""
    return OPEN.format(n=len(funnel.steps), as_of=as_of, tick=funnel.tick, start=span[0], end=span[1], first=first)


def open_attempts(con, funnel, as_of, span=ALWAYS):
    """Users by the depth of their deepest attempt that was still open."""
    return dict(con.execute(f"SELECT open_depth, count(*) FROM ({still_open(funnel, as_of, span)}) GROUP BY open_depth").fetchall())


def open_of_steps(con, funnel, as_of, span=ALWAYS):
    """Of the users lost before each step, those who can still convert; none where nobody can be lost."""
    by_depth = con.execute(
        f"SELECT s.depth, count(*) FROM speaking s JOIN ({still_open(funnel, as_of, span)}) USING (unit) GROUP BY s.depth").fetchall()
    found = [None]
    for i in range(2, len(funnel.steps) + 1):
        lost = funnel.count_by == "users" and not funnel.steps[i - 1].optional
        found.append(sum(n for depth, n in by_depth if funnel.before(i) <= depth < i) if lost else None)
    return found


def expected_conversions(con, funnel, as_of, span=ALWAYS):
    if funnel.count_by != "users":
        return None
    converted = con.execute("SELECT count(*) FROM speaking WHERE depth = ?", [len(funnel.steps)]).fetchone()[0]
    return converted + sum(funnel.chances[d - 1] * n for d, n in open_attempts(con, funnel, as_of, span).items())
