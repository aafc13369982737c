"""Readers who ask for much, to others' cost, and histories that make a query dear."""

import json
import random
import time

from case import attempt
from raw import connect, http_head
from rows import DAY, MINUTE, Encoded, event, now_us, send, steady_events
from servers import READ, metrics

ANY = {"steps": ["P0", "P1", "P2", "P3", "P4"], "conversion_order": "any", "window_duration": "30d"}


def dear_project(case, users):
    """Events of project 1 over which any order takes long."""
    with case.client(1) as writer:
        for first in range(0, users, 20_000):
            send(writer, steady_events(min(20_000, users - first), [f"P{n}" for n in range(5)], f"g{first}-"), 100_000)
    case.settle()


@attempt("S3", "one user's huge history")
def huge_history(case):
    """S3: 21 million events of one user: a strict or any-order query takes 15 s and 3.6 GB, and goes on for 9 s behind a deadline
    of 1 s; four of them stop every other project for 12 s."""
    case.up()
    batches, middle = case.pick((105, 8), (13, 4))
    start = now_us() - 20 * DAY
    with case.client(1) as writer:
        many = Encoded([event("giant", ("H1", "H2")[n % 2], start + n * 5) for n in range(200_000)])
        for _ in range(batches):
            many.send(writer)
        # Below the limit of events of one user, so that its search really runs.
        some = Encoded([event("large", ("M1", "M2", "M3")[n % 3], start + n * 5) for n in range(200_000)])
        for _ in range(middle):
            some.send(writer)
    case.say(f"{batches * 200_000:,} events of one user, {middle * 200_000:,} of another")
    case.settle(120)
    shards = [name for name in case.cluster.pids() if name.startswith("shard")]
    with case.attack():
        for what, names in (("the limit passed", ["H1", "H2", "H1"]), ("within the limit", ["M1", "M2", "M3", "M1"])):
            for order in ("strict", "any"):
                body = {"funnel": {"steps": names, "conversion_order": order, "window_duration": "30d"}, "deadline": "1s"}
                status, answer, taken = case.query(1, body)
                time.sleep(0.3)
                before = case.cpu(*shards)
                time.sleep(1)
                # The honest callers' own queries and appends cost something too.
                busy = case.cpu(*shards) - before
                detail = str(answer.get("detail", "answered"))[:130]
                case.say(f"{what}, {order}: {status} after {taken:.2f} s ({detail}); the shards then at {busy:.0%} of a core")
                case.check(f"{what}, {order}: answered within the deadline", taken < 1.6, f"{taken:.2f} s")
                case.check(f"{what}, {order}: the shard stops working", busy < 0.5, f"{busy:.2f} s of CPU")
        body = {"funnel": {"steps": ["M1", "M2", "M3", "M1"], "conversion_order": "any", "window_duration": "30d"}}
        case.repeat(4, lambda n: case.query(1, body))
        time.sleep(case.seconds / 2)
    peak = max(case.memory.peaks["attack"].get(name, 0) for name in shards)
    # Two scans at a time, each of up to 2,000,000 events of one user.
    case.check("a shard stays below 1.5 GiB", peak < 1536, f"{peak:.0f} MiB")
    status, answer, _ = case.query(1, {"funnel": {"steps": ["H1", "H2", "H1"], "conversion_order": "strict"}})
    case.check("the error names user and limit", status == 422 and "giant" in json.dumps(answer), f"{status} {answer}"[:200])


def heavy_callers(case, count, body):
    """So many callers of project 1 who ask it over and over: statuses and how often."""
    seen = {}

    def one(_):
        status, _, _ = case.query(1, body, timeout=120)
        seen[status] = seen.get(status, 0) + 1
        if status != 200:
            time.sleep(0.2)
    case.callers = case.repeat(count, one)
    return seen


