"""The queries, each for every engine, and the one rule they share.

The rule is ClickHouse's `windowFunnel` in its default mode: steps in order of time, equal times count in either order,
all steps within the window of the first. Sluice says it as `"preset": "clickhouse-default/1"`.

- *range*: only step 1 must lie in it; later steps may fall after its end, within the window.
- *trend*: each day is the same query with step 1 limited to the day, so a later step may serve its own day and the day
  before (the window is a day).
- *breakdown*: the row of a user is the country of step 1 of the attempt that speaks for the user: the deepest, of these
  the shortest, of these the earliest. The engines carry step 1 along a chain of ASOF joins. What most people would write
  in ClickHouse, `argMinIf`, labels a user by the first step-1 event ever, whether or not it led anywhere; it is an
  easier question, its rows differ a little and only its sums agree. It is measured too, and the ratio is
  taken against whichever is faster.

No peer gives times. The case with times is set against the peers' counts.
"""

import json
from dataclasses import dataclass, field

from generate import DAY_MS, START_MS

F4 = ["view_product", "add_to_cart", "begin_checkout", "purchase"]
F6 = ["page_view", "view_product", "add_to_cart", "begin_checkout", "add_payment", "purchase"]
LOW, HIGH = START_MS + 7 * DAY_MS, START_MS + 14 * DAY_MS


@dataclass
class Case:
    """One question."""

    name: str
    rule: str
    steps: list = field(default_factory=lambda: F4)
    days: int = 1
    times: bool = False
    ranged: bool = False
    filtered: bool = False
    group: str = ""  # "", "country" or "day"
    peers_as: str = ""  # the case whose peer results stand for this one

    @property
    def window(self):
        return self.days * DAY_MS

    def conditions(self):
        """SQL conditions of the steps, the range on step 1 included."""
        found = [f"event = '{step}'" for step in self.steps]
        if self.filtered:
            found[0] += " AND device = 'mobile'"
            found[-1] += " AND price > 20"
        if self.ranged:
            found[0] += f" AND ts >= {LOW} AND ts < {HIGH}"
        return found

    def rows(self):
        """SQL condition for the rows that can matter at all."""
        text = "event IN (" + ", ".join(f"'{step}'" for step in self.steps) + ")"
        return text + (f" AND ts >= {LOW} AND ts < {HIGH + self.window}" if self.ranged else "")


CASES = [
    Case("f4_1d", "4 steps, window 1 day, counts only"),
    Case("f4_1d_times", "the same with medians, averages and p90 (peers: counts only)", times=True, peers_as="f4_1d"),
    Case("f4_30d", "4 steps, window 30 days, counts only", days=30),
    Case("f6_1d", "6 steps, window 1 day, counts only", steps=F6),
    Case("f4_7days", "4 steps, step 1 in 7 of the 30 days", ranged=True),
    Case("f4_filter", "4 steps, device = mobile on the first, price > 20 on the last", filtered=True),
    Case("f4_country", "4 steps by country of step 1", group="country"),
    Case("f4_trend", "4 steps by day of step 1", group="day"),
]


def sluice_request(case):
    """The body for POST /v1/query."""
    steps = list(case.steps)
    if case.filtered:
        steps[0] = {"name": steps[0], "where": [{"property": "device", "op": "=", "value": "mobile"}]}
        steps[-1] = {"name": steps[-1], "where": [{"property": "price", "op": ">", "value": 20}]}
    request = {"funnel": {"steps": steps, "window_duration": f"{case.days}d", "preset": "clickhouse-default/1"}}
    if not case.times:
        request["times"] = "none"
    if case.ranged:
        request["start"], request["end"] = "2025-06-08T00:00:00Z", "2025-06-15T00:00:00Z"
    if case.group == "country":
        request["breakdown"] = {"property": "country", "touch": "step:1", "k": 1000}
    if case.group == "day":
        request["start"], request["end"] = "2025-06-01", "2025-06-30"
        request["trend"] = {"by": "day"}
    return request


def sluice_result(case, answer):
    """Counts of an answer: a tuple, or a dict of tuples by group."""
    if not case.group:
        return tuple(step["count"] for step in answer["steps"])
    found = answer.get("breakdown" if case.group == "country" else "trend")
    if isinstance(found, dict):
        lists = (found[key] for key in ("rows", "buckets", "groups", "values") if isinstance(found.get(key), list))
        found = next(lists, None)
    if not isinstance(found, list):
        raise SystemExit(f"{case.name}: no rows found in the answer's keys {sorted(answer)}: teach cases.py its shape")
    result = {}
    for row in found:
        key = next(row[name] for name in ("value", "bucket", "start", "from", "day") if name in row)
        counts = row["counts"] if "counts" in row else [step["count"] for step in row["steps"]]
        if case.group == "day":
            key = int(str(key)[8:10]) - 1
        result[key] = tuple(counts)
    return tidy(result)


