"""Callers who take places or memory and do nothing with them."""

import signal
import time

import servers
from case import attempt
from raw import Http2, connect, http_head, is_open, start_of_http2
from rows import SluiceError, event, now_us
from servers import READ, WRITE, ask

MIB = 1 << 20


@attempt("S1", "unfinished bodies on wire ports, with a key and without")
def unfinished_bodies(case):
    """S1: seven connections, each with three appends of 16 MiB less 20 KB and no end, then a byte each 12 s, shut all others out."""
    cluster = case.up()
    ports = [("ingest, no key", cluster.ingest_wire, "append", None), ("ingest, a write key", cluster.ingest_wire, "append", WRITE[1]),
             ("shard, no key", cluster.shard(0, "wire"), "append", None),
             ("coordinator, no key", cluster.coordinator_wire, "query", None)]
    hold = case.pick(45, 15)
    with case.attack():
        for what, address, path, key in ports:
            held, early, lost, worst = 0, 0, 0, 0.0
            connections = [Http2(address) for _ in range(7)]
            streams = []

            def fill(number):
                for _ in range(3):
                    stream = connections[number].open(path, key)
                    connections[number].feed(stream, bytes(16 * MIB - 20_000), patience=3)
                    streams.append((connections[number], stream))

            case.join(case.threads(7, fill), 30)
            deadline, last = time.monotonic() + (hold if key else hold / 3), time.monotonic()
            with case.client(2, timeout=10) as writer:
                while time.monotonic() < deadline:
                    started = time.monotonic()
                    try:
                        writer.append([event(f"wire-{started}", "By Wire", now_us())])
                    except SluiceError as error:
                        lost += 1
                        case.say(f"{what}: an honest append by wire: {error}") if lost == 1 else None
                    worst = max(worst, time.monotonic() - started)
                    if time.monotonic() - last > 12:
                        last = time.monotonic()
                        for connection, stream in streams:
                            if not connection.streams[stream].over:
                                connection.feed(stream, b"x", patience=0.1)
                    time.sleep(0.1)
            for connection, stream in streams:
                one = connection.streams[stream]
                early += one.status is not None
                held += not one.over and not connection.closed
            for connection in connections:
                connection.close()
            case.say(f"{what}: {early} of {len(streams)} answered at once, {held} held after {hold if key else hold / 3:.0f} s; "
                     f"honest appends by wire: {lost} lost, {worst * 1000:.0f} ms at most")
            case.check(f"{what}: honest appends by wire go on", lost == 0 and worst < 1.5, f"{lost} lost, {worst:.2f} s")
            if not key:
                case.check(f"{what}: refused when the header arrives", early == len(streams), f"{early} of {len(streams)}")
        if case.options.size == "full":
            case.check("no slow body is held after 45 s", held == 0 or key is None, held)


def fill_with_idle(case, address, count, sources, greeting=b""):
    """So many connections that say nothing more; those that are refused are not counted."""
    made = []
    for number in range(count):
        try:
            one = connect(address, sources[number % len(sources)], timeout=3)
            one.sendall(greeting)
            made.append(one)
        except OSError:
            pass
    return made


