"""Batches of events by column, as PROTOCOL.md section 6 has them."""

import math
import struct

import checksums
from errors import SluiceError, invalid
from frames import MIB
from lz4_block import lz4_decode
from notation import Reader, table, text_bytes, varint, zigzag
from timestamps import NO_TIME

MAX_ROWS = 200_000


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
        out += struct.pack("<BBIII", number, 0, len(data), len(data), checksums.crc32c(data)) + data
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
        if checksums.crc32c(part) != checksum:
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
