"""What becomes of each record of a vendor's export, and what all readings have in common."""

import functools
import os

import csvtext
import times
from values import Rejected, cell, first_of, flatten, identifier, parse_json, size

SNOWPLOW_NUMBERS = set(
    "geo_latitude geo_longitude se_value tr_total tr_tax tr_shipping ti_price tr_total_base tr_tax_base tr_shipping_base ti_price_base".split())
SNOWPLOW_TEXTS = set(
    "geo_zipcode tr_orderid ti_sku ti_orderid user_ipaddress br_version os_name app_id geo_region v_tracker v_collector v_etl".split())
CLICKS = ["session", "time", "item", "category"]
BUYS = ["session", "time", "item", "price", "quantity"]


class Skipped(Exception):
    """A record that is no event, and no fault either."""


def event(users, name, time, id, *layers, zone=None):
    """One event. Of layers of properties a later one wins over an earlier one."""
    user = identifier(first_of(*users))
    if user is None:
        raise Rejected("no user")
    if not isinstance(name, str) or name == "":
        raise Rejected("no event name")
    try:
        us = times.of_value(time, zone)
    except times.NoTime:
        raise Rejected("no time")
    if not times.allowed(us):
        raise Rejected("a time out of range")
    id = identifier(id)
    properties = {}
    for layer in layers:
        properties.update(layer)
    if size(user) > 512 or size(name) > 256 or (id is not None and size(id) > 256):
        raise Rejected("too long")
    if len(properties) > 256 or any(not 1 <= size(key) <= 256 for key in properties):
        raise Rejected("keys")
    if any(isinstance(value, str) and size(value) > 8192 for value in properties.values()):
        raise Rejected("a long value")
    return {"user_id": user, "event": name, "timestamp": times.shown(us), "event_id": id, "properties": properties}


def without(members, *used):
    return {key: value for key, value in members.items() if key not in used}


def object_of(value, of_text=True):
    """`properties` as an object or as the text of one; null and an empty text are none."""
    if isinstance(value, str) and of_text:
        value = parse_json(value) if value else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Rejected("properties are no object")
    return value


# MARK: NDJSON


def mixpanel(row):
    inner = object_of(row.get("properties"))
    return event(
        [inner.get("distinct_id"), inner.get("$device_id")], row.get("event"), inner.get("time"), inner.get("$insert_id"),
        flatten(without(inner, "distinct_id", "$device_id", "time", "$insert_id")))


def amplitude(row):
    rest = without(row, "user_id", "device_id", "event_type", "event_time", "$insert_id", "event_properties")
    return event(
        [row.get("user_id"), row.get("device_id")], row.get("event_type"), row.get("event_time"), row.get("$insert_id"),
        flatten(rest), flatten(object_of(row.get("event_properties"))))


def posthog(row):
    return event(
        [row.get("distinct_id")], row.get("event"), row.get("timestamp"), row.get("uuid"),
        flatten(without(row, "distinct_id", "event", "timestamp", "uuid", "properties")), flatten(object_of(row.get("properties"))))


def segment(row):
    kind = row.get("type")
    if kind in ("identify", "group", "alias"):
        raise Skipped
    if kind not in ("track", "page", "screen"):
        raise Rejected("another type")
    return event(
        [row.get("userId"), row.get("anonymousId")], row.get("event") if kind == "track" else kind, row.get("timestamp"), row.get("messageId"),
        flatten(without(row, "userId", "anonymousId", "event", "timestamp", "messageId", "properties")),
        flatten(object_of(row.get("properties"))))


def parameters(entries):
    """[{key, value: {string_value or int_value or float_value or double_value}}] as an object."""
    found = {}
    for entry in entries or []:
        value = entry.get("value") or {}
        whole = value.get("int_value")
        found[entry["key"]] = next(
            (v for v in (value.get("string_value"), int(whole) if isinstance(whole, str) else whole, value.get("float_value"),
                         value.get("double_value")) if v is not None), None)
    return found


def ga4(row):
    rest = without(row, "event_name", "event_timestamp", "user_id", "user_pseudo_id", "event_params", "user_properties")
    return event(
        [row.get("user_id"), row.get("user_pseudo_id")], row.get("event_name"), row.get("event_timestamp"), None,
        flatten(rest), flatten({"user_properties": parameters(row.get("user_properties"))}), flatten(parameters(row.get("event_params"))))


# MARK: CSV


def cells(row, *used, numbers=(), texts=()):
    """The cells of all columns but the used ones and those without a name."""
    found = {}
    for name, text in row.items():
        value = cell(text, "number" if name in numbers else "text" if name in texts else None)
        if name and name not in used and value is not None:
            found[name] = value
    return found


