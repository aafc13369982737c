"""What becomes of each record of a vendor's export, and what all readings have in common."""

import functools
import os
import urllib.parse

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
    """A record that says nothing that is stored."""


def event(users, name, time, id, *layers, zone=None):
    """One event. Of layers of properties a later one wins over an earlier one."""
    return named(draft(users, time, id, zone=zone), name, *layers)


def draft(users, time, id, zone=None):
    """What all rows of a record have: user, time and id."""
    user = identifier(first_of(*users))
    if user is None:
        raise Rejected("no user")
    try:
        us = times.of_value(time, zone)
    except times.NoTime:
        raise Rejected("no time")
    if not times.allowed(us):
        raise Rejected("a time out of range")
    return {"user_id": user, "timestamp": times.shown(us), "event_id": identifier(id)}


def named(base, name, *layers, beside=False):
    """A row of a record. The id of one beside an event is the event's id, `/` and its name."""
    if not isinstance(name, str) or name == "":
        raise Rejected("no event name")
    id = base["event_id"]
    if beside and id is not None:
        id = f"{id}/{name}"
    properties = {}
    for layer in layers:
        properties.update(layer)
    if size(base["user_id"]) > 512 or size(name) > 256 or (id is not None and size(id) > 256):
        raise Rejected("too long")
    if len(properties) > 256 or any(not 1 <= size(key) <= 256 for key in properties):
        raise Rejected("keys")
    if any(isinstance(value, str) and size(value) > 8192 for value in properties.values()):
        raise Rejected("a long value")
    return {"user_id": base["user_id"], "event": name, "timestamp": base["timestamp"], "event_id": id, "properties": properties}


def claims(*found):
    """(kind, child, parent) of the claims whose two ids are there and differ."""
    kept = []
    for kind, child, parent in found:
        child, parent = identifier(child), identifier(parent)
        claim = {"kind": kind, "child": child, "parent": parent}
        if None not in (child, parent) and child != parent and claim not in kept:
            kept.append(claim)
    return kept


def record(rows, found=()):
    """What a record becomes: its first row, the others, which are of a profile, and claims."""
    out = {}
    if rows:
        out["event"] = rows[0]
    if len(rows) > 1:
        out["profile"] = rows[1:]
    if found:
        out["claims"] = list(found)
    if not out:
        raise Skipped
    return out


def profile(base, name, operations, values=None, beside=True, whole=False):
    """The rows of user properties to set, and to set once. `whole` is whether the record is nothing else."""
    chosen = {**(values or {}), **object_of(operations.get("$set"), False)}
    once = {}
    for operation in ("$set_once", "$setOnce"):
        once.update(object_of(operations.get(operation), False))
    left_out = any(key.startswith("$") and key not in ("$set", "$set_once", "$setOnce") for key in operations)
    rows = []
    if chosen or (whole and not once and not left_out):
        rows.append(named(base, name, flatten(chosen), beside=beside))
    if once:
        rows.append(named(base, "$set_once", flatten(once), beside=beside or bool(rows)))
    return rows


CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "gclid", "fbclid")


def campaign(url, referrer):
    """Parameters of a page's URL and the host of its referrer: SDKS.md section 3."""
    found = {}
    if isinstance(url, str):
        query = url.partition("#")[0].partition("?")[2]
        for name, value in urllib.parse.parse_qsl(query):
            if name in CAMPAIGN and name not in found:
                found[name] = value
    if isinstance(referrer, str) and "://" in referrer:
        host = urllib.parse.urlsplit(referrer).hostname
        if host:
            found["referrer_host"] = host
    return found


def at(row, path):
    """The value at a path through objects."""
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


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


def device(id):
    """An id without Mixpanel's prefix of devices."""
    return id.removeprefix("$device:") if isinstance(id, str) and id != "$device:" else id


def mixpanel(row):
    inner = object_of(row.get("properties"))
    user = first_of(inner.get("$user_id"), inner.get("distinct_id"))
    name = row.get("event")
    merged = {
        "$identify": ("identify", device(inner.get("$anon_distinct_id")), first_of(inner.get("$identified_id"), device(user))),
        "$create_alias": ("alias", inner.get("alias"), device(user)),
    }.get(name)
    if merged:
        draft([device(user), inner.get("$device_id")], inner.get("time"), inner.get("$insert_id"))
        if name == "$create_alias" and None in merged:
            raise Rejected("an alias without both ids")
        return record([], claims(merged))
    found = event(
        [device(user), inner.get("$device_id")], row.get("event"), inner.get("time"), inner.get("$insert_id"),
        campaign(inner.get("$current_url"), inner.get("$referrer")),
        flatten(without(inner, "$user_id", "distinct_id", "$device_id", "time", "$insert_id", "token")))
    return record([found], claims(("identify", inner.get("$device_id"), inner.get("$user_id"))))


