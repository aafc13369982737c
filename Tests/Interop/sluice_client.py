#!/usr/bin/env python3
"""A client for Sluice, written from Protocol/PROTOCOL.md alone. Python 3.8 or later, standard library only.

    sluice_client.py append HOST:PORT < events.ndjson     (ingest's wire port)
    sluice_client.py query  HOST:PORT < query.json        (the coordinator's)
    sluice_client.py users  HOST:PORT < query.json        (with "step", "outcome", ...; all pages)
    sluice_client.py health HOST:PORT
    sluice_client.py hello  HOST:PORT
"""

import argparse
import json
import math
import os
import re
import secrets
import socket
import struct
import sys
import time

MAGIC = b"SLC1"
VERSION = 1
HEADER = struct.Struct("<4sHBBQQIIIII16s")  # the first 60 bytes
MIB = 1 << 20

(HELLO, HELLO_RESULT, APPEND, APPEND_RESULT, QUERY, MERGED_RESULT, PARTIAL_QUERY, PARTIAL_RESULT, USERS_QUERY,
 PARTIAL_USERS_QUERY, USER_LIST, HEALTH, HEALTH_RESULT, SNAPSHOT_REQUEST, SNAPSHOT, ERROR, TRAILER,
 DISCOVERY_QUERY, DISCOVERY_RESULT, IDENTITY_REQUEST, IDENTITY,
 SHARD_APPEND, KEY_LIST_REQUEST, KEY_LIST) = range(1, 25)

BODY_LIMIT = {
    HELLO: 4096, HELLO_RESULT: 4096, APPEND: 16 * MIB, APPEND_RESULT: 16 * MIB, QUERY: MIB,
    MERGED_RESULT: 16 * MIB, PARTIAL_QUERY: 16 * MIB, PARTIAL_RESULT: 128 * MIB, USERS_QUERY: MIB,
    PARTIAL_USERS_QUERY: 16 * MIB, USER_LIST: 8 * MIB, HEALTH: 4096, HEALTH_RESULT: 4096,
    SNAPSHOT_REQUEST: 4096, SNAPSHOT: 8 * MIB, ERROR: 64 * 1024, TRAILER: 64,
    DISCOVERY_QUERY: 16384, DISCOVERY_RESULT: 64 * MIB,
    IDENTITY_REQUEST: 4096, IDENTITY: 8192, SHARD_APPEND: 16 * MIB, KEY_LIST_REQUEST: 64 * 1024, KEY_LIST: MIB,
}

ROLES = {1: "client", 2: "ingest", 3: "coordinator", 4: "shard"}
ROLE_CODES = {name: code for code, name in ROLES.items()}

# code: name, outcome, retryable (section 12)
ERRORS = {
    1: ("malformed_frame", "refused", False), 2: ("unsupported_version", "refused", False),
    3: ("too_large", "refused", False), 4: ("bad_checksum", "refused", True),
    5: ("damaged_compression", "refused", False), 6: ("unknown_kind", "refused", False),
    7: ("invalid_message", "refused", False), 8: ("truncated_answer", "unknown", True),
    9: ("foreign_cluster", "refused", False), 10: ("wrong_epoch", "refused", True),
    11: ("wrong_bucket", "refused", False), 12: ("not_authenticated", "refused", False),
    13: ("forbidden", "refused", False), 14: ("invalid_query", "refused", False),
    15: ("unknown_funnel", "refused", False), 16: ("overloaded", "refused", True),
    17: ("not_ready", "refused", True), 18: ("shard_unavailable", "unknown", True),
    19: ("deadline_exceeded", "unknown", True), 20: ("cancelled", "unknown", False),
    21: ("sequence_expired", "unknown", False), 22: ("storage_full", "refused", True),
    23: ("storage_failed", "unknown", True), 24: ("work_budget", "failed", False),
    25: ("connection_lost", "unknown", True), 26: ("internal", "failed", False),
    27: ("conflict", "refused", False), 28: ("unreachable", "refused", True),
    29: ("ambiguous_funnel", "refused", False), 30: ("sequence_reused", "refused", False),
}
ERROR_CODES = {entry[0]: code for code, entry in ERRORS.items()}
OUTCOMES = ("refused", "unknown", "failed")


class SluiceError(Exception):
    """What went wrong: found by the server (an error frame) or by this client, with the same codes."""

    def __init__(self, name, message, outcome=None, retryable=None, retry_after_ms=0, faults=(), shards=(), code=None):
        self.code = ERROR_CODES[name] if code is None else code
        known = ERRORS.get(self.code, ERRORS[26])
        self.name = known[0]
        self.message = message
        self.outcome = known[1] if outcome is None else outcome
        self.retryable = known[2] if retryable is None else retryable
        self.retry_after_ms = retry_after_ms
        self.faults = list(faults)
        self.shards = list(shards)
        super().__init__(f"{self.name}: {message}")

    def as_dict(self):
        return {"code": self.code, "name": self.name, "message": self.message, "outcome": self.outcome,
                "retryable": self.retryable, "retry_after_ms": self.retry_after_ms,
                "faults": [{"field": f, "reason": r} for f, r in self.faults], "shards": self.shards}


def invalid(what):
    return SluiceError("invalid_message", what)


# ---------------------------------------------------------------------------------------------------- CRC-32C


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    return tuple(table)


_CRC = _crc_table()


def crc32c(data, crc=0):
    """CRC-32C of `data`; `crc` continues an earlier result."""
    table = _CRC
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


# -------------------------------------------------------------------------------------------------------- LZ4