def tidy(groups):
    """Groups in which somebody did something."""
    return {key: tuple(map(int, counts)) for key, counts in groups.items() if any(counts)}


def sums(result):
    """Totals over groups."""
    return tuple(map(sum, zip(*result.values()))) if isinstance(result, dict) else result


def grouped(case, rows):
    """What an engine's rows say: the first column is the group where there is one."""
    rows = [list(row) for row in rows]
    if not case.group:
        return tuple(int(count) for count in rows[0])
    return tidy({(int(row[0]) if case.group == "day" else row[0]): [int(n) for n in row[1:]] for row in rows})


# A level, a duration and a start packed into one number whose maximum is the attempt that speaks for a user.
def rank(level, duration, start, unsigned):
    cast, shift = ("toInt64({})", "bitShiftLeft({}, {})") if unsigned else ("({})::BIGINT", "({} << {})")
    parts = [
        shift.format(cast.format(level), 60),
        shift.format(cast.format(f"{2**27 - 1} - ({duration})"), 32),
        cast.format(f"{2**32 - 1} - ({start} - {START_MS})"),
    ]
    return " + ".join(parts)


def chdb_queries(case, table):
    """{form: SQL}; the form "first-touch" answers the easier question."""
    conditions = case.conditions()
    levels = ", ".join(f"countIf(l >= {k})" for k in range(1, len(case.steps) + 1))
    funnel = f"windowFunnel({case.window})(ts, {', '.join(conditions)}) AS l"
    if not case.group:
        return {"": f"SELECT {levels} FROM (SELECT {funnel} FROM {table} WHERE {case.rows()} GROUP BY user)"}
    if case.group == "day":
        day = f"intDiv(ts - {START_MS}, {DAY_MS})"
        spread = f"arrayJoin(if({conditions[0]}, [{day}], [{day} - 1, {day}])) AS d"
        inner = f"SELECT user, ts, event, {spread} FROM {table} WHERE {case.rows()}"
        return {
            "": f"SELECT d, {levels} FROM (SELECT d, {funnel} FROM ({inner}) GROUP BY user, d) WHERE l > 0 GROUP BY d"
        }
    first = f"argMinIf(country, ts, {conditions[0]}) AS c"
    touch = f"SELECT {first}, {funnel} FROM {table} WHERE {case.rows()} GROUP BY user"
    touch = f"SELECT c, {levels} FROM ({touch}) WHERE l > 0 GROUP BY c"
    chain = [f"a1 AS MATERIALIZED (SELECT user, ts, ts AS s, country AS c FROM {table} WHERE {conditions[0]})"]
    for k in range(2, len(case.steps) + 1):
        step = f"(SELECT user, ts FROM {table} WHERE {conditions[k - 1]}) AS b"
        chain.append(
            f"a{k} AS MATERIALIZED (SELECT b.user AS user, b.ts AS ts, a.s AS s, a.c AS c FROM {step} ASOF JOIN a{k - 1} AS a "
            f"ON b.user = a.user AND b.ts >= a.ts WHERE b.ts - a.s <= {case.window})"
        )
    places = range(1, len(case.steps) + 1)
    ends = " UNION ALL ".join(f"SELECT user, c, {rank(k, 'ts - s', 's', True)} AS r FROM a{k}" for k in places)
    best = f"SELECT argMax(c, r) AS c, bitShiftRight(max(r), 60) AS l FROM ({ends}) GROUP BY user"
    exact = f"WITH {', '.join(chain)} SELECT c, {levels} FROM ({best}) GROUP BY c SETTINGS enable_materialized_cte = 1"
    return {"": exact, "first-touch": touch}


