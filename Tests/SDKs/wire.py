"""What a request of an SDK holds: its events, and of an answer, which of them it acknowledges."""

import base64
import gzip
import json
import urllib.parse
import zlib

# Calls that say who a user is. The table counts events alone.
PROFILES = {"identify", "group", "alias", "$identify", "$set", "$set_once", "$groupidentify", "$create_alias"}


class Event:
    """An event in a request: the id that the SDK gave it, and the number of its row."""

    def __init__(self, id, row):
        self.id, self.row = id, int(row)


def events(method, target, headers, body):
    """The events of a request; None if it is none that brings events."""
    path, _, query = target.partition("?")
    path = path.rstrip("/")
    fields = dict(urllib.parse.parse_qsl(query))
    if method == "GET" and path == "/i":
        return [snowplow_event(fields)]
    if method == "GET" and path == "/track":
        return [mixpanel_event(record) for record in as_list(json_or_base64(fields["data"]))]
    if method != "POST":
        return None
    body = decoded(body, headers.get("content-encoding", ""), fields.get("compression", ""))
    if path in ("/v1/batch", "/v1/b", "/beacon/v1/batch"):
        return [segment_event(call) for call in json.loads(body)["batch"] if call["type"] not in PROFILES]
    if path in ("/v1/t", "/v1/track"):
        return [segment_event(json.loads(body))]
    if path in ("/e", "/i/v1/analytics/events") or path == "/batch" and b'"batch"' in body[:2_000] + body[-2_000:]:
        document = posthog_body(body)
        records = document["batch"] if isinstance(document, dict) and "batch" in document else as_list(document)
        return [posthog_event(record) for record in records if record["event"] not in PROFILES]
    if path in ("/2/httpapi", "/batch"):
        return [amplitude_event(record) for record in json.loads(body)["events"] if record["event_type"] not in PROFILES]
    if path in ("/track", "/import"):
        return [mixpanel_event(record) for record in as_list(json_or_base64(dict(urllib.parse.parse_qsl(body.decode()))["data"]))]
    if path == "/com.snowplowanalytics.snowplow/tp2":
        return [snowplow_event(record) for record in json.loads(body)["data"]]
    return None


def acknowledged(sent, status, body):
    """The events of which the answer tells the SDK that they are stored."""
    if status != 200:
        return []
    if b'"results"' in body:
        results = json.loads(body)["results"]
        return [event for event in sent if results[event.id]["result"] in ("ok", "warning")]
    return sent


def decoded(body, encoding, compression):
    if encoding == "gzip" or compression == "gzip-js":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


def as_list(document):
    return document if isinstance(document, list) else [document]


def json_or_base64(text):
    if text[:1] in "[{":
        return json.loads(text)
    return json.loads(base64.b64decode(text))


def posthog_body(body):
    if body[:5] == b"data=":
        return json_or_base64(dict(urllib.parse.parse_qsl(body.decode()))["data"])
    return json.loads(body)


def segment_event(call):
    return Event(call["messageId"], call["properties"]["row"])


def posthog_event(record):
    return Event(record["uuid"], record["properties"]["row"])


def mixpanel_event(record):
    return Event(record["properties"]["$insert_id"], record["properties"]["row"])


def amplitude_event(record):
    return Event(record["insert_id"], record["event_properties"]["row"])


def snowplow_event(record):
    """A structured event has its row as the label, a self-describing one in its data."""
    if record["e"] == "se":
        return Event(record["eid"], record["se_la"])
    text = record.get("ue_pr")
    if text is None:
        packed = record["ue_px"]
        text = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    return Event(record["eid"], json.loads(text)["data"]["data"]["row"])