def lz4_decode(block, size):
    """Undoes one raw LZ4 block that must give exactly `size` bytes."""
    def damaged(what):
        return SluiceError("damaged_compression", what)

    if size > 255 * len(block) + 64:
        raise damaged(f"{size} bytes cannot come of a block of {len(block)}")
    out, at, end = bytearray(), 0, len(block)

    def more(length):
        nonlocal at
        while True:
            if at >= end:
                raise damaged("the block ends in a length")
            byte = block[at]
            at += 1
            length += byte
            if byte != 255:
                return length

    while True:
        if at >= end:
            raise damaged("the block ends where a sequence should begin")
        token = block[at]
        at += 1
        literals = token >> 4
        if literals == 15:
            literals = more(literals)
        if literals > end - at:
            raise damaged("the block ends in its literals")
        if len(out) + literals > size:
            raise damaged(f"the block decodes to more than {size} bytes")
        out += block[at:at + literals]
        at += literals
        if at == end:
            break
        if end - at < 2:
            raise damaged("the block ends in an offset")
        offset = block[at] | block[at + 1] << 8
        at += 2
        length = token & 15
        length = (more(length) if length == 15 else length) + 4
        if offset == 0 or offset > len(out):
            raise damaged("an offset before the start")
        if len(out) + length > size:
            raise damaged(f"the block decodes to more than {size} bytes")
        if offset >= length:
            start = len(out) - offset
            out += out[start:start + length]
        else:  # the match overlaps itself: a pattern that repeats
            pattern = bytes(out[-offset:])
            out += (pattern * (length // offset + 1))[:length]
    if len(out) != size:
        raise damaged(f"the block decodes to {len(out)} bytes instead of {size}")
    return bytes(out)


def lz4_encode(data):
    """One raw LZ4 block: greedy, nearest earlier place of the next four bytes."""
    out, places, anchor, at, size = bytearray(), {}, 0, 0, len(data)

    def sequence(literals, match):
        high, low = min(len(literals), 15), 0 if match is None else min(match[1] - 4, 15)
        out.append(high << 4 | low)
        if high == 15:
            _lengths(out, len(literals) - 15)
        out.extend(literals)
        if match is not None:
            out.extend(struct.pack("<H", match[0]))
            if low == 15:
                _lengths(out, match[1] - 4 - 15)

    while at < size - 12:  # no match begins in the last 12 bytes, none reaches into the last 5
        four = data[at:at + 4]
        place = places.get(four)
        places[four] = at
        if place is None or at - place > 65535:
            at += 1
            continue
        length, most = 4, size - 5 - at
        while length < most and data[place + length] == data[at + length]:
            length += 1
        sequence(data[anchor:at], (at - place, length))
        at += length
        anchor = at
    sequence(data[anchor:], None)
    return bytes(out)


def _lengths(out, rest):
    while rest >= 255:
        out.append(255)
        rest -= 255
    out.append(rest)


# ------------------------------------------------------------------------------------------- the notation (4)


def varint(value):
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{value} does not fit into 64 bits")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value):
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{value} does not fit into 64 bits")
    return varint((value << 1 ^ value >> 63) & 0xFFFFFFFFFFFFFFFF)


def text_bytes(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def string(value):
    data = text_bytes(value)
    return varint(len(data)) + data


def table(values):
    items = [text_bytes(value) for value in values]
    return varint(len(items)) + b"".join(varint(len(item)) for item in items) + b"".join(items)


class Reader:
    """Takes a message apart; whatever does not fit is `invalid_message` with the place."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    @property
    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        if count > self.left:
            raise invalid(f"byte {self.at}: {count} bytes wanted, {self.left} left")
        part = self.data[self.at:self.at + count]
        self.at += count
        return part

    def number(self, size):
        return int.from_bytes(self.take(size), "little")

    def u8(self):
        return self.number(1)

    def flag(self):
        value = self.u8()
        if value > 1:
            raise invalid(f"byte {self.at - 1}: {value} is neither 0 nor 1")
        return value == 1

    def varint(self, most=None):
        value = shift = 0
        start = self.at
        while True:
            byte = self.u8()
            if shift == 63 and byte > 1:
                raise invalid(f"byte {start}: a varint of more than 64 bits")
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        if most is not None and value > most:
            raise invalid(f"byte {start}: {value} is over {most}")
        return value

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def string(self, most=None):
        return bytes(self.take(self.varint(most)))

    def text(self, most=None):
        start, data = self.at, self.string(most)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise invalid(f"byte {start}: not UTF-8") from None

    def table(self, most, longest, what):
        count = self.varint()
        if count > most:
            raise invalid(f"{count} {what}, at most {most}")
        if count > self.left:
            raise invalid(f"{count} {what} in {self.left} bytes")
        lengths = [self.varint(longest) for _ in range(count)]
        return [bytes(self.take(length)) for length in lengths]

    def end(self):
        if self.left:
            raise invalid(f"byte {self.at}: {self.left} bytes left over")


# ------------------------------------------------------------------------------------------------- frames (2)


class Frame:
    """A header and its decoded body."""

    def __init__(self, kind, body=b"", cluster=0, request=0, project=0, epoch=0, compressed=False):
        self.kind, self.body, self.cluster, self.request = kind, body, cluster, request
        self.project, self.epoch, self.compressed = project, epoch, compressed


def encode_frame(frame, compress=False):
    """The bytes of a frame. With `compress` the body goes as LZ4 where that saves an eighth of 128 bytes or more."""
    body, flags = frame.body, 0
    if compress and len(body) >= 128:
        block = lz4_encode(body)
        if len(block) <= len(body) - len(body) // 8:
            body, flags = block, 1
    head = HEADER.pack(MAGIC, VERSION, frame.kind, flags, frame.cluster, frame.request, frame.project, frame.epoch,
                       len(body), len(frame.body), crc32c(body), bytes(16))
    return head + struct.pack("<I", crc32c(head)) + body


def decode_header(data):
    """Checks 64 bytes in the order of section 2: (frame without body, flags, encoded, decoded length, checksum)."""
    magic, version, kind, flags, cluster, request, project, epoch, encoded, decoded, checksum, reserved = \
        HEADER.unpack(data[:60])
    if magic != MAGIC:
        raise SluiceError("malformed_frame", f"magic {magic.hex()}")
    if crc32c(data[:60]) != int.from_bytes(data[60:64], "little"):
        raise SluiceError("bad_checksum", "checksum of the header")
    if version != VERSION:
        raise SluiceError("unsupported_version", f"version {version}")
    if any(reserved):
        raise SluiceError("malformed_frame", "a reserved byte is set")
    if kind not in BODY_LIMIT:
        raise SluiceError("unknown_kind", f"kind {kind}")
    if flags & ~1:
        raise SluiceError("malformed_frame", f"flags {flags}")
    if encoded > BODY_LIMIT[kind] or decoded > BODY_LIMIT[kind]:
        raise SluiceError("too_large", f"a body of {encoded} / {decoded} bytes, at most {BODY_LIMIT[kind]}")
    if not flags & 1 and encoded != decoded:
        raise SluiceError("malformed_frame", f"lengths {encoded} and {decoded} of a body that is not compressed")
    frame = Frame(kind, b"", cluster, request, project, epoch, bool(flags & 1))
    return frame, encoded, decoded, checksum


def decode_frame(data, at=0, short="malformed_frame"):
    """The frame at `at` and the place after it. A frame that is cut is the error `short`."""
    if len(data) - at < 64:
        raise SluiceError(short, f"{len(data) - at} bytes where a header should be")
    frame, encoded, decoded, checksum = decode_header(data[at:at + 64])
    at += 64
    if len(data) - at < encoded:
        raise SluiceError(short, f"{len(data) - at} bytes of a body of {encoded}")
    body = bytes(data[at:at + encoded])
    if crc32c(body) != checksum:
        raise SluiceError("bad_checksum", "checksum of a body")
    frame.body = lz4_decode(body, decoded) if frame.compressed else body
    return frame, at + encoded


def decode_request(data):
    """A request body: exactly one frame."""
    frame, at = decode_frame(data)
    if at != len(data):
        raise SluiceError("malformed_frame", f"{len(data) - at} bytes after the frame")
    return frame


# ------------------------------------------------------------------------------------------------ answers (3)

RESULT_KINDS = (HELLO_RESULT, APPEND_RESULT, MERGED_RESULT, PARTIAL_RESULT, USER_LIST, HEALTH_RESULT, SNAPSHOT,
                DISCOVERY_RESULT, IDENTITY, KEY_LIST)


def decode_trailer(body):
    reader = Reader(body)
    status, rows, checksum = reader.number(2), reader.number(8), reader.number(4)
    reader.end()
    return status, rows, checksum


def encode_trailer(status, rows, checksum):
    return struct.pack("<HQI", status, rows, checksum)


def decode_answer(data, kind=None, request=None, head=None):
    """The result frames and the rows of an answer, all of it checked; raises the error that it tells.

    `head` is the kind of the first frame where it is another. An error may have request id 0, where the server could not make out a frame in the request."""
    results, error, checksum, at = [], None, 0, 0
    while True:
        frame, at = decode_frame(data, at, short="truncated_answer")
        told = frame.kind == ERROR or frame.kind == TRAILER and error is not None
        if request is not None and frame.request != request and not (told and frame.request == 0):
            raise SluiceError("malformed_frame", f"an answer to request {frame.request}, not {request}", "unknown")
        if frame.kind == TRAILER:
            break
        if error is not None:
            raise SluiceError("malformed_frame", "a frame after the error frame", "unknown")
        checksum = crc32c(frame.body, checksum)
        if frame.kind == ERROR:
            error = decode_error(frame.body)
        elif frame.kind in RESULT_KINDS and (kind in (None, frame.kind) or frame.kind == head and not results):
            results.append(frame)
        else:
            raise SluiceError("malformed_frame", f"a frame of kind {frame.kind} in an answer", "unknown")
    status, rows, announced = decode_trailer(frame.body)
    if at != len(data):
        raise SluiceError("malformed_frame", "bytes after the trailer", "unknown")
    if announced != checksum:
        raise SluiceError("bad_checksum", "checksum of the trailer", "unknown")
    if status != (error.code if error else 0):
        raise SluiceError("malformed_frame", f"status {status} of the trailer", "unknown")
    if error is not None:
        raise error
    return results, rows


def encode_answer(frames, rows=0, like=None):
    """For tests: the bytes of an answer, with the trailer that agrees."""
    checksum, status, out = 0, 0, b""
    for frame in frames:
        checksum = crc32c(frame.body, checksum)
        status = int.from_bytes(frame.body[:2], "little") if frame.kind == ERROR else status
        out += encode_frame(frame)
    like = like or frames[-1]
    return out + encode_frame(Frame(TRAILER, encode_trailer(status, rows, checksum), like.cluster, like.request,
                                    like.project, like.epoch))


def decode_error(body):
    reader = Reader(body)
    code, outcome, retryable, wait = reader.number(2), reader.u8(), reader.flag(), reader.number(4)
    if outcome > 2:
        raise invalid(f"outcome {outcome}")
    message = reader.text(4096)
    faults = [(reader.text(4096), reader.text(4096)) for _ in range(reader.varint(1000))]
    shards = [reader.text() for _ in range(reader.varint(256))]
    reader.end()
    return SluiceError(None, message, OUTCOMES[outcome], retryable, wait, faults, shards, code=code)


def encode_error(error):
    return (struct.pack("<HBBI", error.code, OUTCOMES.index(error.outcome), error.retryable, error.retry_after_ms)
            + string(error.message) + varint(len(error.faults))
            + b"".join(string(field) + string(reason) for field, reason in error.faults)
            + varint(len(error.shards)) + b"".join(map(string, error.shards)))


# --------------------------------------------------------------------------------------- append and batch (5, 6)

MAX_ROWS = 200_000
NO_TIME = 1 << 60


def encode_batch(events):
    """Events: dicts with user, event, microseconds, and if there is any id, properties, server_timed."""
    if len(events) > MAX_ROWS:
        raise ValueError(f"{len(events)} events, at most {MAX_ROWS} a batch")

    class Dictionary(dict):
        def code(self, value):
            return self.setdefault(text_bytes(value), len(self))

    users, names, keys, values = Dictionary(), Dictionary(), Dictionary(), Dictionary()
    user_codes = [users.code(event["user"]) for event in events]
    name_codes = [names.code(event["event"]) for event in events]
    times, before, counts, properties = [], 0, [], []
    for event in events:
        now = event["microseconds"]
        times.append(zigzag(now - before))
        before = now
        pairs = event.get("properties") or {}
        counts.append(varint(len(pairs)))
        for key, value in pairs.items():
            properties.append(varint(keys.code(key)))
            if isinstance(value, bool):
                properties.append(b"\x04" + varint(value))
            elif isinstance(value, int):
                properties.append(b"\x02" + zigzag(value))
            elif isinstance(value, float):
                if not math.isfinite(value):
                    raise ValueError(f"property {key!r} is {value}")
                properties.append(b"\x03" + struct.pack("<d", value))
            else:
                properties.append(b"\x01" + varint(values.code(value)))

    def codes(values, count):
        width = "B" if count <= 256 else "H" if count <= 65536 else "I"
        return struct.pack(f"<{len(values)}{width}", *values)

    flags = bytes(1 if event.get("server_timed") else 0 for event in events)
    sections = (
        table(users), table(names),
        codes(user_codes, len(users)) + codes(name_codes, len(names)) + b"".join(times) + flags,
        table(event.get("id") or "" for event in events),
        table(keys) + table(values), b"".join(counts) + b"".join(properties))
    out = b"\x01" + varint(len(events))
    for number, data in enumerate(sections, 1):
        out += struct.pack("<BBIII", number, 0, len(data), len(data), crc32c(data)) + data
    return out


def decode_batch(data):
    reader = Reader(data)
    if (version := reader.u8()) != 1:
        raise invalid(f"a batch of version {version}")
    rows = reader.varint(MAX_ROWS)
    sections = []
    for number in range(1, 7):
        got, encoding = reader.u8(), reader.u8()
        decoded, encoded, checksum = reader.number(4), reader.number(4), reader.number(4)
        if got != number:
            raise invalid(f"section {got} where {number} should be")
        if encoding > 1:
            raise invalid(f"encoding {encoding}")
        if max(decoded, encoded) > 16 * MIB or encoding == 0 and decoded != encoded:
            raise invalid(f"section of {encoded} / {decoded} bytes")
        part = reader.take(encoded)
        if crc32c(part) != checksum:
            raise invalid(f"checksum of section {number}")
        if encoding == 1:
            try:
                part = lz4_decode(part, decoded)
            except SluiceError as error:
                raise invalid(f"section {number}: {error.message}") from None
        sections.append(Reader(part))
    reader.end()

    def text(value):
        return value.decode("utf-8", "surrogateescape")

    users = sections[0].table(rows, 512, "users")
    names = sections[1].table(rows, 256, "names")

    def code_column(count):
        width = 1 if count <= 256 else 2 if count <= 65536 else 4
        column = [sections[2].number(width) for _ in range(rows)]
        if any(code >= count for code in column):
            raise invalid("a code out of range")
        return column

    user_codes, name_codes = code_column(len(users)), code_column(len(names))
    times, now = [], 0
    for _ in range(rows):
        now += sections[2].zigzag()
        if not 0 <= now < NO_TIME:
            raise invalid(f"time {now}")
        times.append(now)
    flags = sections[2].take(rows)
    if any(flag > 1 for flag in flags):
        raise invalid("a row flag")
    ids = sections[3].table(rows, 256, "ids")
    if len(ids) != rows:
        raise invalid(f"{len(ids)} ids of {rows} rows")
    keys = sections[4].table(rows * 256, 256, "keys")
    values = sections[4].table(rows * 256, 8192, "values")
    last = sections[5]
    counts = [last.varint(256) for _ in range(rows)]
    properties = []
    for count in counts:
        row = {}
        for _ in range(count):
            code, tag = last.varint(), last.u8()
            if code >= len(keys):
                raise invalid("a key code out of range")
            # Of two properties with one key the last counts, as on a shard.
            key = text(keys[code])
            if tag == 1:
                if (value := last.varint()) >= len(values):
                    raise invalid("a string code out of range")
                row[key] = text(values[value])
            elif tag == 2:
                row[key] = last.zigzag()
            elif tag == 3:
                row[key] = struct.unpack("<d", last.take(8))[0]
                if not math.isfinite(row[key]):
                    raise invalid("a double that is not finite")
            elif tag == 4:
                row[key] = last.varint(1) == 1
            else:
                raise invalid(f"property tag {tag}")
        properties.append(row)
    for section in sections:
        section.end()
    return [{"user": text(users[user_codes[i]]), "event": text(names[name_codes[i]]), "microseconds": times[i],
             "id": text(ids[i]), "server_timed": flags[i] == 1, "properties": properties[i]} for i in range(rows)]


def encode_append(producer, sequence, events, idempotency_key="", part=0):
    return struct.pack("<QQI", producer, sequence, part) + string(idempotency_key) + encode_batch(events)


def decode_append(body):
    reader = Reader(body)
    producer, sequence, part = reader.number(8), reader.number(8), reader.number(4)
    key = reader.text(128)
    return {"producer": producer, "sequence": sequence, "part": part, "idempotency_key": key,
            "events": decode_batch(reader.take(reader.left))}


def decode_append_result(body):
    reader = Reader(body)
    accepted, repeated = reader.varint(), reader.flag()
    rejected = [{"row": reader.varint(), "reason": reader.text(4096)} for _ in range(reader.varint(MAX_ROWS))]
    retry = [reader.varint() for _ in range(reader.varint(MAX_ROWS))]
    shards = [reader.text() for _ in range(reader.varint(256))]
    reader.end()
    return {"accepted": accepted, "repeated": repeated, "rejected": rejected, "retry": retry, "shards": shards}


def encode_append_result(result):
    return (varint(result["accepted"]) + bytes([result["repeated"]]) + varint(len(result["rejected"]))
            + b"".join(varint(bad["row"]) + string(bad["reason"]) for bad in result["rejected"])
            + varint(len(result["retry"])) + b"".join(map(varint, result["retry"]))
            + varint(len(result["shards"])) + b"".join(map(string, result["shards"])))


# --------------------------------------------------------------------------- query, users, hello, health (7 to 10)


def encode_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def decode_json(body):
    def constant(name):
        raise ValueError(name)
    try:
        return json.loads(body.decode("utf-8"), parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise invalid(f"not JSON: {error}") from None


def encode_user_list(users):
    return varint(len(users)) + b"".join(map(string, users))


def decode_user_list(body):
    reader = Reader(body)
    users = [reader.text(512) for _ in range(reader.varint(4096))]
    reader.end()
    return users


def encode_hello(nonce, role="client", phase=1, lowest=VERSION, highest=VERSION, proof=bytes(32)):
    return struct.pack("<BBHH16s32s", ROLE_CODES[role], phase, lowest, highest, nonce, proof)


def _role(reader):
    code = reader.u8()
    if code not in ROLES:
        raise invalid(f"role {code}")
    return ROLES[code]


def decode_hello(body):
    reader = Reader(body)
    role, phase, lowest, highest = _role(reader), reader.u8(), reader.number(2), reader.number(2)
    if phase not in (1, 2):
        raise invalid(f"phase {phase}")
    hello = {"role": role, "phase": phase, "version_min": lowest, "version_max": highest,
             "nonce": reader.take(16).hex(), "proof": reader.take(32).hex()}
    reader.end()
    return hello


def encode_hello_result(role, version, cluster, epoch, nonce, proof):
    return struct.pack("<BHQI16s32s", ROLE_CODES[role], version, cluster, epoch, nonce, proof)


def decode_hello_result(body):
    reader = Reader(body)
    result = {"role": _role(reader), "version": reader.number(2), "cluster": reader.number(8),
              "epoch": reader.number(4), "nonce": reader.take(16).hex(), "proof": reader.take(32).hex()}
    reader.end()
    return result


def encode_health_result(role, ready, epoch):
    return struct.pack("<BBI", ROLE_CODES[role], ready, epoch)


def decode_health_result(body):
    reader = Reader(body)
    result = {"role": _role(reader), "ready": reader.flag(), "epoch": reader.number(4)}
    reader.end()
    return result


# -------------------------------------------------------------------------- timestamps (FUNNEL.md, section 1)

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{0,9}))?)?"
                   r"(?: *([Zz]|[Uu][Tt][Cc]|[Gg][Mm][Tt]|[+-]\d\d(?::?\d\d)?))?)?", re.ASCII)
_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII)


def _days(year, month, day):
    """Days since 1970-01-01 in the Gregorian calendar."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def parse_timestamp(text):
    """Microseconds since 1970 of a text: ISO 8601, or digits, whose number tells seconds, milli-, micro- or nanoseconds."""
    if match := _NUMBER.fullmatch(text):
        whole, fraction = int(match[1]), match[2] or ""
        unit = 6 if whole < 10**11 else 3 if whole < 10**14 else 0 if whole < 10**17 else -3
        value = whole * 10**unit + int((fraction + "000000")[:unit] or 0) if unit >= 0 else whole // 1000
        if value >= NO_TIME:
            raise ValueError(f"no timestamp: {text!r}")
        return value
    match = _DATE.fullmatch(text)
    if not match:
        raise ValueError(f"no timestamp: {text!r}")
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    hour, minute, second = (int(match[i] or 0) for i in (4, 5, 6))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not (1 <= month <= 12 and 1 <= day <= lengths[month - 1] and hour < 24 and minute < 60 and second < 60):
        raise ValueError(f"no such date or time: {text!r}")
    offset, zone = 0, match[8] or "Z"
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "") + "00"
        hours, minutes = int(digits[:2]), int(digits[2:4])
        if hours > 23 or minutes > 59:
            raise ValueError(f"no such offset: {text!r}")
        offset = (hours * 60 + minutes) * (-60 if zone[0] == "-" else 60)
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    return seconds * 1_000_000 + int(((match[7] or "") + "000000")[:6])


# -------------------------------------------------------------------------------------- HTTP/2 (RFC 9113, 7541)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(H2_DATA, H2_HEADERS, _, H2_RST_STREAM, H2_SETTINGS, H2_PUSH, H2_PING, H2_GOAWAY, H2_WINDOW_UPDATE,
 H2_CONTINUATION) = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
REFUSED_STREAM = 7
WINDOW = 8 * MIB


def h2_frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def hpack_integer(value, bits, first=0):
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytearray([first | most]), value - most
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def hpack_encode(headers):
    """Literals without indexing, no Huffman code: nothing to remember on either side."""
    def text(value):
        data = value.encode("latin-1")
        return hpack_integer(len(data), 7) + data

    return b"".join(b"\x00" + text(name) + text(value) for name, value in headers)


# The Huffman code of the digits, as much as a status needs: 0 to 2 have five bits, 3 to 9 have six.
_DIGITS = {format(n, "05b"): str(n) for n in range(3)}
_DIGITS.update({format(22 + n, "06b"): str(n) for n in range(3, 10)})
_STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}


