"""What `malformed.py` sends in bodies: valid frames and their mutations, bombs, batches whose counts disagree, strange JSON."""

import gzip
import json
import struct

import frames
from batches import encode_batch
from checksums import crc32c
from client_messages import encode_append, encode_hello
from frames import MIB, Frame
from notation import string, table, varint, zigzag


def sample_events(rng, count=None):
    """Valid events in a corner of their own: a mutation that stays valid must not touch the funnel that is watched."""
    kinds = (1, -1, 1 << 62, 0.5, True, False, "", "x", "prö")
    return [{"user": f"fuzz-{rng.randrange(20)}", "event": f"fuzz {rng.randrange(5)}",
             "microseconds": 1_710_892_800_000_000 + rng.randrange(1 << 40), "id": rng.choice(("", f"i{n}")),
             "properties": {f"k{k}": rng.choice(kinds) for k in range(rng.randrange(4))}}
            for n in range(rng.randrange(1, 40) if count is None else count)]


def valid_frame(rng, kind):
    if kind == frames.APPEND:
        body = encode_append(rng.randrange(1, 1 << 32), rng.randrange(1, 1 << 20), sample_events(rng))
    elif kind == frames.SHARD_APPEND:
        body = struct.pack("<QQIBI", rng.randrange(1, 1 << 32), rng.randrange(1, 1 << 20), 0, rng.randrange(4), 0) \
            + b"\1\0\x80\x08\0\0" + encode_batch(sample_events(rng))
    elif kind in (frames.QUERY, frames.USERS_QUERY):
        body = json.dumps({"funnel": {"steps": ["fuzz 1", "fuzz 2"]}, **({"step": 1} if kind == 9 else {})}).encode()
    elif kind == frames.HELLO:
        body = encode_hello(rng.randbytes(16))
    elif kind == frames.PARTIAL_QUERY:
        body = b"\0" + zigzag(10**15) + zigzag(0) + zigzag(10**15) + b"\1\0\x80\4" \
            + string(b'{"steps":["a"]}')
    elif kind == frames.SNAPSHOT_REQUEST:
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
    head = frames.HEADER.pack(b"SLC1", 1, kind, flags, 0, 7, 0, 0, encoded, decoded, checksum, bytes(16))
    return head + struct.pack("<I", crc32c(head))


def compressed(kind, block, decoded):
    return header(kind, len(block), decoded, 1, crc32c(block)) + block


def zeros_block(size):
    """An LZ4 block of zeros at the maximum ratio."""
    rest = size - 1 - 5 - 4 - 15
    return b"\x1f\0\1\0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + b"\x50" + bytes(5)


def batch_of(sections, rows, version=1):
    out = bytes([version]) + varint(rows)
    for number, data in enumerate(sections, 1):
        out += struct.pack("<BBIII", number, 0, len(data), len(data), crc32c(data)) + data
    return out


def lying_batch(rng):
    """A batch whose counts do not agree, with every checksum right."""
    rows = rng.choice((0, 1, 2, 200_000))
    huge = rng.choice((1 << 20, 1 << 31, (1 << 63) - 1, (1 << 64) - 1, 200_000, 51_200_000))
    sections = [table(["u"]), table(["e"]), b"\0\0" + zigzag(10**15) + b"\0", table([""]), table([]) * 2, b"\0"]
    place = rng.randrange(6)
    sections[place] = rng.choice((
        varint(huge), varint(huge) + b"\0" * rng.randrange(2000), varint(1) + varint(huge) + b"x", b"", b"\xff" * 11,
        sections[place] + b"\0", sections[place][:-1], varint(1) + varint(huge) + b"\0" * 1000))
    body = batch_of(sections, rows, rng.choice((1, 1, 1, 0, 2, 255)))
    if rng.random() < 0.3:  # a section whose header is wrong; its own checksum stays
        at = rng.choice((2, 3, 4, 8, 12)) + 2
        body = body[:at] + rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\1", b"\0\0\0\0")) + body[at + 4:]
    if rng.random() < 0.2:  # a section compressed on its own, with a wrong length
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
