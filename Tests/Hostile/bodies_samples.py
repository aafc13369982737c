"""Valid requests of every endpoint of ingest that takes events: native, and those of other products' SDKs."""

import base64
import dataclasses
import json
import urllib.parse


@dataclasses.dataclass
class Sample:
    """A request. KEY, USER, NAME and ID in `text` stand for the API key and for user, name and id of an event."""
    title: str
    path: str
    text: str
    # How `text` becomes the body: plain, form, base64form; or the query: query.
    wrap: str = "plain"
    method: str = "POST"
    type: str = "application/json"
    query: str = ""
    # Where the key is: bearer, basic, or body, as KEY in `text`.
    key: str = "bearer"
    fields: tuple = ()
    # Whether the text has an event of USER named NAME, once.
    counts: bool = True
    # Whether each answer must be JSON.
    json: bool = True

    def filled(self, key, user="user-1", name="Sample", id="id-1"):
        return self.text.replace("KEY", key).replace("USER", user).replace("NAME", name).replace("ID", id)

    def protected(self, key):
        """Bytes at the beginning that hold the key: with another one, requests would be refused as guesses."""
        place = self.text.find("KEY") if self.key == "body" else -1
        return 0 if place < 0 else place + len(key) + 1

    def request(self, text, key, query=None, fields=None):
        """The bytes of a request whose unwrapped body is `text`."""
        query, body = self.query if query is None else query, text
        if self.wrap == "form":
            body = b"data=" + urllib.parse.quote_from_bytes(text).encode()
        elif self.wrap == "base64form":
            body = b"data=" + urllib.parse.quote_from_bytes(base64.b64encode(text)).encode()
        elif self.wrap == "query":
            query, body = (query + "&" if query else "") + in_query(text), b""
        elif self.wrap == "base64query":
            query, body = (query + "&" if query else "") + "data=" + urllib.parse.quote_from_bytes(base64.b64encode(text)), b""
        return self.raw(body, key, query, fields)

    def raw(self, body, key, query=None, fields=None):
        query = self.query if query is None else query
        lines = [f"{self.method} {self.path}{'?' + query if query else ''} HTTP/1.1", "Host: localhost"]
        lines += [f"Content-Length: {len(body)}"] if self.method == "POST" else []
        lines += [f"Authorization: Bearer {key}"] if self.key == "bearer" else []
        lines += [f"Authorization: Basic {base64.b64encode((key + ':').encode()).decode()}"] if self.key == "basic" else []
        lines += fields if fields is not None else self.own_fields()
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

    def own_fields(self):
        return [f"Content-Type: {self.type}", *self.fields]


SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%&=+/?:@!$'()*,;{}\"[]|\\^`")


def in_query(text):
    """Bytes that a request line may have stay, even if they are no proper escapes."""
    return "".join(chr(byte) if byte in SAFE else f"%{byte:02X}" for byte in text)


def dumps(value):
    return json.dumps(value, separators=(",", ":"))


TIME = "2026-01-01T10:00:00.123Z"
SEGMENT = {"type": "track", "event": "NAME", "userId": "USER", "messageId": "ID", "timestamp": TIME,
           "properties": {"a": 1.5, "b": [1, {"c": "d"}]},
           "context": {"page": {"url": "https://a.example/?utm_source=x&gclid=1", "referrer": "https://b.example/"},
                       "traits": {"plan": "pro"}}}
MORE = [{"type": "identify", "userId": "u", "anonymousId": "a", "traits": {"plan": "pro"}},
        {"type": "alias", "userId": "u", "previousId": "a"}, {"type": "group", "userId": "u", "groupId": "g", "traits": {"x": 1}},
        {"type": "page", "anonymousId": "a", "name": "Home"}]
POSTHOG = {"uuid": "ID", "event": "NAME", "distinct_id": "USER", "timestamp": TIME,
           "properties": {"$set": {"x": 1}, "$set_once": {"y": 2}, "n": 1, "$current_url": "https://a.example/?utm_term=t"}}
POSTHOG_MORE = [{"event": "$identify", "distinct_id": "u", "properties": {"$anon_distinct_id": "a"}, "$set": {"a": 1}},
                {"event": "$groupidentify", "distinct_id": "x",
                 "properties": {"$group_type": "c", "$group_key": "k", "$group_set": {"a": 1}}},
                {"event": "$create_alias", "distinct_id": "u", "properties": {"alias": "b"}}]
MIXPANEL = {"event": "NAME", "properties": {"distinct_id": "USER", "$insert_id": "ID", "time": 1_767_261_600, "n": [1, 2], "o": {"p": "q"}}}
MIXPANEL_MORE = [{"event": "$merge", "properties": {"$distinct_ids": ["a", "b"]}},
                 {"event": "e", "properties": {"distinct_id": "$device:d", "$device_id": "d", "$user_id": "u", "time": 1_767_261_600.5}}]
AMPLITUDE = {"event_type": "NAME", "user_id": "USER", "device_id": "d", "insert_id": "ID", "time": 1_767_261_600_123,
             "event_properties": {"n": 1, "[Amplitude] Page Location": "https://a.example/?utm_source=s"},
             "user_properties": {"$set": {"a": 1}, "$setOnce": {"b": 1}, "c": 3}}
AMPLITUDE_MORE = [{"event_type": "$identify", "user_id": "user-2", "user_properties": {"$set": {"a": 1}}},
                  {"event_type": "$groupidentify", "groups": {"a": "b"}, "group_properties": {"$set": {"x": 1}}}]
SELF_DESCRIBING = dumps({"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0",
                         "data": {"schema": "iglu:com.example/NAME/jsonschema/1-0-0", "data": {"x": 1}}})