def hpack_status(block):
    """The :status of a header block; every other field is skipped. There is no dynamic table: we announced size 0."""
    at = 0

    def broken(what):
        return SluiceError("connection_lost", f"header block: {what}")

    def integer(bits):
        nonlocal at
        most = (1 << bits) - 1
        value = block[at] & most
        at += 1
        if value == most:
            shift = 0
            while True:
                value += (block[at] & 127) << shift
                shift += 7
                at += 1
                if block[at - 1] < 128:
                    break
        return value

    def text():
        nonlocal at
        huffman = block[at] & 128
        length = integer(7)
        data = block[at:at + length]
        at += length
        if not huffman:
            return data.decode("latin-1")
        bits, out, code = "".join(format(byte, "08b") for byte in data), "", ""
        for bit in bits:
            code += bit
            if code in _DIGITS:
                out, code = out + _DIGITS[code], ""
        return out if set(code) <= {"1"} and len(code) < 8 else None

    status = None
    try:
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index = integer(7)
                if not 1 <= index <= 61:
                    raise broken(f"index {index} of a dynamic table that does not exist")
                status = _STATUSES.get(index, status)
                continue
            if first & 0xE0 == 0x20:
                integer(5)
                continue
            index = integer(6 if first & 0x40 else 4)
            if index > 61:
                raise broken(f"index {index} of a dynamic table that does not exist")
            name = text() if index == 0 else None
            value = text()
            if 8 <= index <= 14 or name == ":status":
                status = int(value)
    except (IndexError, ValueError, TypeError):
        raise broken("damaged") from None
    if status is None:
        raise broken("no :status")
    return status