def posthog_csv(row):
    used = ["distinct_id", "event", "timestamp", "uuid", "properties"]
    inner = {name: text for name, text in row.items() if name.startswith("properties.")}
    return event(
        [row["distinct_id"]], row["event"], row["timestamp"], row["uuid"], cells(row, *used, *inner),
        cells({name.removeprefix("properties."): text for name, text in inner.items()}), flatten(object_of(row.get("properties"))))


def snowplow(row):
    used = "user_id domain_userid network_userid event_name event event_id derived_tstamp collector_tstamp".split()
    unstruct = object_of(row["unstruct_event"])
    return event(
        [row["user_id"], row["domain_userid"], row["network_userid"]], first_of(row["event_name"], row["event"]),
        first_of(row["derived_tstamp"], row["collector_tstamp"]), row["event_id"],
        cells(row, *used, "contexts", "derived_contexts", "unstruct_event", numbers=SNOWPLOW_NUMBERS, texts=SNOWPLOW_TEXTS),
        flatten({"unstruct_event": unstruct}))


def rees46(row):
    return event(
        [row["user_id"]], row["event_type"], row["event_time"], None, cells(row, "user_id", "event_type", "event_time", numbers=["price"]))


def retailrocket(row):
    return event([row["visitorid"]], row["event"], row["timestamp"], None, cells(row, "visitorid", "event", "timestamp"))


def yoochoose(row):
    name = "buy" if "quantity" in row else "click"
    return event([row["session"]], name, row["time"], None, cells(row, "session", "time", numbers=["price"], texts=["category"]))


# MARK: Files


def judged(read, row):
    """{"event"}, {"rejected"} or {"skipped"} of a record; `row` makes it and may itself reject it."""
    try:
        return {"event": read(row())}
    except Rejected:
        return {"rejected": True}
    except Skipped:
        return {"skipped": True}


def json_row(line):
    if csvtext.broken(line):
        raise Rejected("not UTF-8")
    row = parse_json(line)
    if not isinstance(row, dict):
        raise Rejected("no object")
    return row


def read_json(data, read):
    found = []
    for number, line in enumerate(csvtext.lines_of(csvtext.decoded(data)), 1):
        if line.strip(" \t\r\n"):
            found.append({"lines": [number, number], **judged(read, functools.partial(json_row, line))})
    return found


def csv_row(fields, columns):
    if fields is None or any(map(csvtext.broken, fields)):
        raise Rejected("quoting or encoding")
    fields = csvtext.matched(fields, len(columns))
    if fields is None:
        raise Rejected("number of fields")
    return dict(zip(columns, fields))


def read_csv(data, read, columns, separator=None, quotes=True, header=True):
    """The first record is the header, unless there is none. `columns` are a list, or what makes it of the first record."""
    lines = csvtext.lines_of(csvtext.decoded(data))
    if separator is None:
        separator = csvtext.separator_of(next((line for line in lines if not csvtext.is_empty(line)), ""))
    found = []
    for index, (first, last, fields) in enumerate(csvtext.records(lines, separator, quotes)):
        if index == 0 and not isinstance(columns, list):
            columns = columns(fields)
        if index > 0 or not header:
            found.append({"lines": [first, last], **judged(read, functools.partial(csv_row, fields, columns))})
    return found


def yoochoose_columns(fields):
    return CLICKS if len(fields) == len(CLICKS) else BUYS


def snowplow_columns():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "snowplow_columns.txt")) as file:
        return file.read().split()


# File of samples -> preset and reading.
SAMPLES = {
    "mixpanel-export.ndjson": ("mixpanel-export", lambda data: read_json(data, mixpanel)),
    "amplitude-export.ndjson": ("amplitude-export", lambda data: read_json(data, amplitude)),
    "posthog-export.ndjson": ("posthog-export", lambda data: read_json(data, posthog)),
    "posthog-csv.csv": ("posthog-csv", lambda data: read_csv(data, posthog_csv, list)),
    "posthog-csv-columns.csv": ("posthog-csv", lambda data: read_csv(data, posthog_csv, list)),
    "segment-log.ndjson": ("segment-log", lambda data: read_json(data, segment)),
    "ga4-bigquery.ndjson": ("ga4-bigquery", lambda data: read_json(data, ga4)),
    "snowplow-enriched.tsv": ("snowplow-enriched", lambda data: read_csv(data, snowplow, snowplow_columns(), "\t", quotes=False, header=False)),
    "rees46.csv": ("rees46", lambda data: read_csv(data, rees46, list)),
    "retailrocket.csv": ("retailrocket", lambda data: read_csv(data, retailrocket, list)),
    "yoochoose-clicks.csv": ("yoochoose", lambda data: read_csv(data, yoochoose, yoochoose_columns, header=False)),
    "yoochoose-buys.csv": ("yoochoose", lambda data: read_csv(data, yoochoose, yoochoose_columns, header=False)),
}