@attempt("S6a", "200 heavy queries of one project at a time, and one of 190 KB")
def heavy_queries(case):
    """S6a: 200 heavy queries of project 1: project 2's query takes 2.4 s in place of 4 ms. One query of 190 KB (64 steps of 256
    events, flexible 1d) alone: p99 9.1 s."""
    case.up()
    dear_project(case, case.pick(87_000, 25_000))
    steps = [{"name": f"step {n}", "events": [f"P{m}" if m < 5 else f"n{n}-{m}" for m in range(256)]} for n in range(64)]
    wide = {"funnel": {"steps": steps, "conversion_order": {"flexible": {"limit": "1d"}}}}
    _, answer, alone = case.query(1, {"funnel": ANY})
    status, answer, wide_alone = case.query(1, wide)
    why = str(answer.get("errors") or answer.get("detail", ""))[:120]
    case.say(f"alone, the heavy query takes {alone:.2f} s, the wide one {wide_alone:.2f} s ({status} {why})")
    with case.attack():
        seen = heavy_callers(case, 200, {"funnel": ANY})
        case.repeat(2, lambda n: case.query(1, wide, timeout=120))
        time.sleep(case.seconds)
    case.say(f"answers of project 1: {dict(sorted(seen.items()))}")


@attempt("S6b", "eight breakdowns by 600,000 values")
def wide_breakdowns(case):
    """S6b: eight breakdowns by 600,000 values: project 2's queries take 10 s, its appends 8.9 s; the coordinator 809 MB."""
    case.up()
    values = case.pick(600_000, 120_000)
    start = now_us() - 3 * DAY
    with case.client(1) as writer:
        for first in range(0, values, 60_000):
            send(writer, [event(f"v{n}", "B", start + n, v=f"value-{n}") for n in range(first, first + 60_000)], 60_000)
    case.settle()
    body = {"funnel": {"steps": ["B"]}, "breakdown": {"property": "v", "k": 1000}, "deadline": "60s"}
    status, answer, alone = case.query(1, body)
    case.say(f"alone, the breakdown takes {alone:.2f} s ({status})")
    with case.attack():
        seen = heavy_callers(case, 8, body)
        time.sleep(case.seconds)
    case.say(f"answers of project 1: {dict(sorted(seen.items()))}")
    peak = case.memory.peaks["attack"].get("coordinator", 0)
    case.check("the coordinator stays below 600 MiB", peak < 600, f"{peak:.0f} MiB")


class Live:
    """One viewer of /v1/live, without a thread: bytes are looked at when asked."""

    def __init__(self, address, key, body):
        self.text, data = b"", json.dumps(body).encode()
        self.socket = connect(address, timeout=5)
        self.socket.sendall(http_head("/v1/live", len(data), key, more=("Content-Type: application/json",)) + data)

    def events(self, kind):
        self.socket.settimeout(0.001)
        try:
            while part := self.socket.recv(1 << 18):
                self.text += part
        except OSError:
            pass
        return self.text.count(b"event: " + kind.encode())

    def wait(self, kind, count, patience):
        """Seconds until there were so many of a kind, or None."""
        started = time.monotonic()
        while time.monotonic() - started < patience:
            if self.events(kind) >= count:
                return time.monotonic() - started
            time.sleep(0.02)
        return None


@attempt("S6c", "100 live questions of one project")
def live_questions(case):
    """S6c: with 100 questions of project 1 at /v1/live, project 2's first answer does not come within 25 s."""
    cluster = case.up()
    dear_project(case, case.pick(87_000, 25_000))
    with case.attack():
        viewers = [Live(cluster.coordinator, READ[1], {"funnel": {**ANY, "window_duration": f"{n + 1}d"}}) for n in range(100)]
        writer = case.client(1)
        other, waits = case.client(2), []
        deadline = time.monotonic() + case.seconds
        number = 0
        while time.monotonic() < deadline:
            number += 1
            writer.append([event(f"tick-{number}", "P0", now_us())])  # every question of project 1 is open again
            name = f"Seen {number}"
            viewer = Live(cluster.coordinator, READ[2], {"funnel": {"steps": [name]}})
            first = viewer.wait("report", 1, 20)
            other.append([event("viewer", name, now_us())])
            second = viewer.wait("report", 2, 20)
            waits.append((first, second))
            viewer.socket.close()
        answered = sum(viewer.events("report") > 0 for viewer in viewers)
        for viewer in viewers:
            viewer.socket.close()
        writer.close(), other.close()
    worst_first = max((first or 99 for first, _ in waits), default=99)
    worst_second = max((second or 99 for _, second in waits), default=99)
    case.say(f"project 2's first report after {worst_first:.2f} s at most, the next {worst_second:.2f} s after an event; "
             f"{answered} of 100 questions of project 1 answered")
    case.check("project 2's first report within 2 s", worst_first <= 2, f"{worst_first:.2f} s")
    case.check("a new event shows within 3 s", worst_second <= 3, f"{worst_second:.2f} s")