def duckdb_query(case):
    """A chain of ASOF joins over the table in order of event, user, time."""
    conditions, count = case.conditions(), len(case.steps)
    by_day = case.group == "day"
    day = f"(ts - {START_MS}) // {DAY_MS}"
    key, same = ("user, d", "b.user = a.user AND b.d = a.d") if by_day else ("user", "b.user = a.user")
    first_day = f", {day} AS d" if by_day else ""
    country, carry = (", country AS c", ", a.c") if case.group == "country" else ("", "")
    carry += ", b.d" if by_day else ""
    chain = [f"a1 AS MATERIALIZED (SELECT user, ts, ts AS s{country}{first_day} FROM e WHERE {conditions[0]})"]
    for k in range(2, count + 1):
        where = f"{conditions[k - 1]}" + (f" AND ts >= {LOW} AND ts < {HIGH + case.window}" if case.ranged else "")
        step = f"SELECT user, ts{first_day} FROM e WHERE {where}"
        if by_day:
            step += f" UNION ALL SELECT user, ts, {day} - 1 AS d FROM e WHERE {where}"
        chain.append(
            f"a{k} AS MATERIALIZED (SELECT b.user, b.ts, a.s{carry} FROM ({step}) b ASOF JOIN a{k - 1} a "
            f"ON {same} AND b.ts >= a.ts WHERE b.ts - a.s <= {case.window})"
        )
    head = "WITH " + ", ".join(chain)
    if case.group == "country":
        ends = (f"SELECT user, c, {rank(k, 'ts - s', 's', False)} AS r FROM a{k}" for k in range(1, count + 1))
        best = f"SELECT arg_max(c, r) AS c, max(r) >> 60 AS l FROM ({' UNION ALL '.join(ends)}) GROUP BY user"
        levels = ", ".join(f"count(*) FILTER (l >= {k})" for k in range(1, count + 1))
        return f"{head} SELECT c, {levels} FROM ({best}) GROUP BY c"
    if by_day:
        ends = " UNION ALL ".join(f"SELECT DISTINCT user, d, {k} AS l FROM a{k}" for k in range(1, count + 1))
        levels = ", ".join(f"count(*) FILTER (l = {k})" for k in range(1, count + 1))
        return f"{head} SELECT d, {levels} FROM ({ends}) GROUP BY d"
    return head + " SELECT " + ", ".join(f"(SELECT count(DISTINCT user) FROM a{k})" for k in range(1, count + 1))


def polars_query(case, frame):
    """(a function that answers, its text). The frame is in order of (event, key); key = user * 2^33 + ms of the month."""
    import polars as pl

    def level(step, number):
        rows = frame.lazy().filter(pl.col("event") == step)
        if case.filtered and number == 1:
            rows = rows.filter(pl.col("device") == "mobile")
        if case.filtered and number == len(case.steps):
            rows = rows.filter(pl.col("price") > 20)
        if case.ranged:
            high = HIGH + (0 if number == 1 else case.window)
            rows = rows.filter((pl.col("key") & (2**33 - 1)).is_between(LOW - START_MS, high - START_MS, closed="left"))
        if case.group != "day":
            return rows.select("key", "country") if case.group and number == 1 else rows.select("key")
        # key by (user, day): a later step is there for its own day and for the day before
        user, ms = pl.col("key") // 2**33, pl.col("key") & (2**33 - 1)
        keyed = lambda back: ((user * 32 + ms // DAY_MS + 1 - back) * 2**28 + ms % DAY_MS + back * DAY_MS).alias("key")
        if number == 1:
            return rows.select(keyed(0))
        return pl.concat([rows.select(keyed(0)), rows.select(keyed(1))]).sort("key")

    unit = 2**28 if case.group == "day" else 2**33

    def run():
        levels = [level(case.steps[0], 1).with_columns(pl.col("key").alias("start")).set_sorted("key")]
        for number, step in enumerate(case.steps[1:], 2):
            later = level(step, number).set_sorted("key").join_asof(levels[-1], on="key", strategy="backward")
            levels.append(later.filter(pl.col("key") - pl.col("start") <= case.window).set_sorted("key"))
        if not case.group:
            counts = pl.collect_all([found.select((pl.col("key") // unit).n_unique()) for found in levels])
            return [[int(count.item()) for count in counts]]
        if case.group == "day":
            days = [
                found.select((pl.col("key") // unit).unique())
                .select((pl.col("key") % 32 - 1).alias("d"))
                .group_by("d")
                .len()
                for found in levels
            ]
            table = {}
            for place, counts in enumerate(pl.collect_all(days)):
                for day, count in counts.iter_rows():
                    table.setdefault(day, [0] * len(levels))[place] = count
            return [[day, *counts] for day, counts in table.items()]
        user, took = (pl.col("key") // unit).alias("user"), (pl.col("key") - pl.col("start")).alias("took")
        ends = [
            found.select(user, "country", took, "start", pl.lit(place, pl.Int8).alias("l"))
            .group_by("user")
            .agg(pl.all().sort_by("took", "start").first() if place > 1 else pl.all().first())
            for place, found in enumerate(levels, 1)
        ]
        best = pl.concat(ends).group_by("user").agg(pl.col("country").sort_by("l").last(), pl.col("l").max())
        counts = [(pl.col("l") >= k).sum().alias(str(k)) for k in range(1, len(levels) + 1)]
        return best.group_by(pl.col("country").cast(pl.String)).agg(counts).collect().rows()

    return run, "filter(event) > join_asof(key, backward) > filter(key - start <= window) by step; n_unique(user)"


def side_by_side(case):
    """The request and the queries as text, for the report."""
    chdb = "\n".join(f"  chDB {form or 'exact'}: {sql}" for form, sql in chdb_queries(case, "events").items())
    text = polars_query(case, None)[1]
    return (
        f"{case.name}: {case.rule}\n  Sluice: POST /v1/query {json.dumps(sluice_request(case))}\n{chdb}\n"
        f"  DuckDB: {duckdb_query(case)}\n  Polars: {text}"
    )
