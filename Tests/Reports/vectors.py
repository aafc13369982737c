"""The worked cases of Protocol/vectors/funnels.json by our own loops: what is compared with must first be right itself."""

import json
import os

import attempts_loop
import eventlog
import figures
from compare import Checks
from definition import Funnel, fill

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Protocol", "vectors", "funnels.json")


def instant(con, text):
    return con.execute("SELECT epoch_us(?::TIMESTAMPTZ)", [text]).fetchone()[0]


def answer(con, case):
    """The same members as the case has: counts, open attempts and, per user, depths, seconds and the places of steps, from 0."""
    funnel = Funnel(case["definition"])
    keys = {key for user in case["users"] for _, _, *more in user["events"] for key in (more[0] if more else {})} | {"tier"}
    keys |= {c["property"] for part in funnel.steps + funnel.exclusions for c in part.where}
    columns = "".join(f", member(nullif(p, '')::JSON -> '$.{key}') AS {key}" for key in sorted(keys))
    rows = [(f"u{u}", name, at, f"{k:03}", json.dumps(more[0]) if more else "")
            for u, user in enumerate(case["users"]) for k, (name, at, *more) in enumerate(user["events"])]
    con.execute("CREATE OR REPLACE TEMP TABLE given (user_id VARCHAR, event VARCHAR, time VARCHAR, event_id VARCHAR, p VARCHAR)")
    if rows:
        con.executemany("INSERT INTO given VALUES (?, ?, ?, ?, ?)", rows)
    con.execute(f"""
        CREATE OR REPLACE TABLE events AS SELECT row_number() OVER (ORDER BY user_id, us, event, event_id) AS row, *
        FROM (SELECT user_id, event, event_id, epoch_us(time::TIMESTAMPTZ) AS us {columns} FROM given)""")
    span = figures.ALWAYS
    if "range" in case:
        span = (instant(con, case["range"]["start"]), instant(con, case["range"]["end"]))
    fill(con, funnel)
    attempts_loop.build(con, funnel, *span)
    figures.speak(con, funnel, span)
    found = {"counts": figures.counts(con, funnel)}
    if "open" in case:
        by_depth = figures.open_attempts(con, funnel, instant(con, case["as_of"]), span)
        found["open"] = [by_depth.get(d, 0) for d in range(1, len(funnel.steps) + 1)]
    outcomes = {}
    for user, depth, chain in con.execute(f"""
            SELECT s.user_id, s.depth, list({{'step': m.step, 'did': m.position - 1, 's': greatest(0, m.sec - e.us // {funnel.tick})}} ORDER BY m.step)
            FROM speaking s JOIN matched m USING (attempt) JOIN events e ON e.row = s.a
            GROUP BY s.attempt, s.a, s.user_id, s.depth ORDER BY s.a""").fetchall():
        at = {c["step"]: c["s"] * funnel.tick / 1e6 for c in chain}
        outcomes.setdefault(user, []).append({"depth": depth, "seconds": [at.get(i) for i in range(1, depth + 1)],
                                             "positions": [c["did"] for c in chain]})
    found["users"] = [
        {"outcomes": outcomes.get(f"u{u}", [])} if "outcomes" in user else outcomes.get(f"u{u}", [{"depth": 0, "seconds": []}])[0]
        for u, user in enumerate(case["users"])]
    return found


def run(checks):
    with open(FILE) as file:
        cases = json.load(file)
    con = eventlog.empty()
    expected, got = [], []
    for case in cases:
        expected.append({k: case[k] for k in ("counts", "open") if k in case} | {
            "users": [{k: user[k] for k in ("depth", "seconds", "outcomes", "positions") if k in user} for user in case["users"]]})
        got.append(answer(con, case))
    checks.compare(f"our own loops: the {len(cases)} worked cases", expected, got)


if __name__ == "__main__":
    found = Checks()
    run(found)
