"""The attacks of `malformed.py`. Each method `attack_NAME` makes one from random numbers and gives its outcome."""

import random
import socket
import struct

import frames
from batches import encode_batch
from checksums import crc32c
from client_messages import encode_hello
from frames import MIB, Frame, encode_frame
from http2 import PREFACE, h2_frame
from http2_headers import hpack_encode
from malformed_bodies import (batch_of, compressed, flip, gzip_bomb, header, kept, lying_batch, sample_events, seal, splice,
                              strange_json, valid_frame, zeros_block)
from malformed_calls import (HELLO_H2, PATIENCE, connect, hpack_indexing, http1, open_headers, post, raw_h2, request_head,
                             send_quietly)
from notation import Reader

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
            "shard": [("append", 3), ("shard-append", 22), ("partial-query", 7), ("partial-users", 10), ("hello", 1),
                      ("health", 12)]}[role])
        return address, path, kind

    # frames

    def attack_mutated_frame(self, rng):
        """Bits changed anywhere, no checksum made right."""
        address, path, kind = self.wire(rng)
        data = encode_frame(valid_frame(rng, kind), rng.random() < 0.5)
        return post(address, path, flip(rng, data, rng.choice((1, 1, 2, 20))), BODY_ERRORS | {"ok"})

    def attack_mutated_body(self, rng):
        """The body changed, every checksum of the frame right."""
        address, path, kind = self.wire(rng)
        body = valid_frame(rng, kind).body
        for _ in range(rng.choice((1, 1, 3))):
            body = flip(rng, body) if rng.random() < 0.5 else splice(rng, body)
        return post(address, path, encode_frame(Frame(kind, body)), BODY_ERRORS | {"ok", "unknown_funnel"})

    def attack_mutated_batch(self, rng):
        """A section of a batch changed, its checksum right too."""
        rows = sample_events(rng)
        reader = Reader(encode_batch(rows)[1:])
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
        return post(self.info["ingest"]["wire"], "append", encode_frame(Frame(3, body)), {"ok", "invalid_message"})

    def attack_mutated_header(self, rng):
        address, path, kind = self.wire(rng)
        data = encode_frame(valid_frame(rng, kind))
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
        data = encode_frame(valid_frame(rng, kind))
        return post(address, path, data[:rng.randrange(len(data))], {"malformed_frame"})

    def attack_trailing(self, rng):
        address, path, kind = self.wire(rng)
        data = encode_frame(valid_frame(rng, kind))
        return post(address, path, data + rng.choice((b"\0", data, rng.randbytes(1000))), {"malformed_frame"})

    def attack_garbage(self, rng):
        address, path, _ = self.wire(rng)
        return post(address, path, rng.randbytes(rng.choice((0, 1, 63, 64, 65, 1000, 60_000))), {"malformed_frame"})

    def attack_announced_length(self, rng):
        """A header that is right but for what it announces."""
        address, path, kind = self.wire(rng)
        limit = frames.BODY_LIMIT[kind]
        encoded, decoded = rng.choice(((limit + 1, limit + 1), (0xFFFFFFFF, 0xFFFFFFFF), (limit, limit), (10, limit),
                                       (0, limit), (0xFFFFFFFF, 1), (limit, limit + 1)))
        return post(address, path, header(kind, encoded, decoded, rng.randrange(2)) + rng.randbytes(10),
                    {"too_large", "malformed_frame", "bad_checksum", "damaged_compression"})

    def attack_lz4_bomb(self, rng):
        address, path, kind = self.wire(rng)
        limit = frames.BODY_LIMIT[kind]
        size = rng.choice((limit, limit // 2, limit - 1))
        block, announced = rng.choice(((zeros_block(size), size), (zeros_block(size), size - 1),
                                       (zeros_block(size), 1), (b"\x1f\0\1\0" + b"\xff" * 50, limit),
                                       (b"\xf0" + b"\xff" * 3000, limit), (zeros_block(size)[:-3], size),
                                       (rng.randbytes(3000), limit), (b"\x10\0\0\0", 5), (b"\x10a\2\0\x10b", 6),
                                       (b"", 0), (b"", 64), (b"\0", 0)))
        if not block or len(block) > limit:
            block = block[:limit]
        empty = kind == frames.HEALTH and (block, announced) == (b"\0", 0)  # a block of nothing: that is in order
        return post(address, path, compressed(kind, block, announced), BODY_ERRORS | ({"ok"} if empty else set()))

    def attack_batch_lies(self, rng):
        data = encode_frame(Frame(3, lying_batch(rng)), rng.random() < 0.3)
        return post(self.info["ingest"]["wire"], "append", data, {"invalid_message", "ok"})

    def attack_hello_garbage(self, rng):
        _, address = rng.choice(self.wires)
        body = rng.choice((rng.randbytes(54), rng.randbytes(rng.randrange(200)), bytes(54),
                           encode_hello(rng.randbytes(16), "shard", 2, proof=rng.randbytes(32)),
                           encode_hello(bytes(16), "ingest", 1, 0, 0xFFFF),
                           encode_hello(bytes(16), "client", 1, 9, 2)))
        return post(address, "hello", encode_frame(Frame(1, body)),
                    {"ok", "invalid_message", "unsupported_version", "not_authenticated"})

    def attack_stolen_calls(self, rng):
        """The calls between services, without proof."""
        path, kind = rng.choice((("append", 3), ("shard-append", 22), ("partial-query", 7), ("partial-users", 10)))
        address = rng.choice(self.info["shards"])["wire"]
        if rng.random() < 0.3:
            path, kind, address = "snapshot", 14, self.info["coordinator"]["wire"]
        return post(address, path, encode_frame(valid_frame(rng, kind)), {"not_authenticated", "invalid_message"})

    def attack_wrong_requests(self, rng):
        address, path, kind = self.wire(rng)
        data = encode_frame(valid_frame(rng, kind))
        if rng.random() < 0.5:
            kind = rng.choice((None, "", "application/json", "text/plain", "application/x-sluice\t", "x" * 5000))
            return post(address, path, data, content_type=kind or "")
        return post(address, rng.choice(("", "../v1/append", "append/", "%61ppend", "a" * 5000, "append\0", "append?x")), data)

    def attack_query_json(self, rng):
        path, kind = rng.choice((("query", 5), ("users", 9)))
        return post(self.info["coordinator"]["wire"], path, encode_frame(Frame(kind, strange_json(rng))),
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
        block, good = open_headers(), encode_frame(Frame(12))
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
        good = encode_frame(Frame(12))
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
        data = encode_frame(valid_frame(rng, kind))
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
            (False, rng.randbytes(400)), (False, PREFACE + h2_frame(4, 0, 0)), (False, b"\0" * 1000),
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
            (True, b"POST /v1/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
             b"Content-Length: 3\r\n\r\n0\r\n\r\n"),
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
