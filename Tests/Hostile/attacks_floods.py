"""Callers who send much that is worth nothing: frames, refused bodies, faults, guesses."""

import json
import struct
import time

import wire
from attacks_edge_http2 import flood
from case import attempt
from raw import DATA, connect, http_head, read_answer
from servers import READ, WRITE, ask

EVENT = b'[{"user_id":"x","event":"X","timestamp":"2026-01-01T00:00:00Z"}]'


@attempt("S12", "pages of other sites write into a cluster without keys")
def other_sites(case):
    """S12: without keys, POST /v1/events and /track-event with Origin and Host of another site are stored."""
    cluster = case.up(honest=False, keys=False)
    tracked = b'{"user_id":"x","event_type":"X","timestamp":"2026-01-01T00:00:00Z"}'
    for path, body in (("/v1/events", EVENT), ("/track-event", tracked)):
        for what, headers in (("Origin", {"Origin": "http://evil.example"}), ("Sec-Fetch-Site", {"Sec-Fetch-Site": "cross-site"}),
                              ("Host", {"Host": "evil.example"}), ("Origin null", {"Origin": "null"}),
                              ("a name that begins alike", {"Origin": "http://localhost.evil.example"})):
            status, _, _ = ask(cluster.ingest, path, body, headers={"Content-Type": "text/plain", **headers})
            case.check(f"{path} with {what} of another site is refused", status == 403, status)
    status, answer, _ = ask(cluster.ingest, "/v1/events", EVENT)
    case.check("without such headers it is taken", status == 200, status)
    _, answer, _ = ask(cluster.coordinator, "/v1/query", {"funnel": {"steps": ["X", "X"], "conversion_order": {"flexible": {"limit": "1s"}}}})
    counts = [step["count"] for step in json.loads(answer)["steps"]]
    case.check("and only that is stored", counts == [1, 0], counts)
    case.say("all refused with 403" if case.good else "some were taken")


@attempt("S14", "floods of DATA frames of one byte, without a key and with one")
def tiny_frames(case):
    """S14: one connection without a key sends 55 million DATA frames of one byte in 6 s; a core is busy, and it is never closed."""
    cluster = case.up()
    tiny = (struct.pack(">I", 1)[1:] + struct.pack(">BBI", DATA, 0, 1) + b"x") * 20_000
    with case.attack():
        for what, key in (("no key", None), ("a write key", WRITE[1])):
            flood(case, "ingest", cluster.ingest_wire, lambda _: tiny, lambda one: one.open("append", key), f"ingest, {what}")


@attempt("S15", "refused bodies of 10 GB, and Expect: 100-continue")
def refused_bodies(case):
    """S15: a body that is refused (no key, no such path, too long) is read to its end, however long; `Expect: 100-continue` gets
    100 before key and length are looked at."""
    cluster = case.up()
    huge, block = 10_000_000_000, bytes(1 << 20)

    def pour(head, chunked=False):
        """(status line, MiB that were taken after it)"""
        with connect(cluster.ingest, timeout=5) as made:
            made.sendall(head)
            sent = 0
            try:
                while sent < case.pick(400, 100):
                    made.sendall(b"100000\r\n" + block + b"\r\n" if chunked else block)
                    sent += 1
            except OSError:
                pass
            return read_answer(made, 2).split(b"\r\n")[0].decode("latin-1"), sent

    chunks = ("Transfer-Encoding: chunked",)
    with case.attack():
        for what, head, chunked in (
                ("no key", http_head("/v1/events", huge), False), ("no key, chunked", http_head("/v1/events", more=chunks), True),
                ("a wrong key", http_head("/v1/events", huge, "no-such-key-of-sixteen"), False),
                ("no such path", http_head("/v1/nowhere", huge, WRITE[1]), False),
                ("too long", http_head("/v1/events", huge, WRITE[1]), False),
                ("too long, chunked", http_head("/v1/events", None, WRITE[1], more=chunks), True)):
            line, taken = pour(head, chunked)
            case.say(f"{what}: {line or 'closed'}, {taken} MiB taken")
            # What fits into the buffers of both kernels is taken without anybody reading it.
            case.check(f"{what}: ends soon", taken <= (80 if what == "too long, chunked" else 16), f"{taken} MiB")
        for what, head, want in (
                ("no key", http_head("/v1/events", 100, more=("Expect: 100-continue",)), b"401"),
                ("too long", http_head("/v1/events", huge, WRITE[1], more=("Expect: 100-continue",)), b"413"),
                ("a good one", http_head("/v1/events", len(EVENT), WRITE[1], more=("Expect: 100-continue",)), b"100")):
            with connect(cluster.ingest) as made:
                made.sendall(head)
                line = read_answer(made, 1).split(b"\r\n")[0]
            case.check(f"Expect: 100-continue, {what}: {want.decode()}", want in line, line.decode("latin-1"))


