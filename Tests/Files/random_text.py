"""Random CSV and NDJSON files: well-formed ones, and ways to spoil them."""

import datetime
import gzip
import json

import csvtext
import times
from plain import Options

INFINITE = "1234e567"
WORDS = (
    "a b Visit checkout x1 Größe naïve Ελλάδα 日本語 привет 👩‍👩‍👧 cafe\u0301 caf\u00e9 \u00a0 \u2028 \u0085 \x0b \x0c \x1c \ufeffx \u200d שלום "
    "null NULL True FALSE nan Infinity 0x10 1_000 +1 .5 5. 00 007 -0 1e3 1.10 1.00 12e2 " + INFINITE + " 9223372036854775808 12,5 'q' \\ \\n \\\" "
    "http://x.example/?a=1&b=2 2025-01-05 {} [] {\"a\":1} # -- ; , | \t").split(" ")
TRUE_NUMBERS = "0 1 -1 42 -7 9223372036854775807 -9223372036854775808 0.5 -0.25 1.0 12.75 3.14159 123456789012 1234567.891 100.0 0.001".split()
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "PST8PDT"]
NAMES = "p1 p2 plan price Größe naïve key.with.dots $lib 日本 utm_source cafe\u0301 caf\u00e9 A a 1 x-y".split()
KEYS = "a b c d $e ß cafe\u0301 caf\u00e9 名 x-y".split()
EVENTS = ["Visit", "Add to Cart", "kauf, \"jetzt\"", "結帳", "e"]
SEPARATORS = [",", ";", "\t", "|", "^", "~", "\x01"]
EARLIEST, LATEST = 1_300_000_000_000_000, 1_740_000_000_000_000


# MARK: Values


def text(r, longest):
    kind = r.random()
    if kind < 0.35:
        return r.choice(WORDS)
    if kind < 0.6:
        return r.choice(TRUE_NUMBERS + ["true", "false"])
    if kind < 0.75:
        return str(r.randrange(-10**r.randrange(1, 19), 10**r.randrange(1, 19)))
    if kind < 0.8:
        return f"{r.randrange(10**r.randrange(1, 8))}.{r.randrange(1, 10**r.randrange(1, 6))}"
    if kind < 0.84:
        long = "".join(r.choices("abcdefghij XYZ0189,;|\"\t\u00e4\u20ac😀", k=r.randrange(longest)))
        return long.encode()[:longest].decode("utf-8", "ignore")
    return " ".join(r.choice(WORDS) for _ in range(r.randrange(1, 6)))


def broken_text(r):
    """A cell with line ends and quotes in it."""
    return "".join(r.choice(["a", "b,", '"', '""', "\n", "\r\n", "\r", ";", "\n\n", " ", "ä"]) for _ in range(r.randrange(1, 12)))


