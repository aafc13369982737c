"""Messages of PROTOCOL.md section 11 on single users, times between steps and discovery."""

from errors import invalid
from notation import string, varint, zigzag

REASONS, NOT_CHOSEN = 13, 5


def moment(value):
    return string(value["event"]) + zigzag(value["microseconds"])


def read_time(reader):
    time = reader.zigzag()
    if not 0 <= time < 1 << 60:
        raise invalid(f"time {time}")
    return time


def read_moment(reader):
    return {"event": reader.text(256), "microseconds": read_time(reader)}


def encode_group(group, encode_value, touches):
    value = group["value"]
    return (string(group["property"]) + varint(touches.index(group["touch"])) + bytes([value is not None])
            + (b"" if value is None else encode_value(value)))


def read_group(reader, steps, read_value, touches):
    name = reader.text(256)
    if not name:
        raise invalid("an empty property")
    touch = touches[reader.varint(steps + 1)]
    return {"property": name, "touch": touch, "value": read_value(reader) if reader.flag() else None}


def encode_between(found, encode_times):
    least = found["range"]
    return (varint(found["skipped"]) + encode_times(found["times"])
            + (varint(least[0]) + varint(least[1] - least[0]) if least else b""))


def bucket_of(value):
    if value < 256:
        return value
    shift = value.bit_length() - 8
    return 256 + (shift - 1) * 128 + (value >> shift) - 128


def read_between(reader, counts, read_times):
    skipped, times, span = reader.varint(), read_times(reader), []
    if skipped + times["count"] > (counts or [0])[0]:
        raise invalid("more times than users")
    if times["count"]:
        least = reader.varint()
        span = [least, least + reader.varint()]
        held = times.get("exact") or [bucket for bucket, _ in times["histogram"]]
        if [held[0], held[-1]] != (span if "exact" in times else list(map(bucket_of, span))):
            raise invalid(f"times are not within {span}")
    return {"skipped": skipped, "times": times, "range": span}


def encode_explanation(found, encode_value, tells_open):
    if not found:
        return b"\x00"
    found, = found
    out = b"\x01" + varint(found["depth"]) + varint(len(found["chosen"]))
    for chosen in found["chosen"]:
        out += varint(chosen["position"]) + moment(chosen["moment"]) + varint(len(chosen["properties"]))
        out += b"".join(string(key) + encode_value(value) for key, value in chosen["properties"].items())
    miss = found["stopped"]
    out += bytes([miss is not None])
    if miss:
        out += varint(miss["position"]) + bytes([miss["reason"]])
        out += b"".join(b"\x00" if m is None else b"\x01" + moment(m) for m in (miss["candidate"], miss["blocker"]))
        out += string(miss["property"]) + varint(miss["distance"])
    out += varint(found["attempts_in_all"]) + varint(len(found["attempts"]))
    for attempt in found["attempts"]:
        out += zigzag(attempt["microseconds"]) + varint(attempt["depth"]) + varint(attempt["took"])
        out += bytes([attempt["not_chosen"]])
    out += varint(found["events_in_all"]) + varint(len(found["events"]))
    out += b"".join(moment(e["moment"]) + e["positions"].to_bytes(8, "little") for e in found["events"])
    if tells_open:
        out += b"\x01" + zigzag(found["open_until"]) if "open_until" in found else b"\x00"
    return out


def read_code(reader, count):
    code = reader.u8()
    if code >= count:
        raise invalid(f"code {code}")
    return code


def read_explanation(reader, steps, read_value, tells_open):
    if not reader.flag():
        return []
    depth = reader.varint(steps)
    chosen = []
    for _ in range(reader.varint(depth)):
        chosen.append({"position": reader.varint(steps - 1), "moment": read_moment(reader), "properties": {}})
        for _ in range(reader.varint(256)):
            key = reader.text(256)
            chosen[-1]["properties"][key] = read_value(reader)
    stopped = None
    if reader.flag():
        stopped = {"position": reader.varint(steps - 1), "reason": read_code(reader, REASONS)}
        for key in ("candidate", "blocker"):
            stopped[key] = read_moment(reader) if reader.flag() else None
        stopped.update(property=reader.text(256), distance=reader.varint())
    attempts_in_all = reader.varint((1 << 32) - 1)
    attempts = [{"microseconds": read_time(reader), "depth": reader.varint(steps), "took": reader.varint(),
                 "not_chosen": read_code(reader, NOT_CHOSEN)} for _ in range(reader.varint(20))]
    events_in_all = reader.varint((1 << 32) - 1)
    events = [{"moment": read_moment(reader), "positions": reader.number(8)} for _ in range(reader.varint(200))]
    found = {"depth": depth, "chosen": chosen, "stopped": stopped, "attempts_in_all": attempts_in_all,
             "attempts": attempts, "events_in_all": events_in_all, "events": events}
    if tells_open and reader.flag():
        found["open_until"] = read_time(reader)
    return [found]


