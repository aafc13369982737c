"""The messages of PROTOCOL.md section 11, between services: no client needs them, the vectors hold them."""

import struct

import people_messages as people
from batches import decode_batch, encode_batch
from client_messages import decode_json, encode_json
from errors import invalid
from notation import Reader, string, varint, zigzag

ALL = (-(1 << 63), (1 << 63) - 1)
BUCKETS = 1024
MASK = (1 << 64) - 1


def xxh64(data):
    """XXH64 with seed 0."""
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                          0x27D4EB2F165667C5)

    def rotate(value, by):
        return (value << by | value >> 64 - by) & MASK

    def turn(acc, lane):
        return rotate((acc + lane * p2) & MASK, 31) * p1 & MASK

    at, size = 0, len(data)
    if size >= 32:
        lanes = [(p1 + p2) & MASK, p2, 0, -p1 & MASK]
        while size - at >= 32:
            lanes = [turn(lane, word) for lane, word in zip(lanes, struct.unpack_from("<4Q", data, at))]
            at += 32
        value = sum(rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            value = ((value ^ turn(0, lane)) * p1 + p4) & MASK
    else:
        value = p5
    value = (value + size) & MASK
    while size - at >= 8:
        value = (rotate(value ^ turn(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & MASK
        at += 8
    if size - at >= 4:
        value = (rotate(value ^ struct.unpack_from("<I", data, at)[0] * p1 & MASK, 23) * p2 + p3) & MASK
        at += 4
    for byte in data[at:]:
        value = rotate(value ^ byte * p5 & MASK, 11) * p1 & MASK
    value = (value ^ value >> 33) * p2 & MASK
    value = (value ^ value >> 29) * p3 & MASK
    return value ^ value >> 32


def encode_ranges(ranges):
    return varint(len(ranges)) + b"".join(varint(low) + varint(high) for low, high in ranges)


def read_ranges(reader):
    ranges, before = [], 0
    for _ in range(reader.varint(BUCKETS)):
        low, high = reader.varint(BUCKETS), reader.varint(BUCKETS)
        if not before <= low < high:
            raise invalid(f"bucket range {low} ..< {high}")
        ranges.append([low, high])
        before = high
    return ranges


OUTCOMES = ("reached", "dropped", "converted", "open")


def read_definition(reader):
    definition = decode_json(reader.string(8 << 20))
    if not isinstance(definition, dict) or not definition.get("steps"):
        raise invalid("a definition without steps")
    return definition


def read_outcome(reader):
    code = reader.u8()
    if code >= len(OUTCOMES):
        raise invalid(f"outcome {code}")
    return OUTCOMES[code]


def encode_cohorts(cohorts):
    return varint(len(cohorts)) + b"".join(
        string(encode_json(c["definition"])) + varint(c["step"]) + bytes([OUTCOMES.index(c["outcome"])]) for c in cohorts)


def read_cohorts(reader):
    cohorts = []
    for _ in range(reader.varint(10)):
        definition = read_definition(reader)
        step = reader.varint(len(definition["steps"]))
        if step == 0:
            raise invalid("step 0 of a cohort")
        cohorts.append({"definition": definition, "step": step, "outcome": read_outcome(reader)})
    if not cohorts:
        raise invalid("cohorts announced, none given")
    return cohorts


PATH_EVENTS = ["", "events", "exclude_events"]
TOUCHES = ["first", "last"] + [f"step:{n}" for n in range(1, 65)]


def encode_report(query):
    """The kind and the fields of what is asked beside the counts."""
    if "breakdown" in query:
        asked = query["breakdown"]
        return 1, string(asked["property"]) + varint(TOUCHES.index(asked["touch"])) + encode_choice(asked["groups"])
    if "trend" in query:
        bounds = query["trend"]
        return 2, varint(len(bounds)) + zigzag(bounds[0]) + b"".join(
            varint(b - a) for a, b in zip(bounds, bounds[1:]))
    if "between" in query:
        return 4, b"".join(map(varint, query["between"]))
    if "explain" in query:
        return 8, string(query["explain"]["user"])
    if "variants" in query:
        asked = query["variants"]
        rule = b"\x00" if asked["touch"] is None else b"\x01" + varint(TOUCHES.index(asked["touch"]))
        return 9, string(asked["property"]) + rule
    if "paired" in query:
        return 7, string(encode_json(query["paired"]))
    if "paths" in query:
        return 5, encode_paths_asked(query["paths"])
    if "predictors" in query:
        asked = query["predictors"]
        return 6, varint(asked["of"]) + varint(asked["step"]) + bytes([asked["properties"]])
    return (3, b"") if query.get("entry_span") else (0, b"")


def encode_choice(groups):
    """Which groups of a breakdown a shard is to tell."""
    if isinstance(groups, str):
        return bytes([{"leading": 0, "all": 2}[groups]])
    return b"\x01" + varint(len(groups)) + b"".join(map(encode_value, groups))


def read_choice(reader):
    kind = reader.u8()
    if kind > 2:
        raise invalid(f"groups {kind}")
    if kind != 1:
        return "all" if kind else "leading"
    values = [read_value(reader) for _ in range(reader.varint(65_536))]
    if len({repr(value) for value in values}) < len(values):
        raise invalid("a value named twice")
    return values


def encode_paths_asked(asked):
    steps = [asked["dropped"]] if "dropped" in asked else asked["between"]
    form = next((i for i, key in enumerate(PATH_EVENTS) if key in asked), 0)
    out = bytes([len(steps) - 1]) + b"".join(map(varint, steps)) + varint(asked["length"]) + bytes([form])
    names = asked.get(PATH_EVENTS[form], [])
    return out + (varint(len(names)) + b"".join(map(string, names)) if form else b"")


def read_paths_asked(reader, steps):
    kind = reader.u8()
    places = [reader.varint(steps) for _ in range(kind + 1)] if kind < 2 else []
    if kind > 1 or kind == 0 and places[0] < 2 or kind == 1 and not 0 < places[0] < places[1]:
        raise invalid(f"paths from {kind}, steps {places}")
    asked = {"dropped": places[0]} if kind == 0 else {"between": places}
    asked["length"], form = reader.varint(5), reader.u8()
    if asked["length"] == 0 or form > 2:
        raise invalid("length or events of paths")
    if form:
        asked[PATH_EVENTS[form]] = [reader.text(256) for _ in range(reader.varint(256))]
    return {"paths": asked}


def read_predictors_asked(reader, steps):
    asked = {"of": reader.varint(steps), "step": reader.varint(steps), "properties": reader.flag()}
    if not 0 < asked["of"] < asked["step"]:
        raise invalid("steps of predictors")
    return {"predictors": asked}


def read_report(kind, reader, steps):
    if kind in (1, 9):
        name = reader.text(256)
        if not name:
            raise invalid("an empty property")
        if kind == 9:
            rule = reader.u8()
            if rule > 1:
                raise invalid(f"exposure {rule}")
            return {"variants": {"property": name, "touch": TOUCHES[reader.varint(steps + 1)] if rule else None}}
        touch = TOUCHES[reader.varint(steps + 1)]
        return {"breakdown": {"property": name, "touch": touch, "groups": read_choice(reader)}}
    if kind == 2:
        count, bounds = reader.varint(1001), [reader.zigzag()]
        while len(bounds) < count:
            bounds.append(bounds[-1] + reader.varint())
        if count < 2 or any(a >= b for a, b in zip(bounds, bounds[1:])) or bounds[-1] >= 1 << 63:
            raise invalid("bounds of a trend")
        return {"trend": bounds}
    if kind == 4:
        steps_between = [reader.varint(steps), reader.varint(steps)]
        if not 0 < steps_between[0] < steps_between[1]:
            raise invalid(f"steps {steps_between}")
        return {"between": steps_between}
    if kind == 8:
        user = reader.text(512)
        if not user:
            raise invalid("an empty user id")
        return {"explain": {"user": user}}
    if kind == 7:
        return {"paired": read_definition(reader)}
    if kind == 5:
        return read_paths_asked(reader, steps)
    if kind == 6:
        return read_predictors_asked(reader, steps)
    if kind not in (0, 3):
        raise invalid(f"report {kind}")
    return {"entry_span": True} if kind else {}


def encode_partial_query(query):
    start, end = query.get("start", ALL[0]), query.get("end", ALL[1])
    kind, report = encode_report(query)
    cohorts = query.get("cohorts", [])
    flags = query["times"] | bool(cohorts) << 1 | query.get("still_open", False) << 2 | query.get("leaves_out_heavy", False) << 3
    return (bytes([flags]) + zigzag(query["as_of"]) + zigzag(start) + zigzag(end)
            + encode_ranges(query["buckets"]) + string(encode_json(query["definition"]))
            + (encode_cohorts(cohorts) if cohorts else b"") + bytes([kind]) + report)


def read_partial_query(reader):
    flags, as_of = reader.u8(), reader.zigzag()
    if flags > 15:
        raise invalid(f"flags {flags}")
    if not 0 <= as_of < 1 << 60:
        raise invalid(f"as_of {as_of}")
    start, end = reader.zigzag(), reader.zigzag()
    if end < start:
        raise invalid("end before start")
    query = {"times": bool(flags & 1), "as_of": as_of, "buckets": read_ranges(reader)}
    if flags & 4:
        query["still_open"] = True
    if flags & 8:
        query["leaves_out_heavy"] = True
    if (start, end) != ALL:
        query.update(start=start, end=end)
    query["definition"] = read_definition(reader)
    if flags & 2:
        query["cohorts"] = read_cohorts(reader)
    query.update(read_report(reader.u8(), reader, len(query["definition"]["steps"])))
    return query


def encode_partial_users_query(ask):
    return (encode_partial_query(ask["query"]) + varint(ask["step"])
            + bytes([OUTCOMES.index(ask["outcome"])]) + varint(ask["limit"])
            + string(ask["after"])
            + (people.encode_group(ask["group"], encode_value, TOUCHES) if "group" in ask else b""))


def read_partial_users_query(reader):
    query, step, outcome = read_partial_query(reader), reader.varint(64), read_outcome(reader)
    if query.keys() & {"breakdown", "trend", "entry_span", "between", "explain", "paired", "paths", "predictors", "variants"}:
        raise invalid("a list with a report")
    if step == 0:
        raise invalid("step 0")
    ask = {"query": query, "step": step, "outcome": outcome,
           "limit": reader.varint(10_001), "after": reader.text(512)}
    if reader.left:
        ask["group"] = people.read_group(reader, len(query["definition"]["steps"]), read_value, TOUCHES)
    return ask


def encode_times(times):
    out = varint(times["count"]) + times["sum"].to_bytes(16, "little")
    if "exact" in times:
        before = [0] + times["exact"]
        return out + b"\x00" + varint(len(times["exact"])) + b"".join(
            varint(value - last) for last, value in zip(before, times["exact"]))
    return out + b"\x01" + varint(len(times["histogram"])) + b"".join(
        varint(bucket) + varint(count) for bucket, count in times["histogram"])


def read_times(reader):
    times = {"count": reader.varint(), "sum": reader.number(16)}
    form = reader.u8()
    if times["sum"] >= 1 << 120 or form > 1:
        raise invalid("times")
    if form == 0:
        now, values = 0, []
        for _ in range(reader.varint(65_536)):
            now += reader.varint()
            values.append(now)
        if now >= 1 << 60:
            raise invalid("a time that is too large")
        times["exact"], held = values, len(values)
    else:
        pairs = [[reader.varint(7423), reader.varint((1 << 48) - 1)] for _ in range(reader.varint(7424))]
        if any(a[0] >= b[0] for a, b in zip(pairs, pairs[1:])):
            raise invalid("histogram buckets out of order")
        if any(count == 0 for _, count in pairs):
            raise invalid("an empty histogram bucket")
        times["histogram"], held = pairs, sum(count for _, count in pairs)
    if held != times["count"]:
        raise invalid(f"{held} times held, {times['count']} announced")
    return times


def encode_value(value):
    (kind, value), = value.items()
    if kind == "string":
        return b"\x01" + string(value)
    if kind == "integer":
        return b"\x02" + zigzag(value)
    return b"\x03" + struct.pack("<d", value) if kind == "double" else b"\x04" + bytes([value])


def read_value(reader):
    tag = reader.u8()
    if tag == 1:
        return {"string": reader.text(8192)}
    if tag == 2:
        return {"integer": reader.zigzag()}
    if tag == 3:
        value, = struct.unpack("<d", reader.take(8))
        if value - value != 0 or value == int(value) and -1 << 63 <= value < 1 << 63:
            raise invalid(f"value {value}")
        return {"double": value}
    if tag != 4:
        raise invalid(f"tag {tag} of a value")
    return {"boolean": reader.flag()}


def read_counts(reader, steps):
    counts = [reader.varint((1 << 48) - 1) for _ in range(steps)]
    if max(counts, default=0) > counts[0]:
        raise invalid("a count above the first")
    return counts


def encode_found(result):
    """The kind and the fields of what was asked beside the counts."""
    if "breakdown" in result:
        return 1, encode_groups(result["breakdown"])
    if "variants" in result:
        return 9, varint(result["variants"]["several"]) + encode_groups(result["variants"])
    if "trend" in result:
        return 2, varint(len(result["trend"])) + b"".join(varint(n) for bucket in result["trend"] for n in bucket)
    if "entry_span" in result:
        span = result["entry_span"]
        return 3, bytes([bool(span)]) + b"".join(map(zigzag, span))
    if "between" in result:
        return 4, people.encode_between(result["between"], encode_times)
    if "explain" in result:
        return 8, people.encode_explanation(result["explain"], encode_value, "still_open" in result)
    if "paired" in result:
        return 7, b"".join(map(varint, result["paired"]))
    if "paths" in result:
        return 5, encode_paths(result["paths"])
    if "predictors" in result:
        return 6, encode_predictors(result["predictors"])
    return 0, b""


def encode_groups(found):
    out = b"".join(map(varint, found["absent"])) + varint(len(found["groups"]))
    out += b"".join(encode_value(g["value"]) + b"".join(map(varint, g["counts"])) for g in found["groups"])
    return out + b"".join(map(varint, found["left_out"] or [0]))


def encode_paths(paths):
    names = sorted({name.encode() for path in paths for name in path["events"]})
    out = varint(len(names)) + b"".join(varint(len(name)) + name for name in names) + varint(len(paths))
    return out + b"".join(
        varint(len(path["events"])) + b"".join(varint(names.index(name.encode())) for name in path["events"])
        + varint(path["users"]) for path in paths)


def read_paths(reader):
    names = [reader.text(256) for _ in range(reader.varint(5 * 65_536))]
    paths = []
    for _ in range(reader.varint(65_536)):
        codes = [reader.varint() for _ in range(reader.varint(5))]
        users = reader.varint((1 << 48) - 1)
        if max(codes, default=-1) >= len(names) or users == 0:
            raise invalid("an event or the users of a path")
        paths.append({"events": [names[code] for code in codes], "users": users})
    if len({tuple(path["events"]) for path in paths}) < len(paths):
        raise invalid("a path twice")
    return {"paths": paths}


def encode_predictors(found):
    def pair(users):
        return b"".join(map(varint, users))
    out = pair(found["users"]) + varint(len(found["events"]))
    out += b"".join(string(row["event"]) + pair(row["users"]) for row in found["events"])
    out += varint(len(found["properties"]))
    for row in found["properties"]:
        out += string(row["property"]) + varint(len(row["values"]))
        out += b"".join(encode_value(value["value"]) + pair(value["users"]) for value in row["values"])
    return out + varint(len(found["left_out"])) + b"".join(map(string, found["left_out"]))


def read_predictors(reader):
    whole = [reader.varint((1 << 48) - 1), reader.varint()]

    def pair():
        users = [reader.varint(), reader.varint()]
        rest = [a - b for a, b in zip(whole, users)]
        if users[0] == 0 or not users[1] <= users[0] or not 0 <= rest[1] <= rest[0]:
            raise invalid(f"users {users} of {whole}")
        return users

    if whole[1] > whole[0]:
        raise invalid(f"users {whole}")
    events = [{"event": reader.text(256), "users": pair()} for _ in range(reader.varint(100_000))]
    properties = [{"property": reader.text(256), "values": [{"value": read_value(reader), "users": pair()}
                                                            for _ in range(reader.varint(1000))]}
                  for _ in range(reader.varint(100_000))]
    left_out = [reader.text(256) for _ in range(reader.varint(100_000))]
    for names in ([e["event"] for e in events], [p["property"] for p in properties] + left_out,
                  *([repr(v["value"]) for v in p["values"]] for p in properties)):
        if len(set(names)) < len(names):
            raise invalid("an event, a property or a value twice")
    return {"predictors": {"users": whole, "events": events, "properties": properties, "left_out": left_out}}


def can_be_left(users, values=0, most=0):
    """Whether so many values, none of them with more than `most` users at step 1, have these users, by step."""
    if values == 0:
        return not any(users)
    if min(users) < 0 or max(users) > users[0]:
        return False
    return 0 < most <= users[0] - (values - 1) and users[0] <= values * most


def read_groups(reader, counts):
    steps = len(counts)
    absent = read_counts(reader, steps)
    groups = [{"value": read_value(reader), "counts": read_counts(reader, steps)}
              for _ in range(reader.varint(1_000_000))]
    told = [sum(n) for n in zip(absent, *(g["counts"] for g in groups))]
    values = reader.varint(1_000_000)
    left_out = [values, reader.varint()] if values else []
    if not can_be_left([n - m for n, m in zip(counts, told)], *left_out):
        raise invalid("groups that don't add up")
    if len({repr(g["value"]) for g in groups}) < len(groups):
        raise invalid("a value twice")
    return {"absent": absent, "groups": groups, "left_out": left_out}


def read_found(kind, reader, counts, tells_open):
    steps = len(counts)
    if kind == 1:
        return {"breakdown": read_groups(reader, counts)}
    if kind == 9:
        several = reader.varint()
        if several > counts[0]:
            raise invalid("more users of several variants than entered")
        return {"variants": {"several": several} | read_groups(reader, counts)}
    if kind == 2:
        return {"trend": [read_counts(reader, steps) for _ in range(reader.varint(1000))]}
    if kind == 3:
        span = [reader.zigzag(), reader.zigzag()] if reader.flag() else []
        if span and not 0 <= span[0] <= span[1] < 1 << 60:
            raise invalid(f"span {span}")
        return {"entry_span": span}
    if kind == 4:
        return {"between": people.read_between(reader, counts, read_times)}
    if kind == 8:
        return {"explain": people.read_explanation(reader, steps, read_value, tells_open)}
    if kind == 7:
        # Converted in neither, the first, the second, both; then who entered one alone: entered, converted, of each.
        users = [reader.varint((1 << 48) - 1) for _ in range(8)]
        if users[5] > users[4] or users[7] > users[6] or [
                sum(users[:5]), users[1] + users[3] + users[5]] != [counts[0], counts[-1]]:
            raise invalid("users of two funnels that don't add up")
        return {"paired": users}
    if kind == 5:
        return read_paths(reader)
    if kind == 6:
        return read_predictors(reader)
    if kind:
        raise invalid(f"report {kind}")
    return {}


def encode_user_list(found):
    heavy = found.get("heavy_users")
    return varint(len(found["users"])) + b"".join(map(string, found["users"])) + (b"" if heavy is None else varint(heavy))


def read_user_list(reader):
    """A shard's, which may end with how many users were left out."""
    found = {"users": [reader.text(512) for _ in range(reader.varint(4096))]}
    if reader.left:
        found["heavy_users"] = reader.varint((1 << 48) - 1)
    return found


def encode_partial_result(result):
    with_times, newest = "from_first" in result, result.get("newest_event")
    still_open, heavy = result.get("still_open"), result.get("heavy_users")
    kind, found = encode_found(result)
    flags = with_times | (newest is not None) << 1 | (still_open is not None) << 2 | (heavy is not None) << 3
    out = varint(len(result["counts"])) + bytes([flags])
    out += encode_ranges(result["buckets"]) + b"".join(map(varint, result["counts"] + result["open"] + (still_open or [])))
    out += b"" if newest is None else zigzag(newest)
    out += b"" if heavy is None else varint(heavy)
    if with_times:
        out += b"".join(map(encode_times, result["from_first"] + result["from_previous"]))
    return out + bytes([kind]) + found


def read_partial_result(reader):
    steps, flags = reader.varint(64), reader.u8()
    result = {"buckets": read_ranges(reader), "counts": [reader.varint((1 << 48) - 1) for _ in range(steps)],
              "open": [reader.varint() for _ in range(steps)]}
    if flags & 4:
        result["still_open"] = [reader.varint() for _ in range(steps)]
        if sum(result["still_open"]) != sum(result["open"]):
            raise invalid("other open users by their chosen attempts")
    if flags > 15 or max(result["counts"], default=0) > result["counts"][0]:
        raise invalid("flags, or a count above the first")
    if flags & 2:
        result["newest_event"] = reader.zigzag()
    if flags & 8:
        result["heavy_users"] = reader.varint((1 << 48) - 1)
    if flags & 1:
        result["from_first"] = [read_times(reader) for _ in range(steps - 1)]
        result["from_previous"] = [read_times(reader) for _ in range(steps - 2)]
    result.update(read_found(reader.u8(), reader, result["counts"], bool(flags & 4)))
    return result


def encode_shard_append(m):
    """`numbers` is a list of row numbers, or None where they are 0, 1, 2, ..."""
    runs = []
    for row in m["numbers"] or []:
        if runs and runs[-1][1] == row:
            runs[-1][1] += 1
        else:
            runs.append([row, row + 1])
    ends = [0] + [end for _, end in runs]
    return (struct.pack("<QQIBI", m["producer"], m["sequence"], m["part"], m["short"] + 2 * m["free_names"], m["fingerprint"])
            + encode_ranges(m["buckets"]) + varint(len(runs))
            + b"".join(varint(start - before) + varint(end - start) for (start, end), before in zip(runs, ends))
            + varint(len(m["refused"])) + b"".join(varint(row["row"]) + varint(row["bucket"]) for row in m["refused"])
            + encode_batch(m["events"]))


def read_shard_append(reader):
    m = {"producer": reader.number(8), "sequence": reader.number(8), "part": reader.number(4)}
    if (flags := reader.u8()) > 3:
        raise invalid(f"flags {flags}")
    m |= {"short": flags & 1 == 1, "free_names": flags & 2 == 2, "fingerprint": reader.number(4), "buckets": read_ranges(reader)}
    numbers, row = [], 0
    for _ in range(reader.varint(200_000)):
        row += reader.varint(200_000)
        if (rows := reader.varint(200_000)) == 0:
            raise invalid("a run of no rows")
        numbers += range(row, row + rows)
        row += rows
    m["numbers"] = numbers or None
    m["refused"] = [{"row": reader.varint(200_000), "bucket": reader.varint(BUCKETS - 1)} for _ in range(reader.varint(200_000))]
    m["events"] = decode_batch(reader.take(reader.left))
    if numbers and len(numbers) != len(m["events"]):
        raise invalid(f"{len(numbers)} numbers for {len(m['events'])} rows")
    return m


def whole(read, body):
    reader = Reader(body)
    value = read(reader)
    reader.end()
    return value