def time(r, zone=None):
    """A time as text, in one of all forms."""
    us = r.randrange(EARLIEST, LATEST)
    form = r.randrange(9)
    if form == 0:
        return str(us // 1_000_000)
    if form == 1:
        return str(us // 1000)
    if form == 2:
        return str(us)
    if form == 3:
        return str(us * 1000 + r.randrange(1000))
    if form == 4:
        return f"{us // 1_000_000}.{us % 1_000_000:06d}"[:r.randrange(12, 18)]
    moment = times.EPOCH + datetime.timedelta(microseconds=us)
    shown = moment.strftime("%Y-%m-%d" + r.choice(["T", " "]) + r.choice(["%H:%M:%S", "%H:%M"]))
    if shown.count(":") == 2:
        shown += r.choice(["", f".{us % 1_000_000:06d}"[:r.randrange(2, 8)], f",{us % 1_000_000:06d}{r.randrange(1000):03d}"])
    if zone and form < 7:
        return shown
    return shown + r.choice(["Z", "z", "+02:00", "-0530", "+01", " UTC", " GMT", " Z", " +0000", " -03:30", "+14:00"])


def identifier(r):
    return r.choice([f"u{r.randrange(1000)}", str(r.randrange(10**9)), f"0{r.randrange(99)}", f"ü-{r.randrange(50)}", f"日本 {r.randrange(9)}"])


# MARK: Options of a batch


def options(r, as_json):
    """Options that a batch of files shares."""
    found = Options()
    if r.random() < 0.3:
        found.user, found.time = r.choice(["Customer Id", "kunde", "顧客"]), r.choice(["ts", "When"])
    if r.random() < 0.3:
        found.anonymous = "device"
    if r.random() < 0.3:
        found.event = r.choice(["action", "event_type", "Was geschah?"])
    if r.random() < 0.2:
        found.id = "msg"
    if r.random() < 0.2:
        found.zone = r.choice(ZONES)
    if as_json:
        if r.random() < 0.2:
            found.user = r.choice(["ctx.user", "properties.uid"])
        if r.random() < 0.2:
            found.json = ["properties"]
        return found
    if r.random() < 0.5:
        found.separator = r.choice(SEPARATORS)
    if r.random() < 0.2:
        found.quotes, found.separator = False, r.choice(["\t", "|", "\x01"])
    if r.random() < 0.2:
        found.json = r.choice([["ctx"], ["properties"], ["ctx", "properties"]])
        if "ctx" in found.json and r.random() < 0.5:
            found.user = "ctx.user"
    if r.random() < 0.3:
        kinds = [(["p1"], ["p2"]), (["p1"], [])]
        found.numbers, found.texts = r.choice(kinds if found.json else kinds + [(["*"], []), ([], ["*"])])
    if r.random() < 0.2:
        found.separator = found.separator or ","
        found.columns = [name for name in header(r, found) if "," not in name and "\n" not in name]
    return found


def header(r, options):
    """Columns in any order, those that the options name among them."""
    needed = [options.user.split(".")[0], options.event or r.choice(["event", "event_type"]), options.time]
    needed += [options.anonymous] if options.anonymous else []
    needed += [options.id] if options.id != "event_id" or r.random() < 0.5 else []
    needed += [*options.json, *(c for c in options.numbers + options.texts if c != "*")]
    further = r.sample(NAMES, r.randrange(0, 10))
    if options.separator and options.quotes:
        further += r.sample(['quote"d', "two\nlines", "semi;colon, comma"], r.randrange(0, 3))
    columns = list(dict.fromkeys(needed + further))
    r.shuffle(columns)
    return columns


# MARK: JSON


def json_value(r, depth):
    kind = r.random()
    if kind < 0.15 and depth > 0:
        return json_object(r, depth - 1)
    if kind < 0.22:
        return [r.choice([1, -2.5, "drei", None, True, {"k": "v"}, [], "a,b"]) for _ in range(r.randrange(4))]
    if kind < 0.5:
        return r.choice(WORDS + [broken_text(r), "\u0001\t/\x7f", ""])
    return r.choice([
        None, True, False, 0, 1, -5, 2**63 - 1, -2**63, 2**63, 10**25, 0.1, 1.0, 1e300, 1e-300, -2.5e-7, r.randrange(10**12), r.random(),
        r.randrange(10**6) / 100])


def json_object(r, depth=3):
    return {key: json_value(r, depth) for key in r.sample(KEYS, r.randrange(5))}


def written(r, value, escape):
    """JSON text with blanks and escapes as they come."""
    separators = r.choice([(",", ":"), (", ", ": "), (" ,\t", " :  ")])
    return json.dumps(value, ensure_ascii=escape, separators=separators)


def json_record(r, options, event):
    row = {}
    if r.random() < 0.7:
        row["properties"] = json_object(r)
        if "properties" in options.json and r.random() < 0.5:
            row["properties"] = written(r, row["properties"], False)
    taken = row.get("properties", {})
    taken = taken if isinstance(taken, dict) else {key: None for key in KEYS}
    for key, value in json_object(r).items():
        clear = key not in taken or not any(v is None or isinstance(v, (dict, list)) for v in (value, taken[key]))
        row[key if clear else "t_" + key] = value
    user = r.choice([identifier(r), r.randrange(10**6)])
    if options.user == "ctx.user":
        row["ctx"] = {**json_object(r, 1), "user": user}
    elif options.user == "properties.uid" and not isinstance(row.get("properties"), str):
        row["properties"] = {**row.get("properties", {}), "uid": user}
    elif options.user == "properties.uid":
        row["properties"] = written(r, {"uid": user}, False)
    else:
        row[options.user] = user
    if options.anonymous:
        row[options.anonymous] = r.choice([None, "", identifier(r)])
    row[event] = r.choice(EVENTS)
    when = time(r, options.zone)
    row[options.time] = int(when) if when.isdigit() and r.random() < 0.5 else when
    if r.random() < 0.5:
        row[options.id] = r.choice([None, "", f"id-{r.randrange(10**6)}", r.randrange(10**6)])
    keys = list(row)
    r.shuffle(keys)
    return {key: row[key] for key in keys}


def ndjson(r, options):
    event = options.event or r.choice(["event", "event_type"])
    end = line_ends(r)
    parts = []
    for _ in range(r.randrange(1, 30)):
        row = json_record(r, options, event)
        for _ in range(r.choice([1] * 20 + [2, 3])):
            parts += [r.choice(["", "", "", " ", "\t"]), written(r, row, r.random() < 0.3), end()]
        while r.random() < 0.1:
            parts += [r.choice(["", " ", " \t "]), end()]
    return "".join(parts[:-1] if r.random() < 0.3 else parts)


# MARK: CSV


def line_ends(r):
    kind = r.choice(["\n", "\n", "\r\n", "\r", None])
    return lambda: kind or r.choice(["\n", "\r\n", "\r"])


def quoted(r, value, separator, style):
    special = any(c in value for c in (separator, "\n", "\r")) or value.startswith('"')
    return '"' + value.replace('"', '""') + '"' if special or r.random() < style else value


def csv_cell(r, name, options):
    """What a column may hold; without quotes nothing that would need them."""
    if name == options.user:
        value = identifier(r)
    elif name == options.anonymous:
        value = r.choice(["", identifier(r)])
    elif name == options.time:
        value = time(r, options.zone)
    elif name in ("event", "event_type", options.event):
        value = r.choice(EVENTS)
    elif name in ("event_id", options.id):
        value = r.choice(["", f"id-{r.randrange(10**6)}", str(r.randrange(10**6)), "007"])
    elif name in options.json:
        inner = json_object(r, 2)
        if name == options.user.split(".")[0]:
            inner["user"] = identifier(r)
        value = written(r, inner, r.random() < 0.5) if inner or r.random() < 0.5 else ""
    elif r.random() < 0.15:
        value = ""
    elif options.quotes and r.random() < 0.15:
        value = broken_text(r)
    else:
        value = text(r, 5000 if r.random() < 0.05 else 40)
        value = "" if options.kind(name) == "number" and value == INFINITE else value
    return value


def csv_text(r, options):
    columns = options.columns or header(r, options)
    separator = options.separator or r.choice(csvtext.SEPARATORS)
    style, end, trailing = r.choice([0, 0, 0.5, 1]), line_ends(r), r.random() < 0.1

    def line(values, more=""):
        shown = [quoted(r, v, separator, style) if options.quotes else v for v in values]
        return separator.join(shown) + more + end()

    def fits(value, name):
        return options.quotes or not any(c in value for c in (separator, "\n", "\r"))

    parts = []
    if not options.columns:
        parts.append(line(columns, separator if trailing and r.random() < 0.5 else ""))
        first = parts[0].rstrip("\r\n")
        if not options.separator and csvtext.separator_of(first) != separator or first.lstrip().startswith(("{", "[")):
            return None
        if options.separator and r.random() < 0.1:
            parts.insert(0, end())
    for _ in range(r.randrange(0, 30)):
        values = [csv_cell(r, name, options) for name in columns]
        if not all(map(fits, values, columns)):
            continue
        if sum(len(v.encode()) for v in values) < 20_000:
            parts += [line(values, separator if trailing and r.random() < 0.7 else "")] * r.choice([1] * 20 + [2, 3])
        while r.random() < 0.05:
            parts.append(end())
    whole = "".join(parts)
    if r.random() < 0.3:
        whole = whole.rstrip("\r\n")
    return None if whole == "" or whole.lstrip(" \t\r\n\x01").startswith(("{", "[")) else whole


def well_formed(r, options, as_json):
    """The text of a file. Some draws are no file, such as one whose separator can't be told by its first line."""
    while True:
        found = ndjson(r, options) if as_json else csv_text(r, options)
        if found is not None:
            return found


# MARK: Bytes


def packed(r, data):
    """The same file as it stands, or in gzip of one or many members."""
    kind = r.random()
    if kind < 0.7:
        return data
    cuts = sorted(r.randrange(len(data) + 1) for _ in range(r.randrange(0, 4 if kind < 0.9 else 20)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]
    return b"".join(gzip.compress(p, r.choice([0, 1, 6]), mtime=0) for p in pieces) + bytes(r.choice([0, 0, 7, 512]))


def encoded(r, text):
    return (b"\xef\xbb\xbf" if r.random() < 0.2 else b"") + text.encode()


def spoiled(r, data):
    """Some damage to a file, mostly behind its first line."""
    data = bytearray(data)
    low = 0 if r.random() < 0.15 else min(len(data), max(data.find(b"\n"), data.find(b"\r")) + 1)
    for _ in range(r.choice([1, 1, 2, 3, 5, 10, 30])):
        if len(data) <= low:
            break
        at = r.randrange(low, len(data))
        kind = r.randrange(11)
        if kind == 0:
            del data[at:at + r.choice([1, 1, 2, 5, 50])]
        elif kind == 1:
            data[at:at] = bytes(r.randrange(256) for _ in range(r.choice([1, 1, 2, 4])))
        elif kind == 2:
            other = r.randrange(low, len(data))
            data[at], data[other] = data[other], data[at]
        elif kind in (3, 4):
            data[at:at] = r.choice([b'"', b'"', b'""', b'"\n', b'\n"', b'","', b',"', b'",'])
        elif kind == 5:
            del data[at + 1 if r.random() < 0.3 else len(data):]
        elif kind == 6:
            ends = [i for i in range(low, len(data)) if data[i] in b"\r\n"]
            if ends:
                del data[r.choice(ends)]
        elif kind == 7:
            data[at:at] = bytes([r.choice([0, 1, 8, 11, 12, 26, 27, 31, 127])])
        elif kind == 8:
            data[at:at] = r.choice([b"\n", b"\r", b"\r\n", b"\n\r", b"\n\n", b" \n"])
        elif kind == 9:
            data[at:at] = r.choice([b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80", b"\xef\xbb\xbf"])
        else:
            data[at:at] = data[at - r.randrange(min(at + 1, 200)):at]
    return bytes(data)