def encode_discovery_query(query):
    (kind, fields), = query.items()
    keys = {"events": ("prefix",), "properties": ("event",), "values": ("property", "event", "prefix"), "totals": (), "names": ()}
    return bytes([list(keys).index(kind)]) + b"".join(string(fields[key]) for key in keys[kind])


def read_discovery_query(reader):
    kind = reader.u8()
    if kind == 0:
        return {"events": {"prefix": reader.text(256)}}
    if kind == 1:
        return {"properties": {"event": reader.text(256)}}
    if kind == 3:
        return {"totals": {}}
    if kind == 4:
        return {"names": {}}
    if kind > 4:
        raise invalid(f"discovery {kind}")
    query = {"property": reader.text(256), "event": reader.text(256), "prefix": reader.text(8192)}
    if not query["property"]:
        raise invalid("an empty property")
    return {"values": query}


LIMITED = ("events", "properties")
KINDS = ("strings", "numbers", "booleans")
TOTALS = ("rows", "unsealed", "segments", "users", "taken")


def encode_discovery(found, encode_value):
    if "events" in found:
        return b"\x00" + varint(len(found["events"])) + b"".join(
            string(e["event"]) + varint(e["rows"]) + zigzag(e["first"]) + zigzag(e["last"]) for e in found["events"])
    if "properties" in found:
        return b"\x01" + varint(len(found["properties"])) + b"".join(
            string(p["property"]) + b"".join(varint(p[kind]) for kind in KINDS) for p in found["properties"])
    if "totals" in found:
        totals = found["totals"]
        newest = b"\x00" if totals["newest"] is None else b"\x01" + zigzag(totals["newest"])
        return b"\x03" + b"".join(varint(totals[name]) for name in TOTALS) + newest
    if "names" in found:
        names = found["names"]
        return b"\x04" + b"".join(
            varint(names[kind + "_max"]) + varint(len(names[kind])) + b"".join(map(string, names[kind])) for kind in LIMITED
        ) + varint(len(names["damaged"])) + b"".join(map(string, names["damaged"])) + varint(names["torn_bytes"])
    return bytes([2, found["truncated"]]) + varint(len(found["values"])) + b"".join(
        encode_value(v["value"]) + varint(v["rows"]) for v in found["values"])


def read_discovery(reader, read_value):
    kind, rows = reader.u8(), (1 << 48) - 1
    if kind == 0:
        found = [{"event": reader.text(256), "rows": reader.varint(rows), "first": read_time(reader),
                  "last": read_time(reader)} for _ in range(reader.varint())]
        if any(e["first"] > e["last"] for e in found) or len({e["event"] for e in found}) < len(found):
            raise invalid("an event twice, or its times")
        return {"events": found}
    if kind == 1:
        found = [{"property": reader.text(256), **{kind: reader.varint(rows) for kind in KINDS}}
                 for _ in range(reader.varint())]
        if len({p["property"] for p in found}) < len(found):
            raise invalid("a property twice")
        return {"properties": found}
    if kind == 3:
        totals = {name: reader.varint(rows) for name in TOTALS}
        return {"totals": {**totals, "newest": read_time(reader) if reader.flag() else None}}
    if kind == 4:
        names = {}
        for kind in LIMITED:
            names[kind + "_max"] = reader.varint(1 << 32)
            names[kind] = [reader.text(256) for _ in range(reader.varint())]
        names["damaged"] = [reader.text(4096) for _ in range(reader.varint(100))]
        names["torn_bytes"] = reader.varint((1 << 48) - 1)
        return {"names": names}
    if kind > 4:
        raise invalid(f"discovery {kind}")
    truncated = reader.flag()
    found = [{"value": read_value(reader), "rows": reader.varint(rows)} for _ in range(reader.varint(65_536))]
    if len({repr(v["value"]) for v in found}) < len(found):
        raise invalid("a value twice")
    return {"values": found, "truncated": truncated}