def split_address(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]") or "127.0.0.1", int(port)


class Http2Connection:
    """One connection, one call at a time."""

    def __init__(self, address, timeout=10.0, tls=None):
        host, port = split_address(address)
        self.authority = address
        self.scheme = "https" if tls else "http"
        self.buffer = bytearray()
        self.next_stream = 1
        self.send_window = 65535
        self.initial_window = 65535
        self.max_frame = 16384
        self.usable = True
        try:
            self.socket = socket.create_connection((host, port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                tls.set_alpn_protocols(["h2"])
                self.socket = tls.wrap_socket(self.socket, server_hostname=host)
                if self.socket.selected_alpn_protocol() != "h2":
                    raise OSError("the server does not speak h2")
        except OSError as error:
            raise SluiceError("unreachable", f"{address}: {error}") from None
        # SETTINGS: header table 0, no push, initial window; then as much for the connection
        settings = b"".join(struct.pack(">HI", *pair) for pair in ((1, 0), (2, 0), (4, WINDOW)))
        self._send(PREFACE + h2_frame(H2_SETTINGS, 0, 0, settings)
                   + h2_frame(H2_WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65535)))

    def close(self):
        self.usable = False
        self.socket.close()

    def _lost(self, what):
        self.close()
        return SluiceError("connection_lost", what)

    def _send(self, data):
        try:
            self.socket.sendall(data)
        except socket.timeout:
            self.close()
            raise SluiceError("deadline_exceeded", "time was up while sending") from None
        except OSError:
            pass  # an answer or a GOAWAY may have come before the server closed: reading tells

    def _fill(self, count, deadline):
        while len(self.buffer) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                self.close()
                raise SluiceError("deadline_exceeded", "time was up while waiting for the answer")
            self.socket.settimeout(left)
            try:
                part = self.socket.recv(262144)
            except socket.timeout:
                continue
            except OSError as error:
                raise self._lost(str(error)) from None
            if not part:
                raise self._lost("the server closed the connection")
            self.buffer += part

    def _receive(self, deadline):
        self._fill(9, deadline)
        length = int.from_bytes(self.buffer[:3], "big")
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big") & 0x7FFFFFFF
        if length > 16384:
            raise self._lost(f"an HTTP/2 frame of {length} bytes")
        self._fill(9 + length, deadline)
        payload = bytes(self.buffer[9:9 + length])
        del self.buffer[:9 + length]
        return kind, flags, stream, payload

    def _unpad(self, flags, payload):
        if not flags & PADDED:
            return payload
        if not payload or payload[0] >= len(payload):
            raise self._lost("padding that is too long")
        return payload[1:len(payload) - payload[0]]

    def call(self, path, headers, body, timeout):
        """Status and body of the answer to one POST."""
        deadline = time.monotonic() + timeout
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        window, sent, status, answer, block, reset = self.initial_window, 0, None, bytearray(), None, None
        fields = [(":method", "POST"), (":scheme", self.scheme), (":path", path), (":authority", self.authority),
                  ("content-length", str(len(body)))] + headers
        self.socket.settimeout(timeout)
        self._send(h2_frame(H2_HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, hpack_encode(fields)))
        while True:
            while sent < len(body) and reset is None and min(window, self.send_window) > 0:
                size = min(window, self.send_window, self.max_frame, len(body) - sent)
                last = sent + size == len(body)
                self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
                self._send(h2_frame(H2_DATA, END_STREAM if last else 0, stream, body[sent:sent + size]))
                window, self.send_window, sent = window - size, self.send_window - size, sent + size
            kind, flags, number, payload = self._receive(deadline)
            if block is not None and (kind != H2_CONTINUATION or number != stream):
                raise self._lost("a header block is interrupted")
            if kind == H2_SETTINGS and not flags & ACK:
                for at in range(0, len(payload) - 5, 6):
                    name, value = struct.unpack_from(">HI", payload, at)
                    if name == 4:
                        window, self.initial_window = window + value - self.initial_window, value
                    elif name == 5:
                        self.max_frame = value
                self._send(h2_frame(H2_SETTINGS, ACK, 0))
            elif kind == H2_PING and not flags & ACK:
                self._send(h2_frame(H2_PING, ACK, 0, payload))
            elif kind == H2_WINDOW_UPDATE:
                more = int.from_bytes(payload, "big") & 0x7FFFFFFF
                if number == 0:
                    self.send_window += more
                elif number == stream:
                    window += more
            elif kind == H2_GOAWAY:
                last, code = struct.unpack_from(">II", payload)
                self.usable = False
                if stream > last & 0x7FFFFFFF:
                    self.close()
                    raise SluiceError("unreachable", f"GOAWAY {code} before this stream: not looked at")
            elif kind == H2_RST_STREAM and number == stream:
                code = int.from_bytes(payload, "big")
                if code == REFUSED_STREAM:
                    raise SluiceError("unreachable", "the stream was refused: not looked at")
                raise SluiceError("connection_lost", f"the stream was reset with {code}"
                                  + (f" after status {status}" if status else ""))
            elif kind in (H2_HEADERS, H2_CONTINUATION) and number == stream:
                if kind == H2_HEADERS:
                    payload = self._unpad(flags, payload)
                    block, ends = payload[5 if flags & PRIORITY else 0:], flags & END_STREAM
                else:
                    block = (block or b"") + payload
                if flags & END_HEADERS:
                    if status is None:
                        code = hpack_status(block)
                        status = code if code >= 200 else None
                    block = None
                    if ends:
                        break
            elif kind == H2_DATA:
                part = self._unpad(flags, payload)
                if payload:
                    credit = struct.pack(">I", len(payload))
                    self._send(h2_frame(H2_WINDOW_UPDATE, 0, 0, credit))
                if number != stream:
                    continue
                answer += part
                if flags & END_STREAM:
                    break
                if payload:
                    self._send(h2_frame(H2_WINDOW_UPDATE, 0, stream, credit))
        if sent < len(body):  # answered before all was read: give the rest of the stream up
            self._send(h2_frame(H2_RST_STREAM, 0, stream, struct.pack(">I", 8)))
        return status, bytes(answer)


# ------------------------------------------------------------------------------------------------- the client


class Client:
    """Calls to one service: ingest for append, the coordinator for query and users, any for hello and health."""

    def __init__(self, address, key=None, cluster=0, timeout=30.0, compress=True, tls=None):
        self.address, self.key, self.cluster = address, key, cluster
        self.timeout, self.compress, self.tls = timeout, compress, tls
        self.producer = secrets.randbits(64)
        self.sequence = 0
        self.request = 0
        self.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def call_raw(self, path, body, content_type="application/x-sluice", timeout=None):
        """Status and body of one POST to a path of the protocol."""
        timeout = self.timeout if timeout is None else timeout
        headers = [("content-type", content_type), ("sluice-timeout-ms", str(int(timeout * 1000)))]
        if self.key:
            headers.append(("authorization", "Bearer " + self.key))
        if self.connection is None or not self.connection.usable:
            self.close()
            self.connection = Http2Connection(self.address, timeout, self.tls)
        return self.connection.call("/sluice/v1/" + path, headers, body, timeout)

    def call(self, path, kind, body, answer_kind, head=None):
        """Result bodies and rows of one call, checked."""
        self.request += 1
        frame = Frame(kind, body, self.cluster, self.request)
        status, answer = self.call_raw(path, encode_frame(frame, self.compress))
        if status != 200:
            name = "too_large" if status == 413 else "malformed_frame"
            raise SluiceError(name, f"HTTP status {status}: {answer[:200].decode('utf-8', 'replace')}")
        results, rows = decode_answer(answer, answer_kind, self.request, head)
        return [result.body for result in results], rows

    def _one(self, path, kind, body, answer_kind):
        results, rows = self.call(path, kind, body, answer_kind)
        if len(results) != 1:
            raise SluiceError("malformed_frame", f"{len(results)} results where there is one", "unknown")
        return results[0], rows

    def hello(self):
        body, _ = self._one("hello", HELLO, encode_hello(os.urandom(16)), HELLO_RESULT)
        return decode_hello_result(body)

    def health(self):
        body, _ = self._one("health", HEALTH, b"", HEALTH_RESULT)
        return decode_health_result(body)

    def append(self, events, idempotency_key="", sequence=None, producer=None):
        """Sends one batch once. To repeat after an error give its sequence again (`client.sequence`)."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        producer = self.producer if producer is None else producer
        body, rows = self._one("append", APPEND, encode_append(producer, sequence, events, idempotency_key),
                               APPEND_RESULT)
        result = decode_append_result(body)
        if rows != result["accepted"]:
            raise SluiceError("malformed_frame", f"{rows} rows in the trailer, {result['accepted']} accepted", "unknown")
        return result

    def append_until_done(self, events, idempotency_key="", attempts=8):
        """Appends and repeats the same bytes under the same sequence while that may help."""
        self.sequence += 1
        for attempt in range(attempts):
            wait, last = 0.1 * 2**attempt, attempt == attempts - 1
            try:
                result = self.append(events, idempotency_key, self.sequence)
                if not result["retry"] or last:
                    return result
            except SluiceError as error:
                if not error.retryable or last:
                    raise
                wait = max(wait, error.retry_after_ms / 1000)
            time.sleep(min(wait, 5))

    def query(self, document):
        body, _ = self._one("query", QUERY, encode_json(document), MERGED_RESULT)
        return decode_json(body)

    def users(self, document):
        """One page of user ids."""
        bodies, rows = self.call("users", USERS_QUERY, encode_json(document), USER_LIST, head=MERGED_RESULT)
        if not bodies:
            raise SluiceError("malformed_frame", "a list without its head", "unknown")
        page = decode_json(bodies[0])
        if not page["completeness"]["exact"] and not document.get("allow_partial"):
            raise SluiceError("malformed_frame", "a partial list that nobody asked for", "unknown")
        users = [user for body in bodies[1:] for user in decode_user_list(body)]
        if rows != len(users):
            raise SluiceError("malformed_frame", f"{rows} rows in the trailer, {len(users)} users", "unknown")
        if any(a.encode() >= b.encode() for a, b in zip(users, users[1:])):
            raise SluiceError("malformed_frame", "users out of order", "unknown")
        return users

    def all_users(self, document):
        """Every page. `as_of` is fixed, so that the pages belong together."""
        document = dict(document)
        limit = document.setdefault("limit", 10_000)
        document.setdefault("as_of", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        while True:
            page = self.users(document)
            yield from page
            if len(page) < limit:
                return
            document["after"] = page[-1]


# ------------------------------------------------------------------------------------------------ command line


def flatten(properties, prefix="", depth=1):
    """Wire properties of a JSON object: nested objects with dots, arrays as text, null left out."""
    flat, nested = {}, {}
    for key, value in properties.items():
        name = prefix + key
        if isinstance(value, dict) and depth < 16:
            nested.update(flatten(value, name + ".", depth + 1))
        elif isinstance(value, (dict, list)):
            flat[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        elif isinstance(value, int) and not isinstance(value, bool) and not -(1 << 63) <= value < 1 << 63:
            flat[name] = float(value)
        elif value is not None and not (isinstance(value, float) and not math.isfinite(value)):
            flat[name] = value
    return {**nested, **flat}


def event_of_json(row):
    """A line of `append`. A number is epoch microseconds, a text is read as in FUNNEL.md, section 1."""
    unknown = set(row) - {"user_id", "event", "timestamp", "event_id", "properties"}
    if unknown:
        raise ValueError(f"unknown members: {', '.join(sorted(unknown))}")
    when = row["timestamp"]
    when = parse_timestamp(when) if isinstance(when, str) else int(when)
    return {"user": row["user_id"], "event": row["event"], "microseconds": when, "id": row.get("event_id") or "",
            "properties": flatten(row.get("properties") or {})}


def main(arguments=None):
    parser = argparse.ArgumentParser(description="A client for Sluice's binary protocol.")
    parser.add_argument("command", choices=["append", "query", "users", "health", "hello"])
    parser.add_argument("address", help="wire port, HOST:PORT")
    parser.add_argument("--key", default=os.environ.get("SLUICE_KEY"), help="default: SLUICE_KEY")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds")
    parser.add_argument("--idempotency-key", default="", help="append: ids for events that have none")
    parser.add_argument("--rows", type=int, default=5000, help="append: events a batch")
    parser.add_argument("--no-compression", action="store_true")
    options = parser.parse_args(arguments)
    client = Client(options.address, options.key, timeout=options.timeout, compress=not options.no_compression)
    try:
        if options.command == "append":
            lines, events, first, bad = [], [], 0, 0

            def send():
                nonlocal bad, first
                # ids under a key count from 0 in each batch, so each batch has a key of its own
                key = options.idempotency_key and f"{options.idempotency_key}/{first}"
                result = client.append_until_done(events, key)
                for entry in result["rejected"]:
                    entry["line"] = lines[entry["row"]]
                bad += len(result["rejected"]) + len(result["retry"])
                print(json.dumps(result, ensure_ascii=False), flush=True)
                first += len(events)
                lines.clear()
                events.clear()

            for number, line in enumerate(sys.stdin, 1):
                if not line.strip():
                    continue
                try:
                    events.append(event_of_json(json.loads(line)))
                    lines.append(number)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    print(f"line {number}: {error!r}", file=sys.stderr)
                    bad += 1
                if len(events) >= options.rows:
                    send()
            if events:
                send()
            return 1 if bad else 0
        if options.command in ("query", "users"):
            document = json.load(sys.stdin)
            if options.command == "users":
                for user in client.all_users(document):
                    print(json.dumps(user, ensure_ascii=False))
                return 0
            result = client.query(document)
        else:
            result = getattr(client, options.command)()
        print(json.dumps(result, ensure_ascii=False, indent=2))
        return 0
    except SluiceError as error:
        print(json.dumps(error.as_dict(), ensure_ascii=False), file=sys.stderr)
        return 2
    finally:
        client.close()


if __name__ == "__main__":
    sys.exit(main())