@attempt("S7", "idle connections, a restart while a shard is full")
def idle_connections(case):
    """S7: 1,024 idle connections to a wire port and 4,096 to an HTTP port shut all others out; an ingest that is started while a shard's port
    is full never gets in."""
    cluster = case.up()
    here, many = ["127.0.0.1"], [f"127.0.1.{n}" for n in range(1, 9)]
    case.may_restart = True
    with case.attack(apart=("append",)):  # ingest is killed at the end of it
        for who, sources in (("one address", here), ("eight addresses", many)):
            for port, address, count, greeting in (
                    ("ingest's wire port", cluster.ingest_wire, 1_100, start_of_http2()),
                    ("ingest's HTTP port", cluster.ingest, 4_200, b""),
                    ("the coordinator's HTTP port", cluster.coordinator, 4_200, b"")):
                made = fill_with_idle(case, address, count, sources, greeting)
                time.sleep(1)
                started = time.monotonic()
                if port == "ingest's wire port":
                    with case.client(2, timeout=5) as writer:
                        try:
                            good = writer.append([event(f"new-{who}", "New", now_us())])["accepted"] == 1
                        except SluiceError as error:
                            good = f"{error}"
                elif port == "ingest's HTTP port":
                    status, answer, _ = case.post_events(2, [{"user_id": who, "event": "New", "timestamp": "2026-01-01T00:00:00Z"}], timeout=5)
                    good = status == 200 or f"{status} {answer[:80]!r}"
                else:
                    good = ask(address, "/v1/funnels", key=READ[2], timeout=5)[0] == 200
                taken = time.monotonic() - started
                healthy = ask(address, "/healthz", timeout=5)[0] if "HTTP" in port else None
                left = sum(is_open(one) for one in made[:: max(1, len(made) // 200)]) * max(1, len(made) // 200)
                case.say(f"{port}, {who}: {len(made)} made, about {left} open")
                case.check(f"{port} full from {who}: a new caller gets in", good is True and taken < 3, f"{good}, {taken:.2f} s")
                if healthy is not None:
                    case.check(f"{port} full from {who}: /healthz answers", healthy == 200, healthy)
                for one in made:
                    one.close()
        # A shard's port is full, and ingest starts anew meanwhile.
        made = fill_with_idle(case, cluster.shard(1, "wire"), 1_100, many, start_of_http2())
        before = cluster.pids()["ingest"]
        servers.send_signal(before, signal.SIGKILL)
        started, stored = time.monotonic(), False
        while time.monotonic() - started < 15 and not stored:
            status, answer, _ = case.post_events(2, [{"user_id": f"again-{n}", "event": "New", "timestamp": "2026-01-01T00:00:00Z"}
                                                     for n in range(20)], timeout=5)
            stored = status == 200
            time.sleep(0.1)
        case.say(f"ingest killed while a shard's port was full: events are taken again after {time.monotonic() - started:.1f} s")
        case.check("a new ingest gets in at a full shard", stored and time.monotonic() - started < 5)
        for one in made:
            one.close()


@attempt("S8", "eight slow HTTP bodies of 66 MB")
def slow_bodies(case):
    """S8: eight requests of one project with 66 of 67 MB each and then a byte now and then: another project's batch of 21 MB gets
    503 for as long as it lasts."""
    cluster = case.up()
    size = 67_000_000
    big = b"[" + b",".join(b'{"user_id":"big-%d","event":"Big","timestamp":"2026-01-01T00:00:00Z","properties":{"x":"%s"}}'
                           % (n, b"y" * 900) for n in range(21_000)) + b"]"
    answers, made = [], []

    def send_big(_):
        started = time.monotonic()
        status, text, _ = case.post_events(2, big, headers={"Idempotency-Key": "big"})
        answers.append((status, time.monotonic() - started))
        case.stopping.wait(1)

    # Quiet, too, is measured with these.
    senders = case.repeat(1, send_big)
    with case.attack():
        before = len(answers)

        def slow(number):
            one = connect(cluster.ingest, timeout=20)
            made.append(one)
            one.sendall(http_head("/v1/events", size, WRITE[1]))
            one.sendall(b" " * (size - 1_000_000))
            while not case.stopping.wait(3):
                one.sendall(b" ")

        threads = case.threads(8, slow)
        time.sleep(case.pick(5, 3))
        time.sleep(case.pick(30, 8))
        case.stopping.set()
        held = sum(is_open(one) for one in made)
        case.join(threads + senders, 10)
        for one in made:
            one.close()
    bad = [status for status, _ in answers if status != 200]
    case.say(f"{held} of 8 bodies still held at the end; batches of 21 MB meanwhile: {len(answers) - before}, "
             f"{max(seconds for _, seconds in answers[before:]):.1f} s at most")
    case.check("the other project's batch of 21 MB is taken", not bad, bad)
    case.check("and counted once", case.count(2, "Big")[0] == 21_000, case.count(2, "Big"))
