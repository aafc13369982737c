"""Request bodies for Sluice: NDJSON for /v1/events, and append frames of the binary protocol.

Frames are built from columns with numpy, as Protocol/PROTOCOL.md sections 2, 5 and 6 describe them, and left
uncompressed: that is the least work for the client. 100,000 rows take about 20 ms of one core; CRC-32C comes from google-crc32c.
"""

import struct

import google_crc32c
import numpy as np

import generate

HEADER = struct.Struct("<4sHBBQQIIIII16s")
APPEND = 3


def ndjson(part, low, high, ids=None):
    """Rows low ..< high of a slice, one JSON object a line."""
    columns = [part[name][low:high].tolist() for name in ("user", "event", "ts", "country", "device", "price")]
    columns.append(generate.session_texts(part["session"][low:high]).astype("U16").tolist())
    names, countries, devices = generate.NAMES, generate.COUNTRIES, generate.DEVICES
    if ids is None:
        lines = [
            f'{{"user_id":"u{u}","event":"{names[e]}","timestamp":{t},"properties":{{"country":"{countries[c]}",'
            f'"device":"{devices[d]}","price":{p},"session":"{s}"}}}}\n'
            for u, e, t, c, d, p, s in zip(*columns)
        ]
    else:
        columns.append(ids[low:high].astype("U36").tolist())
        lines = [
            f'{{"user_id":"u{u}","event":"{names[e]}","timestamp":{t},"event_id":"{i}","properties":'
            f'{{"country":"{countries[c]}","device":"{devices[d]}","price":{p},"session":"{s}"}}}}\n'
            for u, e, t, c, d, p, s, i in zip(*columns)
        ]
    return "".join(lines).encode()


def varint(value):
    """LEB128 of one number."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_columns(values, width):
    """LEB128 of many numbers: a matrix of `width` bytes a number and which of them count."""
    values = values.astype(np.uint64)
    parts = (values[:, None] >> (np.arange(width, dtype=np.uint64) * 7)) & np.uint64(127)
    wanted = np.ones((len(values), width), bool)
    for place in range(1, width):
        wanted[:, place] = values >> np.uint64(7 * place) != 0
    data = parts.astype(np.uint8)
    data[:, :-1] |= wanted[:, 1:].astype(np.uint8) << 7
    return data, wanted


def table(texts):
    """The table of section 4, of a list of bytes."""
    lengths = (
        bytes(map(len, texts)) if max(map(len, texts), default=0) < 128 else b"".join(varint(len(t)) for t in texts)
    )
    return varint(len(texts)) + lengths + b"".join(texts)


def codes(values, count):
    """Codes as wide as the number of strings asks for."""
    return values.astype("<u1" if count <= 256 else "<u2" if count <= 65536 else "<u4").tobytes()


def section(number, data):
    return struct.pack("<BBIII", number, 0, len(data), len(data), google_crc32c.value(data)) + data


def batch(part, low, high, ids=None, properties=True):
    """Rows low ..< high of a slice as a batch (section 6)."""
    rows = min(high, len(part["ts"])) - low
    cut = {name: column[low:high] for name, column in part.items()}
    users, user = np.unique(cut["user"], return_inverse=True)
    micros = cut["ts"] * 1000
    steps = np.diff(micros, prepend=0)
    zigzag = (steps << 1) ^ (steps >> 63)
    data, wanted = varint_columns(zigzag, 8)
    names = [name.encode() for name in generate.NAMES]
    row_bytes = codes(user, len(users)) + codes(cut["event"], len(names)) + data[wanted].tobytes() + bytes(rows)
    if ids is None:
        id_bytes = varint(rows) + bytes(rows)
    else:
        id_bytes = varint(rows) + bytes([36]) * rows + ids[low:high].tobytes()
    if properties:
        keys, values = _properties(cut, rows)
    else:
        keys, values = table([]) + table([]), bytes(rows)
    user_table = table([b"u%d" % number for number in users.tolist()])
    parts = (user_table, table(names), row_bytes, id_bytes, keys, values)
    return b"\x01" + varint(rows) + b"".join(section(n, data) for n, data in enumerate(parts, 1))


def _properties(cut, rows):
    """Sections 5 and 6: country, device, price and session of every row."""
    sessions, session = np.unique(cut["session"], return_inverse=True)
    fixed = [text.encode() for text in generate.COUNTRIES + generate.DEVICES]
    texts = fixed + generate.session_texts(sessions).tolist()
    keys = table([b"country", b"device", b"price", b"session"]) + table(texts)
    counts = varint_columns(np.full(rows, 4), 1)[0]
    data = np.empty((rows, 3 + 3 + 10 + 2), np.uint8)
    data[:, 0], data[:, 1], data[:, 2] = 0, 1, cut["country"]
    data[:, 3], data[:, 4], data[:, 5] = 1, 1, cut["device"] + len(generate.COUNTRIES)
    data[:, 6], data[:, 7] = 2, 3
    data[:, 8:16] = cut["price"].astype("<f8").view(np.uint8).reshape(-1, 8)
    data[:, 16], data[:, 17] = 3, 1
    code, wanted = varint_columns(session + len(fixed), 4)
    whole = np.hstack([data, code])
    return keys, counts.tobytes() + whole[np.hstack([np.ones(data.shape, bool), wanted])].tobytes()


def append_frame(rows, producer, sequence):
    """The request of an append: one frame around a batch."""
    body = struct.pack("<QQI", producer, sequence, 0) + b"\x00" + rows
    head = HEADER.pack(
        b"SLC1", 1, APPEND, 0, 0, sequence, 0, 0, len(body), len(body), google_crc32c.value(body), bytes(16)
    )
    return head + struct.pack("<I", google_crc32c.value(head)) + body