def amplitude(row):
    inner = object_of(row.get("event_properties"))
    user = object_of(row.get("user_properties"), False)
    base = draft(
        [row.get("user_id"), row.get("device_id")], first_of(row.get("time"), row.get("event_time")),
        first_of(row.get("insert_id"), row.get("$insert_id")))
    rest = without(
        row, "user_id", "device_id", "event_type", "time", "event_time", "insert_id", "$insert_id", "event_properties", "user_properties",
        "group_properties", "api_key")
    operations = {key: value for key, value in user.items() if key.startswith("$")}
    found = claims(("identify", row.get("device_id"), row.get("user_id")))
    if row.get("event_type") == "$identify":
        return record(profile(base, "$identify", operations, without(user, *operations), beside=False, whole=True), found)
    rows = profile(base, "$identify", operations, without(user, *operations))
    return record([named(base, row.get("event_type"), flatten(rest), flatten(inner)), *rows], found)


def posthog_record(row, *layers):
    """`layers` are the members around the properties, and the properties."""
    inner = layers[-1]
    base = draft(
        [row.get("distinct_id"), inner.get("distinct_id")], first_of(row.get("timestamp"), inner.get("$time")),
        first_of(row.get("uuid"), inner.get("$insert_id")))
    name, operations = row.get("event"), {key: inner.get(key) for key in ("$set", "$set_once")}
    if name == "$create_alias":
        if identifier(inner.get("alias")) is None:
            raise Rejected("an alias without both ids")
        return record([], claims(("alias", inner.get("alias"), base["user_id"])))
    if name == "$identify":
        return record(
            profile(base, name, operations, beside=False, whole=True),
            claims(("identify", inner.get("$anon_distinct_id"), base["user_id"])))
    found = named(
        base, name, campaign(inner.get("$current_url"), inner.get("$referrer")),
        *[flatten(without(layer, "token", "$set", "$set_once", "distinct_id", "$time", "$insert_id")) for layer in layers])
    return record([found, *profile(base, "$set", operations)])


def posthog(row):
    rest = without(row, "distinct_id", "event", "timestamp", "uuid", "properties", "api_key", "offset", "options", "sent_at")
    return posthog_record(row, rest, object_of(row.get("properties")))


def segment(row):
    kind = row.get("type")
    if kind not in ("track", "page", "screen", "identify", "group", "alias"):
        raise Rejected("another type")
    base = draft(
        [row.get("userId"), row.get("anonymousId")], first_of(row.get("timestamp"), row.get("originalTimestamp")), row.get("messageId"))
    found = [("identify", row.get("anonymousId"), row.get("userId"))]
    traits = object_of(first_of(row.get("traits"), at(row, "context.traits")), False)
    if kind == "alias":
        if identifier(row.get("previousId")) is None or identifier(row.get("userId")) is None:
            raise Rejected("an alias without both ids")
        return record([], claims(*found, ("alias", row.get("previousId"), row.get("userId"))))
    if kind == "identify":
        return record(profile(base, "$identify", {}, traits, beside=False, whole=True), claims(*found))
    if kind == "group":
        group = identifier(row.get("groupId"))
        if group is None:
            raise Rejected("no group")
        return record([named(base, "$groupidentify", flatten(traits), {"group_id": group})], claims(*found))
    rest = without(
        row, "userId", "anonymousId", "event", "timestamp", "originalTimestamp", "messageId", "properties", "type", "integrations",
        "_metadata", "writeKey", "sentAt")
    inner = object_of(row.get("properties"))
    page = campaign(
        first_of(at(row, "context.page.url"), inner.get("url")), first_of(at(row, "context.page.referrer"), inner.get("referrer")))
    return record(
        [named(base, row.get("event") if kind == "track" else kind, page, flatten(rest), flatten(inner))], claims(*found))


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
    found = event(
        [row.get("user_id"), row.get("user_pseudo_id")], row.get("event_name"), row.get("event_timestamp"), None,
        flatten(rest), flatten({"user_properties": parameters(row.get("user_properties"))}), flatten(parameters(row.get("event_params"))))
    return record([found], claims(("identify", row.get("user_pseudo_id"), row.get("user_id"))))


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
    columns = {name: text for name, text in row.items() if name.startswith("properties.")}
    inner = cells({name.removeprefix("properties."): text for name, text in columns.items()})
    return posthog_record(row, cells(row, *used, *columns), {**inner, **object_of(row.get("properties"))})


def snowplow(row):
    used = "user_id domain_userid network_userid event_name event event_id derived_tstamp collector_tstamp".split()
    unstruct = object_of(row["unstruct_event"])
    found = event(
        [row["user_id"], row["domain_userid"], row["network_userid"]], first_of(row["event_name"], row["event"]),
        first_of(row["derived_tstamp"], row["collector_tstamp"]), row["event_id"],
        cells(row, *used, "contexts", "derived_contexts", "unstruct_event", numbers=SNOWPLOW_NUMBERS, texts=SNOWPLOW_TEXTS),
        flatten({"unstruct_event": unstruct}))
    return record([found], claims(("identify", first_of(row["domain_userid"], row["network_userid"]), row["user_id"])))


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
    """What `record` gives, {"rejected"} or {"skipped"}; `row` makes the record and may itself reject it."""
    try:
        found = read(row())
        return record([found]) if "timestamp" in found else found
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