@attempt("S10", "a user who makes a funnel fail for the whole project")
def heavy_user(case):
    """S10: 500 users of A B C and one of 1,500 events A B C X at random: 422 `work_budget` for everybody, naming neither user nor
    shard, and no way around."""
    case.up()
    start = now_us() - 2 * DAY
    draw = random.Random(1)
    rows = [event(f"fine-{n}", name, start + n * 1000 + place * MINUTE) for n in range(500) for place, name in enumerate("ABC")]
    rows += [event("the-heavy-one", draw.choice("ABCX"), start + draw.randrange(60 * MINUTE)) for _ in range(1_500)]
    with case.client(1) as writer:
        send(writer, rows)
    body = {"funnel": {"steps": ["A", "C", "B", "A"], "conversion_order": {"flexible": {"limit": "1h"}}, "window_duration": "1d",
                       "exclude": [{"events": ["X"], "after": 1, "before": 4, "effect": "drop_user"}]}}
    status, answer, _ = case.query(1, body)
    text = json.dumps(answer)
    case.say(f"by default {status}: {answer.get('detail', '')}"[:220])
    case.check("the error names the user and the shard", status == 422 and "the-heavy-one" in text and "shard" in text, text[:200])
    with case.attack():
        case.repeat(4, lambda n: case.query(1, body))
        time.sleep(case.seconds / 2)
    status, answer, taken = case.query(1, {**body, "heavy_users": "leave_out"})
    heavy = answer.get("completeness", {}).get("heavy_users")
    case.check("left out, all others count, and it says so", status == 200 and heavy == 1 and answer["entered"] == 500,
               f"{status} {answer.get('completeness')} {answer.get('entered')}")


@attempt("B8", "80 heavy queries, half of the callers leave")
def callers_who_leave(case):
    """B8: a caller over HTTP who goes away does not cancel the query; others wait behind it."""
    cluster = case.up()
    dear_project(case, case.pick(87_000, 25_000))
    _, _, alone = case.query(1, {"funnel": ANY})
    data = json.dumps({"funnel": ANY}).encode()
    with case.attack():
        def leave(number):
            made = connect(cluster.coordinator)
            made.sendall(http_head("/v1/query", len(data), READ[1], more=("Content-Type: application/json",)) + data)
            time.sleep(0.2)
            made.close()

        leavers = case.repeat(40, leave)
        seen = heavy_callers(case, 40, {"funnel": ANY})
        time.sleep(case.seconds)
    case.join(leavers, 60)
    case.join(case.callers, 120)
    time.sleep(0.5)
    running = metrics(cluster.coordinator)
    left = running["sluice_queries_running"] + running["sluice_queries_queued"]
    case.say(f"alone {alone:.2f} s; answers of those who stayed: {dict(sorted(seen.items()))}")
    # Four callers who leave at once: their queries end with them.
    made = []
    for _ in range(4):
        one = connect(cluster.coordinator)
        one.sendall(http_head("/v1/query", len(data), READ[1], more=("Content-Type: application/json",)) + data)
        made.append(one)
    time.sleep(min(0.05, alone / 4))
    for one in made:
        one.close()
    time.sleep(0.2)
    after = metrics(cluster.coordinator)["sluice_queries_running"]
    case.check("queries of callers who left have ended", after == 0, after)
    case.check("nothing is left running", left == 0, left)