@attempt("S16", "error documents")
def error_documents(case):
    """S16: a query with 869 KB of unknown members is answered with 3.9 MB of faults."""
    case.up()
    body = {"funnel": {"steps": ["A", "B"]}, **{f"unknown{n}": 0 for n in range(45_000)}}
    sizes = []

    def ask_wrong(_):
        status, answer, _ = ask(case.cluster.coordinator, "/v1/query", body, READ[1])
        sizes.append((status, len(answer), len(json.loads(answer).get("errors", [])) if status else 0))

    with case.attack():
        case.repeat(2, ask_wrong)
        time.sleep(case.seconds / 2)
    status, size, faults = max(sizes) if sizes else (0, 0, 0)
    case.say(f"{len(sizes)} asked, each {len(json.dumps(body)) >> 10} KiB: {status} with {size >> 10} KiB and {faults} faults")
    case.check("at most 1,001 faults and 256 KiB", sizes and size < 256 << 10 and faults <= 1_001, f"{size}, {faults}")


@attempt("S25", "guessing keys")
def guesses(case):
    """S25: wrong keys are not slowed, at ingest, at the coordinator, at the session's door and on the wire."""
    cluster = case.up()
    doors = [("ingest", cluster.ingest, "/v1/events", EVENT), ("coordinator", cluster.coordinator, "/v1/query", b"{}"),
             ("session", cluster.coordinator, "/v1/session", None)]
    with case.attack():
        for what, address, path, body in doors:
            looked, slowed, deadline = 0, 0, time.monotonic() + case.seconds / 3
            while time.monotonic() < deadline:
                guess = f"guess-{looked}-{slowed}-abcdef"
                headers = {"Authorization": "Bearer " + guess} if body else {"Content-Type": "application/json"}
                status, _, _ = ask(address, path, body or json.dumps({"key": guess}).encode(), headers=headers)
                looked, slowed = looked + (status in (401, 403)), slowed + (status == 429)
            case.say(f"{what}: {looked} looked at, {slowed} refused with 429 in {case.seconds / 3:.0f} s")
            case.check(f"{what}: guesses are slowed", slowed > 0 and looked <= 12 + case.seconds / 3 * 2, looked)
        looked = slowed = 0
        deadline = time.monotonic() + case.seconds / 3
        while time.monotonic() < deadline:
            try:
                with wire.Client(cluster.ingest_wire, f"guess-{looked}-{slowed}", timeout=5) as one:
                    one.append([{"user": "x", "event": "X", "microseconds": 1_700_000_000_000_000}])
            except wire.SluiceError as error:
                slowed, looked = slowed + bool(error.retry_after_ms), looked + (not error.retry_after_ms)
        case.say(f"wire: {looked} looked at, {slowed} told to wait")
        case.check("wire: guesses are slowed", slowed > 0 and looked <= 12 + case.seconds / 3 * 2, looked)
        # The honest callers have the guesser's address.