SNOWPLOW = {"e": "ue", "eid": "ID", "uid": "USER", "duid": "d", "dtm": "1767261600123", "ue_pr": SELF_DESCRIBING,
            "url": "https://a.example/?utm_source=s", "co": dumps({"data": [{"schema": "iglu:a/b/c/1-0-0", "data": {"y": [1]}}]})}
SNOWPLOW_MORE = [{"e": "se", "uid": "u", "se_ca": "c", "se_ac": "a", "se_va": "1e5", "res": "1x2"},
                 {"e": "pv", "duid": "d", "page": "Home"}]
CLOUD = {"specversion": "1.0", "id": "ID", "source": "/s", "type": "NAME", "subject": "USER", "time": TIME, "data": {"n": 1}}
NATIVE = {"user_id": "USER", "event": "NAME", "timestamp": TIME, "event_id": "ID",
          "properties": {"n": 1, "s": "text", "o": {"p": [1, True, None]}}}


def tracker(values):
    return urllib.parse.urlencode(values)


def segment():
    for path in ("/v1/batch", "/v1/import", "/b", "/v1/b"):
        yield Sample("segment", path, dumps({"batch": [SEGMENT, *MORE]}), key="basic")
    keyed = dumps({"writeKey": "KEY", "batch": [SEGMENT, *MORE]})
    yield Sample("segment, key in the body", "/v1/batch", keyed, key="body")
    yield Sample("segment, beacon", "/beacon/v1/batch", keyed, key="body", type="text/plain")
    for call in ("track", "identify", "page", "screen", "group", "alias"):
        one = {"type": call, "userId": "USER", "messageId": "ID", "timestamp": TIME, "anonymousId": "a", "previousId": "p", "groupId": "g",
               "event": "NAME", "name": "NAME", "traits": {"plan": "pro"}, "properties": {"a": 1, "url": "https://a.example/?utm_term=t"}}
        for path in (f"/v1/{call}", f"/{call[0]}", f"/v1/{call[0]}"):
            yield Sample("segment", path, dumps(one), key="basic", counts=call == "track")


def posthog():
    for path in ("/batch", "/e", "/capture", "/i/v0/e"):
        events = [POSTHOG, *POSTHOG_MORE]
        yield Sample("posthog", path + "/", dumps({"batch": events} if path == "/batch" else events))
    yield Sample("posthog, key in the body", "/batch/", dumps({"api_key": "KEY", "batch": [POSTHOG, *POSTHOG_MORE]}), key="body")
    yield Sample("posthog, one event", "/i/v0/e/", dumps({"api_key": "KEY", **POSTHOG}), key="body")
    yield Sample("posthog, form", "/e/", dumps(POSTHOG), "base64form", type="application/x-www-form-urlencoded", query="compression=base64")
    yield Sample("posthog, results", "/i/v1/analytics/events", dumps({"batch": [POSTHOG, *POSTHOG_MORE]}))


def mixpanel():
    form, both = "application/x-www-form-urlencoded", [MIXPANEL, *MIXPANEL_MORE]
    yield Sample("mixpanel, form", "/track/", dumps(both), "form", type=form, key="basic", query="verbose=1")
    yield Sample("mixpanel, base64", "/track", dumps(both), "base64form", type=form, key="basic")
    yield Sample("mixpanel, JSON", "/track", dumps(both), key="basic", query="ip=1")
    yield Sample("mixpanel, GET", "/track", dumps(MIXPANEL), "base64query", method="GET", key="basic")
    yield Sample("mixpanel, import", "/import", dumps(both), key="basic", query="strict=1")
    yield Sample("mixpanel, lines", "/import", "\n".join(dumps(one) for one in both), key="basic", type="application/x-ndjson")
    profile = {"$distinct_id": "USER", "$set": {"a": 1}, "$set_once": {"b": [1]}, "$add": {"c": 1}}
    yield Sample("mixpanel, profiles", "/engage", dumps([profile]), key="basic", counts=False)
    yield Sample("mixpanel, groups", "/groups", dumps([{"$group_key": "k", "$group_id": "g", "$set": {"a": 1}}]), key="basic", counts=False)


def others():
    for path in ("/2/httpapi", "/batch"):
        yield Sample("amplitude", path, dumps({"api_key": "KEY", "events": [AMPLITUDE, *AMPLITUDE_MORE]}), key="body")
    payload = {"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": [SNOWPLOW, *SNOWPLOW_MORE]}
    yield Sample("snowplow", "/com.snowplowanalytics.snowplow/tp2", dumps(payload), json=False)
    for method in ("GET", "HEAD"):
        yield Sample("snowplow, pixel", "/i", tracker(SNOWPLOW), "query", method=method, json=False)
    yield Sample("cloudevents, batch", "/v1/events", dumps([CLOUD]), type="application/cloudevents-batch+json")
    yield Sample("cloudevents", "/v1/events", dumps(CLOUD), type="application/cloudevents+json")
    yield Sample("cloudevents, binary", "/v1/events", dumps({"n": 1, "o": {"p": [1]}}), counts=False, fields=(
        "ce-specversion: 1.0", "ce-id: ID", "ce-source: /s", "ce-type: e%20f", "ce-subject: u"))
    yield Sample("native, list", "/v1/events", dumps([NATIVE, {**NATIVE, "event_id": "b", "event": "e", "anonymous_id": "a"}]))
    yield Sample("native, object", "/v1/events", dumps({"events": [NATIVE]}))
    lines = dumps(NATIVE) + "\n" + dumps({**NATIVE, "event_id": "b", "event": "e"})
    yield Sample("native, lines", "/v1/events", lines, type="application/x-ndjson")
    yield Sample("native, one", "/track-event", dumps(NATIVE))


SAMPLES = [*segment(), *posthog(), *mixpanel(), *others()]
