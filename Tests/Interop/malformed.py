#!/usr/bin/env python3
"""Sends what no client should to every port of a running cluster, and checks that nothing of it does harm.

    python3 malformed.py INFO_FILE [--count 1000] [--seed 1] [--bound-mib 64] [--only N] [--verbose]

Attack N of a seed is always the same: `--only N` repeats one. After a warm-up of 200 attacks (other ones, and
the largest) the memory of each process is read, after the last attack again. `sluice up` starts services that died; therefore the process ids count.
"""

import argparse
import collections
import gzip
import json
import os
import random
import socket
import struct
import sys
import time

import sluice_client as sluice
from sluice_client import MIB, Client, Frame, Http2Connection, SluiceError, crc32c, h2_frame, hpack_encode

WARM_UP = 200
PATIENCE = 15.0  # a complete request without an answer for so long is a hang

passed = failed = 0


def check(what, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print(f"FAILED {what}: {detail}")
    return good


class Hang(Exception):
    pass


class Bad(Exception):
    """The server answered, but not as it should."""


# ---------------------------------------------------------------------------------------------- what is sent


def sample_events(rng, count=None):
    """Valid events in a corner of their own: a mutation that stays valid must not touch the funnel that is watched."""
    kinds = (1, -1, 1 << 62, 0.5, True, False, "", "x", "prö")
    return [{"user": f"fuzz-{rng.randrange(20)}", "event": f"fuzz {rng.randrange(5)}",
             "microseconds": 1_710_892_800_000_000 + rng.randrange(1 << 40), "id": rng.choice(("", f"i{n}")),
             "properties": {f"k{k}": rng.choice(kinds) for k in range(rng.randrange(4))}}
            for n in range(rng.randrange(1, 40) if count is None else count)]


def valid_frame(rng, kind):
    if kind == sluice.APPEND:
        body = sluice.encode_append(rng.randrange(1, 1 << 32), rng.randrange(1, 1 << 20), sample_events(rng))
    elif kind == sluice.SHARD_APPEND:
        body = struct.pack("<QQIBI", rng.randrange(1, 1 << 32), rng.randrange(1, 1 << 20), 0, rng.randrange(4), 0) \
            + b"\1\0\x80\x08\0\0" + sluice.encode_batch(sample_events(rng))
    elif kind in (sluice.QUERY, sluice.USERS_QUERY):
        body = json.dumps({"funnel": {"steps": ["fuzz 1", "fuzz 2"]}, **({"step": 1} if kind == 9 else {})}).encode()
    elif kind == sluice.HELLO:
        body = sluice.encode_hello(rng.randbytes(16))
    elif kind == sluice.PARTIAL_QUERY:
        body = b"\0" + sluice.zigzag(10**15) + sluice.zigzag(0) + sluice.zigzag(10**15) + b"\1\0\x80\4" \
            + sluice.string(b'{"steps":["a"]}')
    elif kind == sluice.SNAPSHOT_REQUEST:
        body = struct.pack("<QI", 0, 10)
    else:
        body = b""
    return Frame(kind, body, request=rng.randrange(1, 1 << 60))


def flip(rng, data, times=1):
    data = bytearray(data)
    for _ in range(times if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def splice(rng, data):
    """One change of structure: bytes cut out, doubled, overwritten or put in."""
    at = rng.randrange(len(data) + 1)
    size = rng.choice((1, 1, 2, 3, 8, 30))
    return rng.choice((
        lambda: data[:at] + data[at + size:], lambda: data[:at] + data[at:at + size] * 2 + data[at + size:],
        lambda: data[:at] + rng.randbytes(size) + data[at + size:], lambda: data[:at] + rng.randbytes(size) + data[at:],
        lambda: data[:at] + b"\xff" * size + data[at + size:], lambda: data[:at] + b"\0" * size + data[at + size:],
        lambda: data[:at] + b"\xff" * 9 + b"\1" + data[at + 1:]))()


def seal(head, body):
    """Header bytes with the checksums made right again."""
    head = head[:40] + struct.pack("<I", crc32c(body)) + head[44:60]
    return head + struct.pack("<I", crc32c(head)) + body


def header(kind, encoded, decoded, flags=0, checksum=0):
    head = sluice.HEADER.pack(b"SLC1", 1, kind, flags, 0, 7, 0, 0, encoded, decoded, checksum, bytes(16))
    return head + struct.pack("<I", crc32c(head))


def compressed(kind, block, decoded):
    return header(kind, len(block), decoded, 1, crc32c(block)) + block


def zeros_block(size):
    """An LZ4 block of zeros at the greatest ratio."""
    rest = size - 1 - 5 - 4 - 15
    return b"\x1f\0\1\0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + b"\x50" + bytes(5)


def batch_of(sections, rows, version=1):
    out = bytes([version]) + sluice.varint(rows)
    for number, data in enumerate(sections, 1):
        out += struct.pack("<BBIII", number, 0, len(data), len(data), crc32c(data)) + data
    return out


def lying_batch(rng):
    """A batch whose counts do not agree, with every checksum right."""
    table, varint = sluice.table, sluice.varint
    rows = rng.choice((0, 1, 2, 200_000))
    huge = rng.choice((1 << 20, 1 << 31, (1 << 63) - 1, (1 << 64) - 1, 200_000, 51_200_000))
    sections = [table(["u"]), table(["e"]), b"\0\0" + sluice.zigzag(10**15) + b"\0", table([""]), table([]) * 2, b"\0"]
    place = rng.randrange(6)
    sections[place] = rng.choice((
        varint(huge), varint(huge) + b"\0" * rng.randrange(2000), varint(1) + varint(huge) + b"x", b"", b"\xff" * 11,
        sections[place] + b"\0", sections[place][:-1], varint(1) + varint(huge) + b"\0" * 1000))
    body = batch_of(sections, rows, rng.choice((1, 1, 1, 0, 2, 255)))
    if rng.random() < 0.3:  # a section that lies about itself; its own checksum stays
        at = rng.choice((2, 3, 4, 8, 12)) + 2
        body = body[:at] + rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\1", b"\0\0\0\0")) + body[at + 4:]
    if rng.random() < 0.2:  # a section compressed on its own, and a lie
        body = b"\1\1" + struct.pack("<BBIII", 1, 1, rng.choice((16 * MIB, 16 * MIB + 1, 5, 0)), 4, 0) + b"\x1f\0\1\0"
    return struct.pack("<QQI", rng.randrange(1 << 30), 1, rng.choice((0, 65_535, 65_536, 0xFFFFFFFF))) + b"\0" + body


def strange_json(rng, deep=100_000):
    n = rng.choice((65, 1000, deep))
    funnel = '{"funnel":{"steps":["fuzz 1","fuzz 2"]%s}}'
    return rng.choice((
        lambda: b"[" * n, lambda: b"[" * n + b"]" * n, lambda: b'{"a":' * n + b"1" + b"}" * n,
        lambda: (funnel % (',"x":' + "[" * n + "]" * n)).encode(),
        lambda: (funnel % (',"probability":' + "9" * rng.choice((30, 400, 50_000)))).encode(),
        lambda: (funnel % (',"probability":1e' + "9" * rng.choice((3, 10, 5000)))).encode(),
        lambda: (funnel % (',"probability":-0.' + "0" * 5000 + "1e-999999999")).encode(),
        lambda: (funnel % (f',"window_duration":"{"9" * rng.choice((10, 19, 5000))}d"')).encode(),
        lambda: (funnel % ',"window_duration":null,"event_types":[],"clock":{}').encode(),
        lambda: b'{"funnel":{"steps":["\xff\xfe\xc0\x80"]}}', lambda: b'{"funnel":{"steps":["\xed\xa0\x80"]}}',
        lambda: b'{"funnel":{"steps":["\\ud800\\u0000"]}}', lambda: b"", lambda: b"null", lambda: b"\xef\xbb\xbf{}",
        lambda: b"{" + b'"a":1,' * 20_000 + b'"a":2}',
        lambda: json.dumps({"funnel": {"steps": ["a"] * rng.choice((65, 5000))}}).encode(),
        lambda: json.dumps({"funnel": {"steps": [{"name": "a", "events": ["*"] * 5000}]}}).encode(),
        lambda: json.dumps({"funnel": {"steps": ["a"]}, "start": rng.choice(("9999999-01-01", "-1", "", "2024-02-30")),
                            "time_zone": rng.choice(("../../etc/passwd", "X" * 9000, "Europe/Berlin\0"))}).encode(),
        lambda: json.dumps({"funnel": {"steps": ["a"]}, "as_of": "2024-03-20T00:00:00." + "0" * 5000}).encode(),
        lambda: splice(rng, (funnel % "").encode()), lambda: rng.randbytes(200)))()


_kept = {}


def kept(name, make):
    """Large bodies are made once."""
    if name not in _kept:
        _kept[name] = make()
    return _kept[name]


def gzip_bomb(rng):
    size = rng.choice((MIB, 16 * MIB, 64 * MIB, 64 * MIB, 65 * MIB))
    unit = rng.choice((b" ", b"\n", b"\0", b"[", b"{}\n", b'{"user_id":"fuzz","event":"fuzz 1"}\n', b'{"a":', b'"'))
    what = kept((unit, size), lambda: gzip.compress(unit * (size // len(unit)), 6))
    if rng.random() < 0.1:
        return kept((unit, "twice"), lambda: gzip.compress(gzip.compress(unit * MIB)))
    return what


# --------------------------------------------------------------------------------------------- how it is sent


def connect(address):
    sock = socket.create_connection(sluice.split_address(address), PATIENCE)
    sock.settimeout(PATIENCE)
    return sock


def send_quietly(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass


def read_until_closed(sock, patience, most=4 * MIB):
    """(bytes, closed): what comes until the server closes, or the time is up."""
    out, until = bytearray(), time.monotonic() + patience
    while len(out) < most:
        left = until - time.monotonic()
        if left <= 0:
            return bytes(out), False
        sock.settimeout(left)
        try:
            part = sock.recv(65536)
        except socket.timeout:
            return bytes(out), False
        except OSError:
            return bytes(out), True
        if not part:
            return bytes(out), True
        out += part
    return bytes(out), False


# Paths that only services may call, at some service at least.
SERVICES = ("append", "shard-append", "partial-query", "partial-users", "snapshot")


def post(address, path, data, expect=None, content_type="application/x-sluice"):
    """One well-formed HTTP/2 call with a body that may be anything. The answer must be in order."""
    connection = Http2Connection(address, PATIENCE)
    try:
        status, answer = connection.call("/sluice/v1/" + path, [("content-type", content_type)], data, PATIENCE)
    except SluiceError as error:
        if error.name == "deadline_exceeded":
            raise Hang(f"{path}: no answer to {len(data)} bytes") from None
        return f"h2 {error.name}"
    finally:
        connection.close()
    if status != 200:
        if status not in (400, 413, 404, 405, 415):
            raise Bad(f"status {status}")
        return f"h2 status {status}"
    try:
        sluice.decode_answer(answer)
        told = "ok"
    except SluiceError as error:
        told = error.name
        if told in ("internal", "truncated_answer") or error.code not in sluice.ERRORS:
            raise Bad(f"{path}: {told}: {error.message}") from None
    if told == "not_authenticated" and path in SERVICES:
        # Told from the header of the request, whatever its body is.
        return f"answer {told}"
    if expect and told not in expect:
        raise Bad(f"{path}: {told}, expected {' or '.join(sorted(expect))}")
    return f"answer {told}"


def http1(address, request, patience=PATIENCE):
    """Raw bytes to an HTTP port; a whole request must be answered."""
    with connect(address) as sock:
        send_quietly(sock, request)
        answer, closed = read_until_closed(sock, patience)
    if not answer:
        if not closed and patience == PATIENCE:
            raise Hang("no answer and not closed")
        return "http closed" if closed else "http silent"
    if not answer.startswith(b"HTTP/1."):
        raise Bad(f"not HTTP: {answer[:60]!r}")
    status = int(answer[9:12])
    if status >= 500 and status not in (501, 503, 505):
        raise Bad(f"status {status}: {answer[-300:]!r}")
    return f"http status {status}"


def request_head(method, path, length, content_type, *more):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Type: {content_type}"]
    return ("\r\n".join(lines + ([] if length is None else [f"Content-Length: {length}"]) + list(more))
            + "\r\n\r\n").encode("latin-1")


HELLO_H2 = sluice.PREFACE + h2_frame(4, 0, 0)


def open_headers(path="/sluice/v1/health", content_type="application/x-sluice", *more):
    return hpack_encode([(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"),
                         ("content-type", content_type), *more])


def raw_h2(address, data, must_close=False):
    with connect(address) as sock:
        send_quietly(sock, data)
        answer, closed = read_until_closed(sock, 5.0 if must_close else 0.05)
    if must_close and not closed and not any(kind == 7 for kind in h2_kinds(answer)):
        raise Bad("a broken connection is neither closed nor told GOAWAY")
    return "raw closed" if closed else "raw open"


def h2_kinds(data):
    at = 0
    while at + 9 <= len(data):
        yield data[at + 3]
        at += 9 + int.from_bytes(data[at:at + 3], "big")


# ------------------------------------------------------------------------------------------------ the attacks

BODY_ERRORS = {"malformed_frame", "bad_checksum", "unsupported_version", "unknown_kind", "too_large",
               "damaged_compression", "invalid_message", "foreign_cluster", "forbidden", "invalid_query",
               "wrong_epoch", "not_authenticated"}


class Attacks:
    def __init__(self, info):
        self.info = info
        wires = [("ingest", info["ingest"]["wire"]), ("coordinator", info["coordinator"]["wire"])]
        self.wires = wires + [("shard", shard["wire"]) for shard in info["shards"]]
        self.https = [("ingest", info["ingest"]["http"]), ("coordinator", info["coordinator"]["http"])]
        self.shard_https = [shard["http"] for shard in info["shards"]]
        self.list = [(name[7:], getattr(self, name)) for name in sorted(dir(self)) if name.startswith("attack_")]
        weights = {"gzip_bomb": 2, "largest_bodies": 0.7, "lz4_bomb": 4, "mutated_body": 14, "mutated_frame": 14,
                   "many_streams": 1, "header_flood": 1, "batch_lies": 8, "h2_broken": 8, "http_garbage": 6}
        self.weights = [weights.get(name, 4) for name, _ in self.list]

    def run(self, number, seed):
        """`seed` may end in "=NAME": that attack, whatever the number would draw."""
        rng = random.Random(f"{seed}/{number}")
        (name, attack), = rng.choices(self.list, self.weights)
        only = str(seed).partition("=")[2]
        return (only, getattr(self, "attack_" + only)(rng)) if only else (name, attack(rng))

    def name(self, number, seed):
        return str(seed).partition("=")[2] or random.Random(f"{seed}/{number}").choices(self.list, self.weights)[0][0]

    def wire(self, rng):
        """A service and a call that it serves."""
        role, address = rng.choice(self.wires)
        path, kind = rng.choice({
            "ingest": [("append", 3), ("append", 3), ("append", 3), ("hello", 1), ("health", 12)],
            "coordinator": [("query", 5), ("query", 5), ("users", 9), ("hello", 1), ("snapshot", 14)],
            "shard": [("append", 3), ("shard-append", 22), ("partial-query", 7), ("partial-users", 10), ("hello", 1), ("health", 12)]}[role])
        return address, path, kind

    # frames

    def attack_mutated_frame(self, rng):
        """Bits changed anywhere, no checksum made right."""
        address, path, kind = self.wire(rng)
        data = sluice.encode_frame(valid_frame(rng, kind), rng.random() < 0.5)
        return post(address, path, flip(rng, data, rng.choice((1, 1, 2, 20))), BODY_ERRORS | {"ok"})

    def attack_mutated_body(self, rng):
        """The body changed, every checksum of the frame right."""
        address, path, kind = self.wire(rng)
        body = valid_frame(rng, kind).body
        for _ in range(rng.choice((1, 1, 3))):
            body = flip(rng, body) if rng.random() < 0.5 else splice(rng, body)
        return post(address, path, sluice.encode_frame(Frame(kind, body)), BODY_ERRORS | {"ok", "unknown_funnel"})

    def attack_mutated_batch(self, rng):
        """A section of a batch changed, its checksum right too."""
        rows = sample_events(rng)
        reader = sluice.Reader(sluice.encode_batch(rows)[1:])
        reader.varint()
        sections = []
        for _ in range(6):
            reader.take(2)
            length = reader.number(4)
            reader.take(8)
            sections.append(reader.take(length))
        place = rng.randrange(6)
        sections[place] = flip(rng, sections[place], 2) if rng.random() < 0.5 else splice(rng, sections[place])
        body = struct.pack("<QQI", rng.getrandbits(64), 1, 0) + b"\0" + batch_of(sections, len(rows))
        return post(self.info["ingest"]["wire"], "append", sluice.encode_frame(Frame(3, body)), {"ok", "invalid_message"})

    def attack_mutated_header(self, rng):
        address, path, kind = self.wire(rng)
        data = sluice.encode_frame(valid_frame(rng, kind))
        field, value = rng.choice((
            (0, b"SLC2"), (0, rng.randbytes(4)), (4, b"\0\0"), (4, b"\2\0"), (4, rng.randbytes(2)), (6, b"\0"),
            (6, b"\x12"), (6, b"\xff"), (6, bytes([rng.randrange(256)])), (7, b"\2"), (7, b"\x80"), (7, b"\1"),
            (8, rng.randbytes(8)), (24, rng.randbytes(4)), (28, rng.randbytes(4)), (32, b"\xff\xff\xff\xff"),
            (36, b"\xff\xff\xff\xff"), (32, rng.randbytes(8)), (32, b"\1\0\0\0\1\0\0\0"), (44, b"\1"), (59, b"\x80"),
            (44, rng.randbytes(16))))
        head = data[:field] + value + data[field + len(value):64]
        whole = seal(head, data[64:]) if rng.random() < 0.8 else head + data[64:]
        return post(address, path, whole, BODY_ERRORS | {"ok"})

    def attack_truncated(self, rng):
        address, path, kind = self.wire(rng)
        data = sluice.encode_frame(valid_frame(rng, kind))
        return post(address, path, data[:rng.randrange(len(data))], {"malformed_frame"})

    def attack_trailing(self, rng):
        address, path, kind = self.wire(rng)
        data = sluice.encode_frame(valid_frame(rng, kind))
        return post(address, path, data + rng.choice((b"\0", data, rng.randbytes(1000))), {"malformed_frame"})

    def attack_garbage(self, rng):
        address, path, _ = self.wire(rng)
        return post(address, path, rng.randbytes(rng.choice((0, 1, 63, 64, 65, 1000, 60_000))), {"malformed_frame"})

    def attack_announced_length(self, rng):
        """A header that is right but for what it announces."""
        address, path, kind = self.wire(rng)
        limit = sluice.BODY_LIMIT[kind]
        encoded, decoded = rng.choice(((limit + 1, limit + 1), (0xFFFFFFFF, 0xFFFFFFFF), (limit, limit), (10, limit),
                                       (0, limit), (0xFFFFFFFF, 1), (limit, limit + 1)))
        return post(address, path, header(kind, encoded, decoded, rng.randrange(2)) + rng.randbytes(10),
                    {"too_large", "malformed_frame", "bad_checksum", "damaged_compression"})

    def attack_lz4_bomb(self, rng):
        address, path, kind = self.wire(rng)
        limit = sluice.BODY_LIMIT[kind]
        size = rng.choice((limit, limit // 2, limit - 1))
        block, announced = rng.choice(((zeros_block(size), size), (zeros_block(size), size - 1),
                                       (zeros_block(size), 1), (b"\x1f\0\1\0" + b"\xff" * 50, limit),
                                       (b"\xf0" + b"\xff" * 3000, limit), (zeros_block(size)[:-3], size),
                                       (rng.randbytes(3000), limit), (b"\x10\0\0\0", 5), (b"\x10a\2\0\x10b", 6),
                                       (b"", 0), (b"", 64), (b"\0", 0)))
        if not block or len(block) > limit:
            block = block[:limit]
        empty = kind == sluice.HEALTH and (block, announced) == (b"\0", 0)  # a block of nothing: that is in order
        return post(address, path, compressed(kind, block, announced), BODY_ERRORS | ({"ok"} if empty else set()))

    def attack_batch_lies(self, rng):
        data = sluice.encode_frame(Frame(3, lying_batch(rng)), rng.random() < 0.3)
        return post(self.info["ingest"]["wire"], "append", data, {"invalid_message", "ok"})

    def attack_hello_garbage(self, rng):
        _, address = rng.choice(self.wires)
        body = rng.choice((rng.randbytes(54), rng.randbytes(rng.randrange(200)), bytes(54),
                           sluice.encode_hello(rng.randbytes(16), "shard", 2, proof=rng.randbytes(32)),
                           sluice.encode_hello(bytes(16), "ingest", 1, 0, 0xFFFF),
                           sluice.encode_hello(bytes(16), "client", 1, 9, 2)))
        return post(address, "hello", sluice.encode_frame(Frame(1, body)),
                    {"ok", "invalid_message", "unsupported_version", "not_authenticated"})

    def attack_stolen_calls(self, rng):
        """The calls between services, without proof."""
        path, kind = rng.choice((("append", 3), ("shard-append", 22), ("partial-query", 7), ("partial-users", 10)))
        address = rng.choice(self.info["shards"])["wire"]
        if rng.random() < 0.3:
            path, kind, address = "snapshot", 14, self.info["coordinator"]["wire"]
        return post(address, path, sluice.encode_frame(valid_frame(rng, kind)), {"not_authenticated", "invalid_message"})

    def attack_wrong_requests(self, rng):
        address, path, kind = self.wire(rng)
        data = sluice.encode_frame(valid_frame(rng, kind))
        if rng.random() < 0.5:
            kind = rng.choice((None, "", "application/json", "text/plain", "application/x-sluice\t", "x" * 5000))
            return post(address, path, data, content_type=kind or "")
        return post(address, rng.choice(("", "../v1/append", "append/", "%61ppend", "a" * 5000, "append\0", "append?x")), data)

    def attack_query_json(self, rng):
        path, kind = rng.choice((("query", 5), ("users", 9)))
        return post(self.info["coordinator"]["wire"], path, sluice.encode_frame(Frame(kind, strange_json(rng))),
                    {"ok", "invalid_message", "invalid_query"})

    def attack_largest_bodies(self, rng):
        size = rng.choice((16 * MIB - 64, 16 * MIB - 63, 17 * MIB))
        data = kept(("large", size), lambda: header(3, size, size, 0, crc32c(bytes(size))) + bytes(size))
        return post(self.info["ingest"]["wire"], "append", data)

    # below frames

    def attack_http1_on_wire(self, rng):
        _, address = rng.choice(self.wires)
        data = rng.choice((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /sluice/v1/append HTTP/1.1\r\nContent-Length: 9",
                           b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3", rng.randbytes(300),
                           b"\0" * 100, b"x" * 100_000))
        return raw_h2(address, data, must_close=len(data) >= 24)

    def attack_h2_broken(self, rng):
        """What RFC 9113 calls an error of the connection: it must be closed, or told GOAWAY."""
        _, address = rng.choice(self.wires)
        block, good = open_headers(), sluice.encode_frame(Frame(12))
        return raw_h2(address, HELLO_H2 + rng.choice((
            h2_frame(0, 0, 0, b"x"), h2_frame(0, 1, 1, b"x"), h2_frame(1, 4, 0, block), h2_frame(1, 4, 2, block),
            b"\xff\xff\xff\0\0\0\0\0\1" + bytes(70_000), h2_frame(9, 4, 1, block), h2_frame(4, 0, 0, b"12345"),
            h2_frame(4, 0, 1, b""), h2_frame(4, 1, 0, b"123456"), h2_frame(8, 0, 0, b"\0\0\0\0"),
            h2_frame(8, 0, 0, b"\x7f\xff\xff\xff") * 2, h2_frame(8, 0, 0, b"abc"), h2_frame(6, 0, 0, b"short"),
            h2_frame(6, 0, 1, b"12345678"), h2_frame(3, 0, 0, b"1234"), h2_frame(3, 0, 9, b"1234"),
            h2_frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\x7f"), h2_frame(1, 4, 1, b"\xbe"), h2_frame(1, 4, 1, b"\x80"),
            h2_frame(1, 4, 1, b"\x3f\xff\xff\xff\xff\x0f"), h2_frame(1, 4, 1, b"\x00\xff\xff\xff\xff\xff\xff\xff"),
            h2_frame(1, 0, 1, block) + h2_frame(0, 1, 1, good), h2_frame(1, 4 | 8, 1, b"\xff" + block[:9]),
            h2_frame(5, 4, 1, b"\0\0\0\2" + block),
            h2_frame(4, 0, 0, struct.pack(">HI", 4, 1 << 31)), h2_frame(4, 0, 0, struct.pack(">HI", 5, 1)),
            h2_frame(4, 0, 0, struct.pack(">HI", 2, 7)))), must_close=True)

    def attack_h2_odd(self, rng):
        """What the connection may survive."""
        _, address = rng.choice(self.wires)
        good = sluice.encode_frame(Frame(12))
        many = b"".join(h2_frame(1, 4, n, open_headers()) + h2_frame(3, 0, n, b"\0\0\0\x08") for n in range(1, 401, 2))
        return raw_h2(address, HELLO_H2 + rng.choice((
            h2_frame(1, 5, 3, open_headers()) + h2_frame(1, 5, 1, open_headers()),  # RFC: an error; the server is silent
            h2_frame(99, 255, 77, rng.randbytes(900)), h2_frame(6, 0, 0, b"12345678") * 500,
            h2_frame(4, 0, 0, struct.pack(">HI", 4, rng.randrange(100))) * 300, many,
            h2_frame(1, 4, 1, hpack_encode([("Upper", "x")])), h2_frame(1, 5, 1, hpack_encode([(":method", "POST")])),
            h2_frame(1, 5, 1, hpack_encode([(":method", "POST")] * 3)), h2_frame(1, 5, 1, b""),
            h2_frame(1, 4, 1, open_headers("/sluice/v1/health", "application/x-sluice", ("content-length", "1")))
            + h2_frame(0, 1, 1, good),
            h2_frame(1, 4, 1, open_headers("/sluice/v1/health", "application/x-sluice", ("content-length", "-9" * 99)))
            + h2_frame(0, 1, 1, good),
            h2_frame(1, 4, 1, open_headers()) + h2_frame(0, 0, 1, b"") * 1000,
            h2_frame(1, 4, 1, open_headers()) + h2_frame(0, 9, 1, b"\x05" + good[:3]),
            h2_frame(1, 4, 1, open_headers()) + h2_frame(8, 0, 1, b"\x7f\xff\xff\xff") * 2,
            h2_frame(4, 0, 0, struct.pack(">HI", 4, 0)) + h2_frame(1, 4, 1, open_headers()) + h2_frame(0, 1, 1, good),
            h2_frame(7, 0, 0, bytes(8)) + h2_frame(1, 5, 1, open_headers()), h2_frame(2, 0, 1, b"\0\0\0\1\0"),
            rng.randbytes(400))))

    def attack_header_flood(self, rng):
        """Header blocks without end: more than the 32 KiB that a server accepts."""
        _, address = rng.choice(self.wires)
        field = hpack_encode([("x-" + "a" * 20, "b" * 4000)])
        data = h2_frame(1, 0, 1, open_headers()) + h2_frame(9, 0, 1, field * 4) * 150
        if rng.random() < 0.5:  # a block that is small on the wire: one indexed field, many times
            data = h2_frame(1, 0, 1, open_headers() + hpack_indexing("x-a", "b" * 3000)) + h2_frame(9, 4, 1, b"\xbe" * 16000)
        return raw_h2(address, HELLO_H2 + data)

    def attack_half_requests(self, rng):
        address, path, kind = self.wire(rng)
        data = sluice.encode_frame(valid_frame(rng, kind))
        whole = HELLO_H2 + h2_frame(1, 4, 1, open_headers("/sluice/v1/" + path)) + h2_frame(0, 1, 1, data)
        with connect(address) as sock:
            if rng.random() < 0.3:  # closed with RST
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            send_quietly(sock, whole[:rng.randrange(len(whole))])
        return "half"

    def attack_many_streams(self, rng):
        """More streams than allowed, none of them finished."""
        _, address = rng.choice(self.wires)
        block = open_headers("/sluice/v1/health")
        return raw_h2(address, HELLO_H2 + b"".join(h2_frame(1, 4, n, block) + h2_frame(0, 0, n, b"SLC1")
                                                   for n in range(1, 601, 2)))

    # HTTP

    def attack_http_garbage(self, rng):
        address = rng.choice([a for _, a in self.https] + self.shard_https)
        whole, data = rng.choice((
            (False, rng.randbytes(400)), (False, sluice.PREFACE + h2_frame(4, 0, 0)), (False, b"\0" * 1000),
            (False, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"), (False, b"GET"),
            (True, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nConnection: close\r\n\r\n"),
            (True, b"GET / HTTP/1.1\r\nConnection: close\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n"),
            (True, b"GET / HTTP/1.1\r\nConnection: close\r\nX: " + b"y" * 300_000 + b"\r\n\r\n"),
            (True, b"BREW /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            (True, b"GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            (True, b"GET /%2e%2e/%00%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            (True, b"GET / HTTP/9.9\r\nHost: x\r\nConnection: close\r\n\r\n"),
            (True, b"POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: -5\r\n\r\n"),
            (True, b"POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
            (True, b"POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 99999999999999999999\r\n\r\n"),
            (True, b"POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            (False, b"POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
            (True, b"POST /v1/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
            (False, b"POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"),
            (False, b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"),
            (False, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 200)))
        return http1(address, data, PATIENCE if whole else 0.05)

    def attack_events_body(self, rng):
        good = b'{"user_id":"fuzz","event":"fuzz 1","timestamp":"2024-03-20T00:00:00Z"}\n'
        deep = rng.choice((17, 65, 100_000))
        body = rng.choice((
            lambda: good + b"{bad\n" + good + b"\n\n[]\nnull\n\"x\"\n" + good,
            lambda: good.replace(b"fuzz 1", b"\xff\xfe\xc0\x80"), lambda: good.replace(b'"fuzz"', b'"\\ud800"'),
            lambda: good.replace(b'"2024-03-20T00:00:00Z"', rng.choice((b"1e999", b"-1", b"9" * 400, b"1e-400", b"null", b"{}"))),
            lambda: good[:-2] + b',"properties":' + b'{"a":' * deep + b"1" + b"}" * deep + b"}\n",
            lambda: good[:-2] + b',"properties":{"a":' + b"[" * deep + b"]" * deep + b"}}\n",
            lambda: good[:-2] + b',"properties":{"n":' + b"9" * rng.choice((19, 20, 400, 100_000)) + b"}}\n",
            lambda: good[:-2] + b',"properties":{"s":"' + b"x" * rng.choice((8193, 33_000, 2_000_000)) + b'"}}\n',
            lambda: good[:-2] + b',"properties":{' + b",".join(b'"p%d":1' % n for n in range(5000)) + b"}}\n",
            lambda: b"{}\n" * 100_000, lambda: b"\n" * 300_000, lambda: b"{bad\n" * 100_000, lambda: b"x" * 3_000_000,
            lambda: b'{"events":[' + good[:-1] + b"," * 9 + b"]}", lambda: b'{"events":' + b"[" * deep, lambda: b"",
            lambda: b'{"events":[' + b"{}," * 50_000 + b"{}]}", lambda: b"user_id,event\n\"" + b"a,b\n" * 5000,
            lambda: splice(rng, good * 3), lambda: flip(rng, good * 3, 4), lambda: rng.randbytes(5000)))()
        kind = rng.choice(("application/x-ndjson", "application/x-ndjson", "application/json", "text/csv", "text/html", "",
                           "application/json; charset=utf-16", "x" * 3000))
        lie = rng.choice((0, 0, 0, 0, -1))
        head = request_head("POST", "/v1/events", max(0, len(body) + lie), kind,
                            *rng.choice(((), (), ("Idempotency-Key: " + "k" * 5000,), ("Content-Encoding: gzip",),
                                         ("Content-Encoding: br",), ("Content-Encoding: gzip, gzip",))))
        return http1(self.info["ingest"]["http"], head + body)

    def attack_gzip_bomb(self, rng):
        body = gzip_bomb(rng)
        kind = rng.choice(("application/x-ndjson", "application/json", "text/csv"))
        cut = rng.choice((len(body), len(body), len(body), len(body) // 2, len(body) - 4))
        body = body[:cut] if rng.random() < 0.7 else flip(rng, body, 3)
        head = request_head("POST", "/v1/events", len(body), kind, "Content-Encoding: gzip")
        return http1(self.info["ingest"]["http"], head + body, PATIENCE)

    def attack_http_query(self, rng):
        body = strange_json(rng)
        path = rng.choice(("/v1/query", "/v1/query", "/v1/funnels", "/v1/funnels/%00", "/v1/users"))
        head = request_head(rng.choice(("POST", "POST", "PUT", "DELETE", "GET")), path, len(body),
                            rng.choice(("application/json", "text/plain", "")))
        return http1(self.info["coordinator"]["http"], head + body)

    def attack_http_half(self, rng):
        address = rng.choice(self.https)[1]
        body = b'{"user_id":"fuzz","event":"fuzz 1","timestamp":1710892800}\n' * 50
        data = request_head("POST", "/v1/events", len(body), "application/x-ndjson") + body
        with connect(address) as sock:
            send_quietly(sock, data[:rng.randrange(len(data))])
        return "half"


def hpack_indexing(name, value):
    """A literal that enters the dynamic table, where index 62 names it."""
    return b"\x40" + hpack_encode([(name, value)])[1:]


# ------------------------------------------------------------------------------------------------- the checks


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def resident(pid):
    """MiB, or None."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024
    except (OSError, StopIteration):
        return None


def handles(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("info")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--bound-mib", type=float, default=64)
    parser.add_argument("--only", type=int, help="send only attack N")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    with open(options.info, encoding="utf-8") as file:
        info = json.load(file)
    pids, attacks = info["pids"], Attacks(info)
    token = f"{options.seed}-{random.SystemRandom().getrandbits(32):x}"

    # the funnel that must not change: 3 users, 2 of them convert, after 10 and 20 seconds
    one, two, at = f"watched 1 {token}", f"watched 2 {token}", 1_710_892_800_000_000
    rows = [{"user": f"watched-{token}-{n}", "event": one, "microseconds": at, "id": f"{n}"} for n in range(3)]
    rows += [{"user": f"watched-{token}-{n}", "event": two, "microseconds": at + n * 10_000_000, "id": f"b{n}"}
             for n in (1, 2)]
    with Client(info["ingest"]["wire"]) as client:
        check("the watched funnel is stored", client.append(rows)["accepted"] == 5)

    def watched():
        with Client(info["coordinator"]["wire"]) as client:
            report = client.query({"funnel": {"steps": [one, two]}, "as_of": "2024-04-01T00:00:00Z"})
        return [step["count"] for step in report["steps"]], report["steps"][1]["average_seconds"]

    check("the watched funnel's numbers", watched() == ([3, 2], 15), watched())
    outcomes, slowest, dead = collections.Counter(), [], set()
    seen = collections.defaultdict(collections.Counter)

    def attack(number, seed):
        began = time.monotonic()
        name = attacks.name(number, seed)
        try:
            _, outcome = attacks.run(number, seed)
        except (Hang, Bad) as error:
            check(f"attack {number} of seed {seed} ({name})", False, f"{type(error).__name__}: {error}")
            outcome = type(error).__name__
        except (SluiceError, OSError) as error:
            check(f"attack {number} of seed {seed} ({name})", False, f"cannot connect: {error}")
            outcome = "no connection"
        outcomes[outcome] += 1
        seen[name][outcome] += 1
        slowest.append((time.monotonic() - began, number, seed, name, outcome))
        if options.verbose:
            print(f"{number} {name}: {outcome} ({time.monotonic() - began:.2f} s)", flush=True)
        for service, pid in pids.items():
            if service not in dead and not alive(pid):
                dead.add(service)
                check(f"{service} after attack {number} of seed {seed} ({name})", False, f"process {pid} is gone")

    if options.only is not None:
        attack(options.only, options.seed)
    else:
        for number in range(min(WARM_UP, options.count)):
            attack(number, f"{options.seed}/warm-up")
        for number in range(30):  # the allocators keep what the largest requests took: all of that is warm-up
            attack(number, f"{options.seed}/warm-up=gzip_bomb")
            attack(number, f"{options.seed}/warm-up=largest_bodies")
        time.sleep(2)
        before = {service: (resident(pid), handles(pid)) for service, pid in pids.items()}
        for number in range(options.count):
            attack(number, options.seed)
            if number % 250 == 249:
                check(f"the watched funnel after {number + 1}", watched() == ([3, 2], 15), watched())
        time.sleep(3)
        after = {service: (resident(pid), handles(pid)) for service, pid in pids.items()}

    for service, pid in pids.items():
        check(f"{service}: process {pid}", alive(pid), "is gone")
    with open(options.info, encoding="utf-8") as file:
        check("the process ids of the info file", json.load(file)["pids"] == pids)
    for role, address in attacks.wires:
        try:
            with Client(address, timeout=PATIENCE) as client:
                health = client.health()
                check(f"{role} {address}: health", health["role"] == role and health["ready"], health)
        except SluiceError as error:
            check(f"{role} {address}: health", False, error)
    for address in [a for _, a in attacks.https] + attacks.shard_https:
        try:
            outcome = http1(address, request_head("GET", "/healthz", None, "text/plain"))
        except (Hang, Bad, OSError) as error:
            outcome = error
        check(f"{address}: /healthz", outcome == "http status 200", outcome)
    try:
        check("the watched funnel at the end", watched() == ([3, 2], 15), watched())
    except SluiceError as error:
        check("the watched funnel at the end", False, error)

    if options.only is None:
        print("resident memory, MiB; open files")
        for service in pids:
            (old, files), (new, files_now) = before[service], after[service]
            if old is None or new is None:
                check(f"{service}: memory", False, "cannot be read")
                continue
            print(f"  {service:12} {old:8.1f} -> {new:8.1f}  ({new - old:+.1f})   {files} -> {files_now}")
            check(f"{service}: memory", new - old < options.bound_mib, f"grew by {new - old:.1f} MiB")
            check(f"{service}: open files", files_now - files < 20, f"{files} -> {files_now}")
    print("outcomes:", ", ".join(f"{name} {count}" for name, count in outcomes.most_common()))
    if options.verbose:
        for name, counter in sorted(seen.items()):
            print(f"  {name}: {dict(counter)}")
    print("slowest:", "; ".join(f"{s:.1f} s {name} ({outcome})" for s, _, _, name, outcome in sorted(slowest)[:-6:-1]))
    check("no crash and no hang", not dead and not outcomes["Hang"], dead)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
