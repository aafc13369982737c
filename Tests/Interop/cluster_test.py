#!/usr/bin/env python3
"""The client against a running cluster (`sluice up --any-port --shards 2 --data DIR --info INFO_FILE`, without keys).

    python3 cluster_test.py INFO_FILE

Every run has user ids and event names of its own, so a cluster may be tested many times.
"""

import json
import os
import secrets
import sys
import time
import traceback

import frames
from answers import decode_answer
from client_messages import encode_append, encode_hello
from errors import ERROR_CODES, ERRORS, SluiceError
from frames import Frame, encode_frame
from sluice_client import Client
from timestamps import parse_timestamp

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.environ.get("SLUICE_VECTORS") or os.path.join(HERE, "..", "..", "Protocol", "vectors")
RUN = secrets.token_hex(4)
SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
T0 = parse_timestamp("2024-03-20T14:00:00Z")

passed = failed = 0


def check(what, good, detail=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {detail}")


def equal(what, got, want):
    check(what, got == want, f"got {got!r}, want {want!r}")


def fails(what, name, call, **fields):
    """The call must fail with that error; `fields` are attributes that it must have."""
    try:
        result = call()
    except SluiceError as error:
        equal(what, error.name, name)
        known = ERRORS[ERROR_CODES[name]]
        equal(what + ": outcome", error.outcome, fields.pop("outcome", known[1]))
        equal(what + ": retryable", error.retryable, fields.pop("retryable", known[2]))
        for field, want in fields.items():
            equal(f"{what}: {field}", getattr(error, field), want)
        return error
    check(what, False, f"no error but {result!r}"[:300])


def event(user, name, at, id="", **properties):
    return {"user": user, "event": name, "microseconds": at, "id": id, "properties": properties}


class Cluster:
    def __init__(self, info):
        self.info = info
        self.ingest = Client(info["ingest"]["wire"])
        self.coordinator = Client(info["coordinator"]["wire"])
        self.shards = [Client(shard["wire"]) for shard in info["shards"]]

    def services(self):
        yield "ingest", self.ingest
        yield "coordinator", self.coordinator
        for shard in self.shards:
            yield "shard", shard

    def counts(self, *steps, **more):
        report = self.coordinator.query({"funnel": {"steps": list(steps), **more}})
        return [step["count"] for step in report["steps"]]


# ------------------------------------------------------------------------------------------------------ tests


def hello_and_health(c):
    ids = set()
    for role, client in c.services():
        hello, health = client.hello(), client.health()
        equal(f"{role}: role in hello", hello["role"], role)
        equal(f"{role}: version", hello["version"], 1)
        equal(f"{role}: health", health, {"role": role, "ready": True, "epoch": hello["epoch"]})
        ids.add(hello["cluster"])
    check("one cluster id, not 0", len(ids) == 1 and ids != {0}, ids)
    c.cluster_id = ids.pop()
    with Client(c.ingest.address, cluster=c.cluster_id) as client:
        equal("health with the right cluster id", client.health()["ready"], True)
    for role, client in c.services():
        body = encode_hello(bytes(16), lowest=2, highest=9)
        fails(f"{role}: hello of versions 2 to 9", "unsupported_version",
              lambda: client.call("hello", frames.HELLO, body, frames.HELLO_RESULT))


def append_and_repeats(c):
    visit, cart, buy = (f"{name} {RUN} ✓" for name in ("Visit", "Cart", "Buy"))
    ann, zoe, family = f"ann-{RUN}", f"Zoë-{RUN}", f"👨‍👩‍👧-{RUN}"
    steps = [visit, cart, {"name": buy, "where": [
        {"property": "plan", "op": "=", "value": "prö ✓"}, {"property": "n", "op": ">=", "value": -3},
        {"property": "price", "op": "<", "value": 10}, {"property": "paid", "op": "=", "value": True}]}]
    kinds = dict(plan="prö ✓", n=-3, price=9.75, paid=True)
    batch = [event(ann, visit, T0, "a1"), event(ann, cart, T0 + 10 * SECOND, "a2"),
             event(ann, buy, T0 + 30 * SECOND, "a3", **kinds),
             event(zoe, visit, T0, "z1"), event(zoe, cart, T0 + 20 * SECOND, "z2"),
             event(zoe, buy, T0 + 90 * SECOND, "z3", **{**kinds, "paid": False}),
             event(family, visit, T0 - HOUR, "f1", empty="", low=-(1 << 63), high=(1 << 63) - 1, small=5e-324)]
    stored = {"accepted": 7, "repeated": False, "rejected": [], "retry": [], "shards": []}
    equal("append", c.ingest.append(batch), stored)
    # ann has all three, Zoë's purchase is not paid, the family only looked
    equal("counts", c.counts(*steps), [3, 2, 1])
    again = c.ingest.append(batch, sequence=c.ingest.sequence)
    equal("repeat: its first result", again, {**stored, "repeated": True})
    equal("repeat: counts stay", c.counts(*steps), [3, 2, 1])
    equal("new sequence, same ids", c.ingest.append(batch)["accepted"], 7)
    equal("new sequence, same ids: counts stay", c.counts(*steps), [3, 2, 1])

    # How often is one event stored? Steps that repeat an event, flexible, need as many events as steps.
    def copies(name, most=4):
        counts = c.counts(*[name] * most, conversion_order={"flexible": {"limit": "1s"}})
        return sum(1 for count in counts if count)

    equal("one Visit a user", copies(visit), 1)
    tick = f"tick {RUN}"
    bare = [event(f"bare-{RUN}", tick, T0)]
    c.ingest.append(bare)
    equal("an event without id", copies(tick), 1)
    c.ingest.append(bare, sequence=c.ingest.sequence)
    equal("its repeat adds nothing", copies(tick), 1)
    c.ingest.append(bare)
    equal("a new sequence adds it again", copies(tick), 2)
    fails("a number used for other rows is refused, not taken for stored", "sequence_reused",
          lambda: c.ingest.append([event(f"bare-{RUN}", f"other {RUN}", T0)], sequence=c.ingest.sequence))
    equal("and nothing of it is stored", copies(f"other {RUN}"), 0)

    with Client(c.ingest.address) as first, Client(c.ingest.address) as second:
        keyed = f"keyed {RUN}"
        rows = [event(f"keyed-{RUN}", keyed, T0), event(f"keyed-{RUN}", keyed, T0)]
        equal("idempotency key", first.append(rows, f"night-{RUN}")["accepted"], 2)
        equal("two rows of one key are two events", copies(keyed), 2)
        equal("the key under another producer", second.append(rows, f"night-{RUN}")["accepted"], 2)
        equal("adds nothing", copies(keyed), 2)
        second.append([event(f"keyed-{RUN}", keyed, T0, f"night-{RUN}/1")])
        equal("the id K/<row> is that very event", copies(keyed), 2)
        second.append(rows, f"day-{RUN}")
        equal("another key does add", copies(keyed), 4)

    with Client(c.ingest.address, compress=False) as plain:
        many = [event(f"many-{RUN}-{n}", f"many {RUN}", T0 + n, f"m{n}", n=n) for n in range(3000)]
        equal("3,000 rows, not compressed, two-byte codes", plain.append(many)["accepted"], 3000)
        equal("the same, compressed", c.ingest.append(many)["accepted"], 3000)
        equal("they are 3,000 users", c.counts(f"many {RUN}"), [3000])
    equal("no events", c.ingest.append([])["accepted"], 0)


def rejected_rows(c):
    name, user = f"rejected {RUN}", f"rejected-{RUN}"
    now = parse_timestamp("2024-03-20")
    future = 1 << 59  # in the year 20237
    rows = [event(user, name, now, "0"), event("", name, now, "1"), event(user, "", now, "2"),
            event(b"\xff\xfe", name, now, "3"), event(user, b"\xc0\x80", now, "4"), event(user, name, 0, "5"),
            event(user, name, future, "6"), event(user, name, now, "7", **{f"k{n}": "x" * 8000 for n in range(5)}),
            event(f"{user}-last", name, now, "8"), {**event(user, name, now, "9"), "server_timed": True}]
    result = c.ingest.append(rows)
    equal("bad rows do not cost the batch", result["accepted"], 2)
    equal("the rows that are refused", [bad["row"] for bad in result["rejected"]], [1, 2, 3, 4, 5, 6, 7, 9])
    check("with reasons", all(bad["reason"] for bad in result["rejected"]), result)
    equal("the others are stored", c.counts(name), [2])


def the_first_answer_holds(c):
    """Two rows are too far ahead of the clock, and not any more when they are repeated."""
    name = f"ahead {RUN}"
    now = time.time_ns() // 1000
    rows = [event(f"ahead-{RUN}-{n}", name, now + (24 * HOUR + 2 * SECOND if n in (3, 7) else 0), f"{n}") for n in range(11)]
    first = c.ingest.append(rows)
    equal("rows ahead of the clock", (first["accepted"], [bad["row"] for bad in first["rejected"]]), (9, [3, 7]))
    time.sleep(3)
    again = c.ingest.append(rows, sequence=c.ingest.sequence)
    equal("a repeat gets the first answer, whatever the clock says", again, {**first, "repeated": True})
    equal("and stores nothing", c.counts(name), [9])
    equal("a new number is judged anew", c.ingest.append(rows)["accepted"], 11)
    equal("and what had been refused is stored", c.counts(name), [11])


def funnels(c):
    """FUNNEL.md section 10, worked out by hand."""
    start, load = f"Start App {RUN}", f"Download App {RUN}"
    sub, create = f"Subscribe {RUN}", f"Create Profile {RUN}"
    at = lambda text: parse_timestamp("2024-03-20T" + text + "Z")  # noqa: E731
    rows = []

    def user(name, *events):
        rows.extend(event(f"{name}-{RUN}", what, at(when), f"{what}{when}") for what, when in events)

    user("both", (start, "13:15:00"), (load, "14:00:00"), (start, "14:01:00"))
    user("before", (start, "13:15:00"), (load, "14:00:00"))
    user("hour", (start, "13:00:00"), (load, "14:00:00"))
    user("late", (load, "14:00:00"), (start, "14:10:00"))
    user("border", (sub, "00:00:00.990"), (create, "00:00:01.000"))
    user("within", (sub, "10:00:00.010"), (create, "10:00:00.990"))
    equal("append", c.ingest.append(rows)["accepted"], len(rows))

    # sequential: both (60 s) and late (600 s) start the app after the download
    report = c.coordinator.query({"funnel": {"steps": [load, start]}, "as_of": "2024-03-20T15:00:00Z"})
    row = report["steps"][1]
    equal("sequential: counts", [step["count"] for step in report["steps"]], [4, 2])
    equal("sequential: entered, converted, conversion", (report["entered"], report["converted"], report["conversion"]),
          (4, 2, 0.5))
    equal("sequential: times", (row["median_seconds"], row["average_seconds"], row["p90_seconds"]), (330, 330, 600))
    equal("sequential: from the previous", (row["median_seconds_from_previous"], row["p90_seconds_from_previous"]),
          (330, 600))
    equal("sequential: dropoff", (row["dropoff"], row["dropout_rate"]), (2, 50))
    equal("sequential: biggest dropoff", report["biggest_dropoff"], {"step": start, "index": 2, "users": 2})
    # 2 + two open attempts of depth 1 at 0.5
    equal("sequential: forecast", report["expected_conversions"], 3)
    # Wilson, n = 4, p = 1/2, z = 1.959964: centre 1/2, half width z/(2(n+z²))·√(n+z²) = 0.34996…
    z2 = 1.959963984540054 ** 2
    half = (z2 * 4 * 0.25 + z2 * z2 / 4) ** 0.5 / (4 + z2)
    low, high = report["conversion_ci"]
    check("sequential: interval", abs(low - 0.5 + half) < 1e-9 and abs(high - 0.5 - half) < 1e-9, report["conversion_ci"])
    equal("first row has no previous", [report["steps"][0][key] for key in (
        "dropoff", "conversion_from_previous", "median_seconds", "median_seconds_from_previous")], [None, None, 0, None])
    shards = len(c.shards)
    equal("completeness", {k: v for k, v in report["completeness"].items() if k != "newest_event"},
          {"shards_asked": shards, "shards_answered": shards, "missing": [], "exact": True})

    # flexible 1h: both (nearest is 14:01, 60 s), before (45 minutes early, 0 s), late (600 s); hour precedes by 1 h
    flexible = {"steps": [load, start], "conversion_order": {"flexible": {"limit": "1h"}}}
    report = c.coordinator.query({"funnel": flexible})
    row = report["steps"][1]
    equal("flexible: counts", [step["count"] for step in report["steps"]], [4, 3])
    equal("flexible: times", (row["median_seconds"], row["average_seconds"], row["p90_seconds"]), (60, 220, 600))
    equal("flexible: rules", (report["rules"], report["times"]), ("sluice/1", "exact"))
    again = {"funnel": flexible, "as_of": report["as_of"]}
    equal("the same as_of gives the same", c.coordinator.query(again), c.coordinator.query(again))
    bare = c.coordinator.query({"funnel": flexible, "times": "none"})
    check("times: none", bare["times"] == "none" and "median_seconds" not in bare["steps"][1], bare["steps"][1])

    # the table of the border, and the two within one second
    for steps, order, want in (
            ([sub, create], "sequential", (2, 1)),  # border in 1 s; within no
            ([create, sub], "sequential", (2, 0)),
            ([create, sub], {"flexible": {"limit": "1s"}}, (2, 1)),  # within only
            ([create, sub], {"flexible": {"limit": "2s"}}, (2, 2)),
            ([sub, create], {"flexible": {"limit": "1s"}}, (2, 2))):
        equal(f"border: {steps[0]} {order}", tuple(c.counts(*steps, conversion_order=order)), want)

    # ranges select step 1
    for start_text, end_text, want in (("2024-03-20", "2024-03-20", [4, 3]), ("2024-03-21", "2024-03-22", [0, 0]),
                                       ("2024-03-20T14:00:00Z", "2024-03-20T14:00:01Z", [4, 3]),
                                       ("2024-03-20T13:00:00Z", "2024-03-20T14:00:00Z", [0, 0])):
        report = c.coordinator.query({"funnel": flexible, "start": start_text, "end": end_text})
        equal(f"range {start_text} {end_text}", [step["count"] for step in report["steps"]], want)
    equal("an empty range has null rates", report["conversion"], None)

    # lists: as long as the numbers shown, by bytes
    def listed(**ask):
        return [user.rsplit("-", 1)[0] for user in c.coordinator.all_users({"funnel": flexible, **ask})]

    equal("reached 1", listed(step=1), ["before", "both", "hour", "late"])
    equal("reached 2, by name", listed(step=start), ["before", "both", "late"])
    equal("dropped 2", listed(step=2, outcome="dropped"), ["hour"])
    for as_of, want in (("2024-03-21T00:00:00Z", ["hour"]), ("2025-03-21T00:00:00Z", [])):
        equal(f"open 2 as of {as_of}", listed(step=2, outcome="open", as_of=as_of), want)
        report = c.coordinator.query({"funnel": flexible, "as_of": as_of})
        equal(f"open of rows as of {as_of}", [step["open"] for step in report["steps"]], [None, len(want)])
    equal("converted", listed(step=1, outcome="converted"), ["before", "both", "late"])
    equal("pages of one", listed(step=1, limit=1), ["before", "both", "hour", "late"])
    equal("pages of two", listed(step=1, limit=2), ["before", "both", "hour", "late"])
    equal("after", c.coordinator.users({"funnel": flexible, "step": 1, "after": f"hour-{RUN}"}), [f"late-{RUN}"])
    many = list(c.coordinator.all_users({"funnel": {"steps": [f"many {RUN}"]}, "step": 1, "limit": 1000}))
    equal("3,000 users in pages", many, sorted((f"many-{RUN}-{n}" for n in range(3000)), key=str.encode))
    equal("3,000 users at once", c.coordinator.users({"funnel": {"steps": [f"many {RUN}"]}, "step": 1, "limit": 10_000}),
          many)


def worked_cases(c):
    """vectors/funnels.json: each case with names of its own, all in one batch."""
    with open(os.path.join(VECTORS, "funnels.json"), encoding="utf-8") as file:
        cases = json.load(file)
    rows = []

    def own(case, name):
        return name if name == "*" else f"{name} {RUN}.{case}"

    for number, case in enumerate(cases):
        for place, user in enumerate(case["users"]):
            for index, (name, when, *properties) in enumerate(user["events"]):
                rows.append(event(f"case-{RUN}-{number:03}-{place}", own(number, name), parse_timestamp(when),
                                  f"{index}", **(properties[0] if properties else {})))
    equal("worked cases: append", c.ingest.append(rows)["accepted"], len(rows))
    for number, case in enumerate(cases):
        what, funnel = f"worked case {case['name']!r}", dict(case["definition"])
        funnel["steps"] = [own(number, step) if isinstance(step, str) else
                           {**step, "name": own(number, step["name"]),
                            **({"events": [own(number, e) for e in step["events"]]} if "events" in step else {})}
                           for step in funnel["steps"]]
        if "exclude" in funnel:
            funnel["exclude"] = [{**x, "events": [e if e == "*" else own(number, e) for e in x["events"]]} for x in funnel["exclude"]]
        funnel["event_types"] = {own(number, a): own(number, b) for a, b in funnel.get("event_types", {}).items()}
        chance = 0.25
        if "open" in case:
            funnel["probability"] = {step["name"] if isinstance(step, dict) else step: chance / (1 << i)
                                     for i, step in enumerate(funnel["steps"])}
        query = {"funnel": funnel, **case.get("range", {})}
        if "as_of" in case:
            query["as_of"] = case["as_of"]
        report = c.coordinator.query(query)
        equal(f"{what}: counts", [step["count"] for step in report["steps"]], case["counts"])
        for i, step in enumerate(report["steps"]):
            # An optional step that was not done has no time.
            did = [[o["seconds"][i] for o in user.get("outcomes", [user]) if o["depth"] > i and o["seconds"][i] is not None]
                   for user in case["users"]]
            times = sorted(second for seconds in did for second in seconds)
            if len(times) == 0:
                equal(f"{what}: no times", (step["average_seconds"], step["median_seconds"]), (None, None))
                continue
            middle = (times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2
            got = (step["average_seconds"], step["median_seconds"], step["p90_seconds"])
            want = (sum(times) / len(times), middle, times[-(-len(times) * 9 // 10) - 1])
            check(f"{what}: times of step {i + 1}", all(abs(a - b) < 1e-9 for a, b in zip(got, want)), (got, want))
            if report["funnel"].get("count_by", "users") != "users":
                continue
            users = c.coordinator.users({**query, "step": i + 1})
            equal(f"{what}: users of step {i + 1}", users,
                  [f"case-{RUN}-{number:03}-{place}" for place, seconds in enumerate(did) if seconds])
        if "open" in case:
            want = case["counts"][-1] + sum(count * chance / (1 << i) for i, count in enumerate(case["open"]))
            equal(f"{what}: forecast", report["expected_conversions"], want)


def reports(c):
    a, b = f"view-{RUN}", f"pay-{RUN}"
    plans = {"ann": ["pro", "free"], "bob": ["pro", None], "cy": [None, 2], "dee": [None, None], "eve": ["null", None],
             "fay": [True, 7], "gus": [2, None], "hal": ["2", None]}
    events = []
    for place, (user, (first, last)) in enumerate(plans.items()):
        day = T0 + place * 24 * HOUR
        events.append(event(f"report-{RUN}-{user}", a, day, **({} if first is None else {"plan": first})))
        if place % 2 == 0:
            events.append(event(f"report-{RUN}-{user}", b, day + MINUTE, **({} if last is None else {"plan": last})))
    c.ingest.append(events)
    query = {"funnel": {"steps": [a, b]}, "as_of": "2024-04-30T00:00:00Z"}

    def rows(k, touch):
        report = c.coordinator.query({**query, "breakdown": {"property": "plan", "touch": touch, "k": k}})["breakdown"]
        equal("the breakdown asked", (report["property"], report["touch"], report["k"]), ("plan", touch, k))
        told = [(json.dumps(row["value"]), row["entered"], row["converted"]) for row in report["rows"]]
        other = report["other"]
        return told, other and (other["values"], other["entered"], other["converted"])

    equal("all values by the first event", rows(10, "first"), (
        [('2', 2, 2), ('"pro"', 2, 1), ('"2"', 1, 0), ('"null"', 1, 1), ('true', 1, 0), ('null', 1, 0)], None))
    equal("two values by the last event", rows(2, "last"), (
        [('2', 2, 2), ('"2"', 1, 0), ('null', 1, 0)], (4, 4, 2)))
    equal("values of step 2", rows(10, "step:2"), ([('2', 1, 1), ('"free"', 1, 1), ('null', 6, 2)], None))

    trend = c.coordinator.query({**query, "trend": {"by": "day"}})["trend"]
    equal("days", [(x["start"], x["entered"], x["converted"]) for x in trend["buckets"]],
          [(f"2024-03-{20 + place}T00:00:00Z", 1, 1 - place % 2) for place in range(8)])
    check("all is closed", not any(x["immature"] for x in trend["buckets"]), trend)
    early = c.coordinator.query({**query, "as_of": "2024-04-25T00:00:00Z", "trend": {"by": "week"},
                                 "time_zone": "Asia/Tokyo"})
    equal("weeks", [(x["start"], x["end"], x["entered"], x["immature"]) for x in early["trend"]["buckets"]], [
        ("2024-03-17T15:00:00Z", "2024-03-24T15:00:00Z", 5, False),
        ("2024-03-24T15:00:00Z", "2024-03-31T15:00:00Z", 3, True)])


def errors(c):
    steps = {"steps": ["a", "b"]}
    query, users = c.coordinator.query, c.coordinator.users

    def faults(what, ask, *fields, call=query):
        error = fails(what, "invalid_query", lambda: call(ask))
        if error:
            equal(f"{what}: fields", sorted(field for field, _ in error.faults), sorted(fields))

    faults("no steps", {"funnel": {}}, "funnel.steps")
    faults("several faults at once", {"funnel": {"steps": ["a"], "window_duration": 7, "clock": "hour", "extra": 1}},
           "funnel.window_duration", "funnel.clock", "funnel.extra")
    faults("an unknown member", {"funnel": steps, "extra": 1}, "extra")
    faults("a bad operator", {"funnel": {"steps": ["a", {"name": "b", "where": [
        {"property": "p", "op": "~", "value": 1}]}]}}, "funnel.steps[1].where[0].op")
    faults("a trend by nothing", {"funnel": steps, "trend": {}}, "trend.by")
    faults("a breakdown by step 3 of 2", {"funnel": steps, "breakdown": {"property": "p", "touch": "step:3"}},
           "breakdown.touch")
    faults("both reports", {"funnel": steps, "trend": {"by": "day"}, "breakdown": {"property": "p"}}, "trend")
    for key in ("segments", "variants", "count_by", "session_gap", "compare", "cohort"):
        faults(f"a bad {key}", {"funnel": steps, key: "x"}, key)
    fails("end before start", "invalid_query", lambda: query({"funnel": steps, "start": "2024-03-02", "end": "2024-02-28"}))
    fails("a probability beyond all doubles", "invalid_query", lambda: c.coordinator.call(
        "query", frames.QUERY, b'{"funnel":{"steps":["a"],"probability":1e999}}', frames.MERGED_RESULT))
    deep = b'{"funnel":{"steps":["a"],"extra":' + b"[" * 62 + b"]" * 62 + b"}}"
    fails("nested 64 deep is read", "invalid_query", lambda: c.coordinator.call(
        "query", frames.QUERY, deep, frames.MERGED_RESULT))
    fails("nested 65 deep is not", "invalid_message", lambda: c.coordinator.call(
        "query", frames.QUERY, deep.replace(b"[]", b"[[]]"), frames.MERGED_RESULT))
    fails("neither funnel nor id", "invalid_query", lambda: query({}))
    fails("both", "invalid_query", lambda: query({"funnel": steps, "funnel_id": "x"}))
    fails("an unknown funnel", "unknown_funnel", lambda: query({"funnel_id": f"none-{RUN}"}))
    faults("users without step", {"funnel": steps}, "step", call=users)
    faults("users of step 3 of 2", {"funnel": steps, "step": 3}, "step", call=users)
    faults("dropped of step 1", {"funnel": steps, "step": 1, "outcome": "dropped"}, "outcome", call=users)
    faults("limit 0", {"funnel": steps, "step": 1, "limit": 0}, "limit", call=users)

    call = c.coordinator.call
    fails("no JSON", "invalid_message", lambda: call("query", frames.QUERY, b"{", frames.MERGED_RESULT))
    fails("another kind than the path's", "invalid_message",
          lambda: call("query", frames.USERS_QUERY, b"{}", frames.MERGED_RESULT))
    fails("the answer's kind as a request", "invalid_message",
          lambda: call("health", frames.HEALTH_RESULT, bytes(6), frames.HEALTH_RESULT))
    fails("health with a body", "invalid_message", lambda: call("health", frames.HEALTH, b"x", frames.HEALTH_RESULT))
    for role, client in c.services():
        with Client(client.address, cluster=c.cluster_id ^ 1) as foreign:
            fails(f"{role}: a foreign cluster", "foreign_cluster", foreign.health)
    fails("part over 65,535", "invalid_message", lambda: c.ingest.call(
        "append", frames.APPEND, encode_append(1, 1, [], part=65_536), frames.APPEND_RESULT))
    fails("key over 128 bytes", "invalid_message", lambda: c.ingest.append([], "k" * 129))
    fails("a batch with bytes after it", "invalid_message", lambda: c.ingest.call(
        "append", frames.APPEND, encode_append(1, 1, []) + b"x", frames.APPEND_RESULT))
    rows = [event("u", f"never {RUN}", T0)]
    for client, path, kind in ((c.coordinator, "append", frames.APPEND), (c.ingest, "query", frames.QUERY),
                               (c.ingest, "nothing", frames.HEALTH), (c.shards[0], "users", frames.USERS_QUERY)):
        equal(f"{path} where it is not served", client.call_raw(path, encode_frame(Frame(kind)))[0], 404)
    frame = encode_frame(Frame(frames.HEALTH))
    equal("another content type", c.ingest.call_raw("health", frame, "application/json")[0], 415)
    # a shard takes appends only from services that have proved themselves
    fails("append at a shard", "not_authenticated", lambda: c.shards[0].append(rows))
    fails("partial query at a shard", "not_authenticated", lambda: c.shards[0].call(
        "partial-query", frames.PARTIAL_QUERY, b"\0\0\0\2\0\2{}", frames.PARTIAL_RESULT))
    equal("nothing of that is stored", c.counts(f"never {RUN}"), [0])

    def refused(data, path="health"):
        status, answer = c.ingest.call_raw(path, data)
        equal("errors have status 200", status, 200)
        return decode_answer(answer, request=0)

    fails("no frame at all", "malformed_frame", lambda: refused(b""))
    fails("no magic", "malformed_frame", lambda: refused(b"x" * 64))
    with open(os.path.join(VECTORS, "rejects.json"), encoding="utf-8") as file:
        paths = {1: "hello", 3: "append", 5: "query", 12: "health"}
        for vector in json.load(file):
            data = bytes.fromhex(vector["hex"])
            kind = data[6] if len(data) > 64 else frames.APPEND
            client = c.coordinator if kind == frames.QUERY else c.ingest
            if vector["as"] == "request" and (kind in paths or vector["error"] == "unknown_kind"):
                def send():
                    status, answer = client.call_raw(paths.get(kind, "append"), data)
                    equal(f"reject {vector['name']!r}: status", status, 200)
                    return decode_answer(answer)
                fails(f"reject {vector['name']!r}", vector["error"], send)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        cluster = Cluster(json.load(file))
    global failed
    for test in (hello_and_health, append_and_repeats, rejected_rows, the_first_answer_holds, funnels, worked_cases, reports, errors):
        try:
            test(cluster)
        except Exception:  # noqa: BLE001 - the next part may still tell something
            failed += 1
            print(f"FAILED {test.__name__}:")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
