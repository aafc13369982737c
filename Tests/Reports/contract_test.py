"""Every operation of Protocol/openapi.yaml and openapi-sdks.yaml, asked of a real cluster: with the right key, without, with a wrong
one, with faults.

    Tests/Reports/python.sh Tests/Reports/contract_test.py --programs .build/release

Each answer is validated against the document. An operation that is documented and has no request here fails, and so does one that
its service does not know. Then members of the answers are added, left out and changed: the document must notice each change.
Takes about 20 seconds. Exit status 0 where all is well.
"""

import argparse
import base64
import gzip
import http.client
import json
import os
import signal
import sys
import tempfile
import time
import urllib.parse

from cluster import Cluster, exchange
from contract import Contract

KEYS = {role: f"{role}-key-of-the-contract-test" for role in ("write", "read", "admin")}
OTHER = {"write": "read", "read": "write", "admin": "read"}
EVENTS = ["Visit", "Cart", "Purchase"]
STEPS = {"steps": EVENTS, "window_duration": "30d"}
SPAN = {"start": "2026-01-01", "end": "2026-01-31", "as_of": "2026-03-01T00:00:00Z"}
# Maps whose members have names of the users' own.
FREE = {"event_types", "probability", "results", "events_with_missing_fields", "events_with_invalid_fields"}
# Members that an answer need not have.
OPTIONAL = {
    "funnel_id", "exclude", "hold_constant", "preset", "events", "where", "optional", "window_duration",
    "value", "order", "breakdown", "trend", "variants", "newest_event", "heavy_users", "errors", "errors_left_out", "shards", "retry",
    "string", "number", "boolean", "match", "limit", "details", "missing_field", "events_with_missing_fields", "events_with_invalid_fields"}


def event(user, name, at, **properties):
    return {"user_id": user, "event": name, "timestamp": at, "properties": properties}


def story():
    """Forty users over some days, who get as far as their number says."""
    events = []
    for i in range(40):
        user, day = f"user-{i:02}", 1 + i % 20
        arm = {"arm": "control" if i % 2 else "test", "level": i % 5, "new": i % 3 == 0}
        for step in range(1 + i % 3):
            events.append(event(user, EVENTS[step], f"2026-01-{day:02}T{8 + 3 * step:02}:00:00Z", **arm))
        events.append(event(user, "Help" if i % 4 else "Search", f"2026-01-{day:02}T12:30:00Z"))
    events.append(event("user-00", "$set", "2026-01-01T00:00:00Z", tier="gold"))
    return events


def query(**more):
    return {"funnel": STEPS, **SPAN, **more}


def new_key(place):
    """A path with the id of an API key that is made for it."""
    def path(run):
        _, _, text = run.ask("coordinator", "POST", "/v1/keys", 201, {"role": "read"}, KEYS["admin"])
        return place + json.loads(text).get("id", "")
    return path


RULES = {"rules": [
    {"rename_events": ["Sign Up"], "match": "any_case", "to": "Signup"},
    {"default_property": "plan", "value": "free", "events": ["Signup"]}]}

# By operation id, in this order: the path, or a function of the run that makes it, and the body of a request that is answered as the
# first status says.
ALERT = {"funnel_id": "shop", "metric": {"kind": "conversion"}, "breakdown": {"property": "level"}, "period": "1d",
         "condition": {"threshold": {"below": 0.9}}}
GOOD = {
    "trackEvent": ("/track-event", event("user-99", "Visit", "2026-01-05T10:00:00Z", plan={"name": "pro"}), 200),
    "appendEvents": ("/v1/events", story(), 200),
    "saveFunnel": ("/v1/funnels/shop", {**STEPS, "exclude": [{"events": ["Refund"], "after": 1, "before": 3}]}, 201),
    "getFunnel": ("/v1/funnels/shop", None, 200),
    "listFunnels": ("/v1/funnels", None, 200),
    "getReport": ("/v1/funnels/shop/report?start=2026-01-01&end=2026-01-31&breakdown=level&k=2", None, 200),
    "getUsers": ("/v1/funnels/shop/users?step=2&outcome=dropped&as_of=2026-03-01T00:00:00Z", None, 200),
    "getPaths": ("/v1/funnels/shop/paths?dropped=2&length=2", None, 200),
    "getPredictors": ("/v1/funnels/shop/predictors?step=Cart&properties=1&min_users=1", None, 200),
    "getTimes": ("/v1/funnels/shop/times?from=1&to=Purchase&bins=5", None, 200),
    "getExplanation": ("/v1/funnels/shop/explain?user_id=user-01", None, 200),
    "exportEvents": ("/v1/export/events?start=2026-01-01&event=Visit&limit=3", None, 200),
    "getPerformance": ("/funnel-performance?start_date=2026-01-01&end_date=2026-01-31", None, 200),
    "listEvents": ("/v1/events?prefix=V&limit=10", None, 200),
    "listProperties": ("/v1/properties?event=Visit", None, 200),
    "listValues": ("/v1/properties/level/values", None, 200),
    "queryFunnel": ("/v1/query", query(), 200),
    "queryUsers": ("/v1/query/users", query(step=2, limit=5), 200),
    "queryPaths": ("/v1/query/paths", query(**{"from": {"dropped": 2}}), 200),
    "queryPredictors": ("/v1/query/predictors", query(min_users=1), 200),
    "queryTimes": ("/v1/query/times", query(bins=5), 200),
    "explainUser": ("/v1/query/explain", query(user_id="user-01"), 200),
    "followFunnel": ("/v1/live", query(), 200),
    "saveAlertRule": ("/v1/alerts/low", ALERT, 201),
    "getAlertRule": ("/v1/alerts/low", None, 200),
    "listAlertRules": ("/v1/alerts", None, 200),
    "getAlertHistory": ("/v1/alerts/low/history", None, 200),
    "testAlertRule": ("/v1/alerts/dry-run", {"rule": {"id": "low", **ALERT}, "start": "2026-01-01T00:00:00Z", "end": "2026-01-09T00:00:00Z"}, 200),
    "deleteAlertRule": ("/v1/alerts/low", None, 204),
    "saveChannel": ("/v1/channels/hook", {"kind": "webhook", "settings": {"url": "https://localhost/", "secret": "0123456789abcdef"}}, 201),
    "getChannel": ("/v1/channels/hook", None, 200),
    "listChannels": ("/v1/channels", None, 200),
    "testChannel": ("/v1/channels/hook/test", None, 200),
    "saveScheduledReport": ("/v1/reports/daily", {"funnel_id": "shop", "schedule": {"every": "day", "at": "08:00"}, "channels": ["hook"]}, 201),
    "getScheduledReport": ("/v1/reports/daily", None, 200),
    "listScheduledReports": ("/v1/reports", None, 200),
    "sendScheduledReport": ("/v1/reports/daily/send", None, 200),
    "deleteScheduledReport": ("/v1/reports/daily", None, 204),
    "saveCohort": ("/v1/cohorts/left", {"funnel_id": "shop", "step": 2, "outcome": "dropped", "days": 2, "channel": "hook"}, 201),
    "getCohort": ("/v1/cohorts/left", None, 200),
    "listCohorts": ("/v1/cohorts", None, 200),
    "syncCohort": ("/v1/cohorts/left/sync", None, 202),
    "deleteCohort": ("/v1/cohorts/left", None, 204),
    "deleteChannel": ("/v1/channels/hook", None, 204),
    "saveAnnotation": ("/v1/annotations/outage", {
        "text": "Outage", "start": "2026-01-05T09:30:00Z", "end": "2026-01-05T11:00:00Z", "funnel_id": "shop"}, 201),
    "getAnnotation": ("/v1/annotations/outage", None, 200),
    "listAnnotations": ("/v1/annotations?start=2026-01-01&end=2026-01-31&time_zone=Europe/Berlin", None, 200),
    "deleteAnnotation": ("/v1/annotations/outage", None, 204),
    "saveAppliedSet": ("/v1/applied/main", {"documents": [{"kind": "funnel", "id": "shop"}]}, 201),
    "getAppliedSet": ("/v1/applied/main", None, 200),
    "listAppliedSets": ("/v1/applied", None, 200),
    "deleteAppliedSet": ("/v1/applied/main", None, 204),
    "saveRules": ("/v1/rules", RULES, 200),
    "getRules": ("/v1/rules", None, 200),
    "createProject": ("/v1/projects", {"name": "Shop", "settings": {}}, 201),
    "listProjects": ("/v1/projects", None, 200),
    "getProject": ("/v1/projects/1", None, 200),
    "saveProject": ("/v1/projects/1", {"name": "Main"}, 200),
    "createKey": ("/v1/keys", {"role": "write", "name": "web", "expires_in": "90d", "origins": ["https://shop.example"]}, 201),
    "listKeys": ("/v1/keys", None, 200),
    "revokeKeyByParameter": (new_key("/v1/keys?id="), None, 204),
    "revokeKey": (new_key("/v1/keys/"), None, 204),
    "getStatus": ("/v1/status", None, 200),
    "listIncoming": ("/v1/rejected?kind=all&limit=5", None, 200),
    "getSession": ("/v1/session", None, 200),
    "signIn": ("/v1/session", {"key": KEYS["read"]}, 200),
    "signOut": ("/v1/session", None, 204),
    "getDashboard": ("/", None, 200),
    "getDocument": ("/openapi.json", None, 200),
    "getHealth": ("/healthz", None, 200),
    "getReadiness": ("/readyz", None, 200),
    "getMetrics": ("/metrics", None, 200),
    "deleteFunnel": ("/v1/funnels/shop", None, 204),
}

FUNNEL = {
    "steps": ["Visit", {"name": "Cart", "events": ["Cart", "Search"], "optional": True, "where": [{"property": "level", "op": "exists"}]},
              {"name": "Purchase", "window_duration": "9d"}],
    "event_types": {"Buy": "Purchase"}, "probability": {"Cart": 0.25}, "conversion_order": {"flexible": {"limit": "1h"}},
    "hold_constant": ["arm"], "session_gap": "1h", "default": True}
PAIR = {"funnels": [{"name": "all", "funnel": STEPS}, {"name": "saved", "funnel_id": "rich"}]}

# Further requests that are answered: (path, body).
MORE = [
    ("/v1/query", query(breakdown={"property": "level", "k": 2})),
    ("/v1/query", query(trend={"by": "week"}, times="none")),
    ("/v1/query", {"funnel": STEPS, "trend": {"by": "day"}, "start": "2020-01-01", "end": "2020-01-02"}),
    ("/v1/query", query(segments=[{"name": "new", "where": [{"property": "new", "op": "=", "value": True}]}], compare="previous_period")),
    ("/v1/query", query(variants={"property": "arm", "expected": {"control": 1, "test": 1}})),
    ("/v1/query", query(variants={"property": "arm", "touch": "last"}, heavy_users="leave_out")),
    ("/v1/query", {**SPAN, "variants": PAIR}),
    ("/v1/query", query(funnel={**STEPS, "conversion_order": "any", "preset": "mixpanel-unique/1"}, count_by="sessions")),
    ("/v1/query", {"funnel_id": "rich", **SPAN, "cohort": {"reached": {"funnel_id": "rich", "step": 1}}}),
    ("/v1/query", {"funnel": {"steps": ["Nothing"]}}),
    ("/v1/query/users", query(step="Cart", outcome="dropped", group={"property": "level", "value": None})),
    ("/v1/query/users", query(step=1, heavy_users="leave_out")),
    ("/v1/query/paths", query(**{"from": {"between": [1, "Purchase"]}}, exclude_events=["Help"], k=1)),
    ("/v1/query/paths", query(**{"from": {"dropped": 2}}, k=1, length=1)),
    ("/v1/query/times", {"funnel": {"steps": ["Nothing", "More"]}}),
    ("/v1/query/explain", query(user_id="user-02")),
    ("/v1/query/explain", query(user_id="nobody")),
    ("/v1/query?format=ndjson&table=steps", query(trend={"by": "week"})),
    ("/v1/query?format=csv&raw=1", query()),
    ("/v1/query/users?format=csv", query(step=1)),
    ("/v1/query/users?format=ndjson&raw=true", query(step=1, limit=3)),
    ("/v1/query/paths?format=ndjson&table=next", query(**{"from": {"dropped": 2}})),
    ("/v1/query/predictors?format=csv", query(min_users=1)),
    ("/v1/query/times?format=ndjson&table=histogram", query()),
    ("/v1/query/explain?format=ndjson&table=chosen", query(user_id="user-02")),
]
# Of a saved funnel, by its URL.
BY_URL = [
    "report?format=csv&trend=day&start=2026-01-01&end=2026-01-31",
    "report?format=ndjson&compare=previous_period&start=2026-01-08&end=2026-01-14",
    "report?variants=arm&control=test&exposure=first", "users?format=csv&step=1&limit=3", "users?format=ndjson&step=Visit&after=user-10",
    "paths?between=1,Purchase&format=csv", "predictors?properties=0&format=ndjson", "times?format=csv&allow_partial=1",
    "explain?user_id=nobody&format=csv&table=summary",
]

# A body that is announced and not sent: services answer before they read it.
TOO_LONG = {"content-length": str((1 << 20) + 1)}
# Faults: (service, method, path, body or bytes, headers, status). Keys are those that the operation needs.
FAULTS = [
    ("ingest", "POST", "/track-event", b"{", {}, 422),
    ("ingest", "POST", "/track-event", {"user_id": "u", "event": "Visit"}, {}, 422),
    ("ingest", "POST", "/track-event", event("u", "Visit", 1767268800), {"idempotency-key": "k" * 129}, 422),
    ("ingest", "POST", "/track-event", b"{", TOO_LONG, 413),
    ("ingest", "POST", "/v1/events", b"[{", {}, 400),
    ("ingest", "POST", "/v1/events", b"no gzip", {"content-encoding": "gzip"}, 400),
    ("ingest", "POST", "/v1/events", b"[]", {"content-encoding": "br"}, 400),
    ("ingest", "POST", "/v1/events", {"rows": []}, {}, 422),
    ("ingest", "POST", "/v1/events", [], {"idempotency-key": "k" * 129}, 422),
    ("coordinator", "POST", "/v1/query", b"{", {}, 400),
    ("coordinator", "POST", "/v1/query", b"{", TOO_LONG, 413),
    ("coordinator", "POST", "/v1/query", {}, {}, 422),
    ("coordinator", "POST", "/v1/query", query(funnel={"steps": [{}] * 64 + [1] * 1200}), {}, 422),
    ("coordinator", "POST", "/v1/query", {f"key-{i}": 1 for i in range(1200)}, {}, 422),
    ("coordinator", "POST", "/v1/query", {"funnel_id": "none"}, {}, 404),
    ("coordinator", "POST", "/v1/query/users", query(step=9), {}, 422),
    ("coordinator", "POST", "/v1/query/paths", query(breakdown={"property": "level"}), {}, 422),
    ("coordinator", "POST", "/v1/query/predictors", query(count_by="attempts"), {}, 422),
    ("coordinator", "POST", "/v1/query/times", query(**{"from": 3, "to": 1}), {}, 422),
    ("coordinator", "POST", "/v1/query/explain", query(), {}, 422),
    ("coordinator", "POST", "/v1/live", [], {}, 422),
    ("coordinator", "GET", "/v1/events?limit=0&other=1", None, {}, 422),
    ("coordinator", "GET", "/v1/properties?prefix=a", None, {}, 422),
    ("coordinator", "GET", "/v1/properties/" + "n" * 257 + "/values", None, {}, 422),
    ("coordinator", "POST", "/v1/query?format=xml&raw=2", query(), {}, 422),
    ("coordinator", "POST", "/v1/query?format=csv&table=trend", query(), {}, 422),
    ("coordinator", "POST", "/v1/query/users?format=csv", query(step=9), {}, 422),
    ("coordinator", "POST", "/v1/query/users?format=csv", b"{", {}, 400),
    ("coordinator", "GET", "/v1/funnels/rich/report?table=steps&k=3&other=1", None, {}, 422),
    ("coordinator", "GET", "/v1/funnels/rich/users?format=csv&limit=0", None, {}, 422),
    ("coordinator", "GET", "/v1/funnels/rich/paths?between=1", None, {}, 422),
    ("coordinator", "GET", "/v1/funnels/none/predictors", None, {}, 404),
    ("coordinator", "GET", "/v1/funnels/rich/times?bins=many&start=soon", None, {}, 422),
    ("coordinator", "GET", "/v1/funnels/a%20b/explain?user_id=u", None, {}, 422),
    ("coordinator", "GET", "/v1/funnels/none/users?step=1&format=csv", None, {}, 404),
    ("coordinator", "GET", "/v1/funnels/none", None, {}, 404),
    ("coordinator", "GET", "/v1/funnels/a%20b", None, {}, 422),
    ("coordinator", "PUT", "/v1/funnels/new", {"steps": []}, {}, 422),
    ("coordinator", "PUT", "/v1/funnels/rich", STEPS, {"if-match": '"999"'}, 412),
    ("coordinator", "PUT", "/v1/funnels/rich", STEPS, {"if-none-match": "*"}, 412),
    ("coordinator", "PUT", "/v1/funnels/none", STEPS, {"if-match": "*"}, 412),
    ("coordinator", "DELETE", "/v1/funnels/none", None, {}, 404),
    ("coordinator", "DELETE", "/v1/funnels/rich", None, {"if-match": "text"}, 412),
    ("coordinator", "GET", "/funnel-performance?start_date=yesterday", None, {}, 422),
    ("coordinator", "GET", "/funnel-performance?funnel_id=none", None, {}, 404),
    ("coordinator", "PUT", "/v1/rules", {"rules": [{"rename_events": [], "x": 1}, {}]}, {}, 422),
    ("coordinator", "PUT", "/v1/rules", {"rules": []}, {"if-match": '"999"'}, 412),
    ("coordinator", "PUT", "/v1/rules", {"rules": [], "revision": 999}, {}, 412),
    ("coordinator", "PUT", "/v1/rules", b"{", {}, 400),
    ("coordinator", "PUT", "/v1/rules", b"{", TOO_LONG, 413),
    ("coordinator", "GET", "/v1/rules?project=2", None, {}, 403),
    ("coordinator", "PUT", "/v1/annotations/new", {"id": "other", "text": "x", "start": "2026-01-05T09:30:00Z"}, {}, 422),
    ("coordinator", "PUT", "/v1/annotations/new", {"text": "", "start": "2026-01-05", "end": "soon", "funnel_id": "a b", "x": 1}, {}, 422),
    ("coordinator", "PUT", "/v1/annotations/new", {"text": "x", "start": "2026-01-05T09:30:00Z", "funnel_id": "none"}, {}, 422),
    ("coordinator", "PUT", "/v1/annotations/new", {"text": "x", "start": "2026-01-05T09:30:00Z"}, {"if-match": "*"}, 412),
    ("coordinator", "PUT", "/v1/annotations/new", b"{", {}, 400),
    ("coordinator", "PUT", "/v1/annotations/new", b"{", TOO_LONG, 413),
    ("coordinator", "GET", "/v1/annotations?start=soon&from=2026-01-01", None, {}, 422),
    ("coordinator", "GET", "/v1/annotations/none", None, {}, 404),
    ("coordinator", "DELETE", "/v1/annotations/none", None, {}, 404),
    ("coordinator", "PUT", "/v1/applied/new", {"documents": [{"kind": "Funnel", "id": "a b"}], "more": 1}, {}, 422),
    ("coordinator", "PUT", "/v1/applied/new", {"documents": []}, {"if-match": "*"}, 412),
    ("coordinator", "PUT", "/v1/applied/new", b"{", {}, 400),
    ("coordinator", "GET", "/v1/applied/none", None, {}, 404),
    ("coordinator", "DELETE", "/v1/applied/none", None, {}, 404),
    ("coordinator", "POST", "/v1/keys", {}, {}, 422),
    ("coordinator", "POST", "/v1/keys", {"role": "owner", "origins": ["shop.example"], "name": "", "expires_in": "1s", "x": 1}, {}, 422),
    ("coordinator", "POST", "/v1/keys", {"role": "read", "origins": ["https://shop.example"]}, {}, 422),
    ("coordinator", "POST", "/v1/keys", {"role": "read", "project": 4000000000}, {}, 404),
    ("coordinator", "POST", "/v1/keys", b"{", {}, 400),
    ("coordinator", "POST", "/v1/keys", b"{", TOO_LONG, 413),
    ("coordinator", "GET", "/v1/keys?project=4000000000", None, {}, 404),
    ("coordinator", "GET", "/v1/keys?project=first&other=1", None, {}, 422),
    ("coordinator", "DELETE", "/v1/keys", None, {}, 422),
    ("coordinator", "DELETE", "/v1/keys?id=none", None, {}, 404),
    ("coordinator", "DELETE", "/v1/keys/none", None, {}, 404),
    ("coordinator", "POST", "/v1/projects", {"name": "Shop"}, {}, 409),
    ("coordinator", "POST", "/v1/projects", {"name": " ", "settings": {"unknown": 1}}, {}, 422),
    ("coordinator", "PUT", "/v1/projects/1", {"name": "Shop"}, {}, 409),
    ("coordinator", "PUT", "/v1/projects/4000000000", {"name": "None"}, {}, 404),
    ("coordinator", "GET", "/v1/projects/none", None, {}, 404),
    ("coordinator", "POST", "/v1/session", {"key": 1}, {}, 422),
    ("coordinator", "POST", "/v1/session", {"key": KEYS["write"]}, {}, 403),
    ("coordinator", "POST", "/v1/session", {"key": KEYS["read"]}, {"origin": "http://elsewhere.example"}, 403),
    ("coordinator", "POST", "/v1/session", b"{", TOO_LONG, 413),
    ("coordinator", "DELETE", "/v1/session", None, {"origin": "http://elsewhere.example"}, 403),
]


FORM, LINES = "application/x-www-form-urlencoded", "application/x-ndjson"
AVRO = {"content-type": "application/cloudevents+avro"}
# Requests of SDKs that have their event and their key in the URL.
IN_URL = {
    "/track": lambda key: "/track?data=" + urllib.parse.quote(json.dumps(
        {"event": "Signup", "properties": {"distinct_id": "u1", "time": 1769860860, **({"token": key} if key else {})}})),
    "/i": lambda key: f"/i?e=se&se_ca=shop&se_ac=Signup&uid=u1&aid={key or ''}",
}
# What the answer depends on besides the path: (method, path, body, status).
SDK_MORE = [
    ("POST", "/track?verbose=1", [{"event": "Signup", "properties": {"distinct_id": "u1", "time": 1769860860}}], 200),
    ("POST", "/track?img=1", [{"event": "Signup", "properties": {"distinct_id": "u1", "time": 1769860860}}], 200),
    ("POST", "/import?strict=1", [{"event": "Signup", "properties": {}}], 400),
    ("POST", "/batch", {"api_key": KEYS["write"], "events": [{"event_type": "Signup", "user_id": "u1"}, {"user_id": "u1"}]}, 200),
    ("POST", "/batch", {"api_key": "wrong", "events": []}, 400),
]


def sdk_request(keys, kind, example, key):
    """Body and headers of an SDK's request, with the key in the first place that is in the head, or else in the body."""
    headers = {"content-type": kind}
    place = next((place for place in keys if place in ("bearer", "basic")), None)
    if key and place == "bearer":
        headers["authorization"] = f"Bearer {key}"
    elif key and place == "basic":
        headers["authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    elif key:
        example = {**example, keys[0].removeprefix("body "): key}
    if kind == FORM:
        return ("data=" + urllib.parse.quote(json.dumps(example))).encode(), headers
    if kind == LINES:
        return "\n".join(map(json.dumps, example)).encode(), headers
    return example, headers


def state_of(pid):
    """The state of a process, such as T for stopped."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


class Run:
    def __init__(self, contract, cluster):
        self.contract, self.cluster = contract, cluster
        self.failed, self.asked = 0, 0
        self.kept = {}
        self.addresses = {name: cluster.info[name]["http"] for name in ("ingest", "coordinator")}
        self.addresses["shard"] = cluster.info["shards"][0]["http"]

    def fail(self, text):
        self.failed += 1
        print(f"FAILED {text}", flush=True)

    def ask(self, service, method, path, expected, body=None, key=None, headers=None, validate=True):
        """One request. The answer is validated, and must have the status, or one of several, and the request's id."""
        self.asked += 1
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"x-request-id": f"contract-{self.asked}", **(headers or {})}
        if key:
            sent["authorization"] = f"Bearer {key}"
        send = stream if path == "/v1/live" else exchange
        status, received, text = send(self.addresses[service], method, path, data, sent)
        asked = body if isinstance(body, (dict, list)) else None
        faults = self.contract.check(service, method, path, status, received, text, asked) if validate else []
        if faults:
            self.failed += 1
        elif status not in (expected if isinstance(expected, tuple) else (expected,)):
            self.fail(f"{service} {method} {path}: status {status}, expected {expected}: {text:.200}")
        if received.get("x-request-id") != sent["x-request-id"]:
            self.fail(f"{service} {method} {path}: X-Request-Id {received.get('x-request-id')}, sent {sent['x-request-id']}")
        self.keep(service, method, path, status, received, text)
        return status, received, text

    def keep(self, service, method, path, status, headers, text):
        """JSON answers, of which fields are changed later."""
        if text and "json" in headers.get("content-type") and "x-ndjson" not in headers.get("content-type") and path != "/openapi.json":
            self.kept[service, method, path, status, len(self.kept)] = (headers, shortened(json.loads(text)))

    def operations(self):
        """Every operation of the document, in the order of GOOD."""
        known = {operation.id: operation for operation in self.contract.operations if operation.keys() is None}
        for name in known.keys() - GOOD.keys():
            self.fail(f"{known[name].name}: documented, and there is no request for it in GOOD")
        for name in GOOD.keys() - known.keys():
            self.fail(f"{name}: asked for in GOOD, and not in the document")
        for name, (path, body, status) in GOOD.items():
            if name in known:
                path = path(self) if callable(path) else path
                for service in known[name].services:
                    self.operation(known[name], service, path, body, status)

    def operation(self, operation, service, path, body, status):
        roles = operation.roles()
        key = KEYS[min(roles)] if roles else None
        if roles:
            self.ask(service, operation.method, path, 401, body)
            self.ask(service, operation.method, path, 403, body, KEYS[OTHER[min(roles)]])
        self.ask(service, operation.method, path, status, body, key)
        if operation.method == "GET":
            _, _, text = self.ask(service, "HEAD", path, status, key=key, validate=False)
            if text:
                self.fail(f"HEAD {path}: a body")

    def sdks(self):
        """Every operation of SDKs, with the examples of the document: without an API key, with one of another role, with the right one."""
        for operation in self.contract.operations:
            keys, path = operation.keys(), operation.path.replace("{key}", "any")
            if keys is None:
                continue
            if not keys:
                self.ask("ingest", operation.method, path, 200)
                continue
            # Amplitude's SDKs do not look at 401. Without a key, a call with `event` is a recording that is dropped.
            refused = {"/2/httpapi": 400, "/batch": (400, 401)}.get(path, 401)
            unknown = 200 if path == "/s" else refused
            given = ((None, unknown), (KEYS["read"], refused), (KEYS["write"], 200))
            if operation.method == "GET":
                for key, status in given:
                    self.ask("ingest", "GET", IN_URL[path](key), status)
                continue
            requests = [(kind, example) for kind, example in operation.examples()]
            if not requests:
                self.fail(f"{operation.name}: the document has no example of its body")
            for kind in (FORM, LINES):
                if kind in operation.body["requestBody"]["content"]:
                    requests.append((kind, requests[0][1]))
            for kind, example in requests:
                for key, status in given:
                    body, headers = sdk_request(keys, kind, example, key)
                    self.ask("ingest", "POST", path, status, body, headers=headers)
            _, headers = sdk_request(keys, requests[0][0], {}, KEYS["write"])
            self.ask("ingest", "POST", path, 400, b"{", headers=headers)
            self.ask("ingest", "POST", path, (400, 415), b"{", headers={**headers, "content-encoding": "br"})
        for method, path, body, status in SDK_MORE:
            _, headers = sdk_request(["basic"], "application/json", {}, KEYS["write"])
            self.ask("ingest", method, path, status, body, headers=headers)

    def cloud_events(self):
        """Those that come to the path of native events."""
        example = self.contract.document["components"]["schemas"]["CloudEvent"]["examples"][0]
        one, many = ({"content-type": f"application/cloudevents{kind}+json"} for kind in ("", "-batch"))
        for key, status in ((None, 401), (KEYS["read"], 401), (KEYS["write"], 200)):
            self.ask("ingest", "POST", "/v1/events", status, json.dumps(example).encode(), key, one)
        for body, headers, status in (
            (json.dumps([example, {}]).encode(), many, 200), (b"[{", many, 400), (b"", AVRO, 415),
            (b"{}", {**one, "content-encoding": "br"}, 415), (b"{}", {**one, "content-length": str((64 << 20) + 1)}, 413),
        ):
            self.ask("ingest", "POST", "/v1/events", status, body, KEYS["write"], headers)

    def more(self):
        """What depends on state, and reports of all kinds."""
        read, write, admin = KEYS["read"], KEYS["write"], KEYS["admin"]
        self.ask("coordinator", "PUT", "/v1/funnels/rich", 201, FUNNEL, admin)
        self.ask("coordinator", "PUT", "/v1/funnels/rich", 200, FUNNEL, admin)
        self.ask("coordinator", "GET", "/funnel-performance?funnel_id=rich&allow_partial=1&time_zone=Asia/Tokyo", 200, key=read)
        for path, body in MORE:
            self.ask("coordinator", "POST", path, 200, body, read)
        for path in BY_URL:
            self.ask("coordinator", "GET", f"/v1/funnels/rich/{path}", 200, key=read)
        self.ask("coordinator", "GET", "/v1/properties", 200, key=read)
        lines = "\n".join(json.dumps(entry) for entry in story()[:3]).encode() + b"\nno event\n"
        kinds = ("application/x-ndjson", "application/ndjson", "application/jsonl")
        for kind in kinds:
            self.ask("ingest", "POST", "/v1/events", 200, lines, write, {"content-type": kind, "idempotency-key": "lines"})
        self.ask("ingest", "POST", "/v1/events", 200, gzip.compress(b'{"events":[]}'), write, {"content-encoding": "gzip"})
        _, headers, _ = self.ask("coordinator", "GET", "/", 200)
        self.ask("coordinator", "GET", "/", 304, headers={"if-none-match": headers["etag"]})
        _, headers, _ = self.ask("coordinator", "POST", "/v1/session", 200, {"key": read})
        cookie = {"cookie": headers["set-cookie"].partition(";")[0]}
        self.ask("coordinator", "GET", "/v1/session", 200, headers=cookie)
        _, _, text = self.ask("coordinator", "GET", "/v1/status", 200, headers=cookie)
        if not cookie["cookie"].startswith(f"sluice_session_{json.loads(text).get('cluster_id')}="):
            self.fail(f"the cookie is not named by the cluster's id: {cookie['cookie']:.40}")

    def faults(self):
        for service, method, path, body, headers, status in FAULTS:
            operation = self.contract.operation(service, method, path)
            roles = operation.roles()
            self.ask(service, method, path, status, body, KEYS[min(roles)] if roles else None, headers)
        self.ask("coordinator", "PUT", "/v1/funnels/rich", 200, {**FUNNEL, "default": False}, KEYS["admin"])
        self.ask("coordinator", "PUT", "/v1/funnels/other", 201, STEPS, KEYS["admin"])
        self.ask("coordinator", "GET", "/funnel-performance", 409, key=KEYS["read"])
        self.ask("coordinator", "GET", "/v1/rules?project=4000000000", 404, key=KEYS["admin"])
        self.ask("coordinator", "GET", "/v1/rules?project=all", 422, key=KEYS["admin"])
        self.ask("coordinator", "GET", "/no-such-path", 404)
        for operation in self.contract.operations:
            if "coordinator" not in operation.services or operation.method != "GET" or operation.path == "/v1/session":
                continue
            _, headers, _ = self.ask("coordinator", "PATCH", GOOD[operation.id][0], 405)
            if "GET" not in headers.get("allow", ""):
                self.fail(f"PATCH {operation.path}: Allow is {headers.get('allow')}")

    def outage(self):
        """One shard hangs, then both."""
        pids, events = self.cluster.info["pids"], story()
        ask, read, write = self.ask, KEYS["read"], KEYS["write"]
        try:
            os.kill(pids["shard-1"], signal.SIGSTOP)
            while state_of(pids["shard-1"]) != "T":  # kill does not wait for the stop
                time.sleep(0.001)
            ask("coordinator", "POST", "/v1/query", 504, query(deadline="50ms"), read)
            self.wait("ingest", 200, "shard-1")
            self.wait("coordinator", 200, "shard-1")
            status, _, text = ask("ingest", "POST", "/v1/events", 503, events, write)
            if status == 503 and not json.loads(text).get("retry"):
                self.fail(f"no events to retry while a shard hangs: {text:.200}")
            ask("ingest", "POST", "/v1/events", 503, events, write, {"idempotency-key": "outage"})
            self.partly_stored()
            ask("coordinator", "POST", "/v1/query", 503, query(), read)
            ask("coordinator", "POST", "/v1/query", 200, query(allow_partial=True), read)
            ask("coordinator", "POST", "/v1/query/users", 200, query(step=1, allow_partial=True), read)
            ask("coordinator", "GET", "/v1/events?allow_partial=true", 200, key=read)
            ask("coordinator", "GET", "/v1/status", 200, key=read)
            os.kill(pids["shard-0"], signal.SIGSTOP)
            self.wait("ingest", 503, "shard-0")
            self.wait("coordinator", 503, "shard-0")
            ask("ingest", "POST", "/track-event", 503, events[0], write)
            ask("ingest", "POST", "/v1/events", 503, events, write)
            self.sdk_outage()
        finally:
            for shard in ("shard-0", "shard-1"):
                os.kill(pids[shard], signal.SIGCONT)

    def partly_stored(self):
        """SDKs whose answer names the events that they must send again, while one shard hangs."""
        users, write = [f"part-{i:02}" for i in range(40)], KEYS["write"]
        amplitude = {"api_key": write, "events": [{"event_type": "Signup", "user_id": user, "insert_id": user} for user in users]}
        posthog = {"api_key": write, "batch": [{"event": "Signup", "distinct_id": user, "uuid": user} for user in users]}
        cloud = [{"specversion": "1.0", "id": user, "source": "/shop", "type": "Signup", "userid": user} for user in users]
        self.ask("ingest", "POST", "/2/httpapi", 429, amplitude)
        _, _, text = self.ask("ingest", "POST", "/i/v1/analytics/events", 200, posthog)
        if '"retry"' not in text:
            self.fail(f"no event to retry while a shard hangs: {text:.200}")
        headers = {"content-type": "application/cloudevents-batch+json"}
        self.ask("ingest", "POST", "/v1/events", 503, json.dumps(cloud).encode(), write, headers)

    def sdk_outage(self):
        """One request to each group of paths while no shard answers."""
        seen = set()
        for operation in self.contract.operations:
            if not operation.keys() or operation.method != "POST" or operation.pointer in seen:
                continue
            seen.add(operation.pointer)
            kind, example = next(operation.examples())
            body, headers = sdk_request(operation.keys(), kind, example, KEYS["write"])
            self.ask("ingest", "POST", operation.path, 503, body, headers=headers)

    def wait(self, service, status, name):
        """Until /readyz has the status, and names a shard."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found, headers, text = exchange(self.addresses[service], "GET", "/readyz")
            if found == status and name in text:
                self.contract.check(service, "GET", "/readyz", found, headers, text)
                return
            time.sleep(0.1)
        self.fail(f"/readyz of {service} is not {status} with {name}: {found} {text}")

    def guesses(self):
        """Wrong keys, until the service wants a pause: ten at once, and one more a second on a slow machine."""
        for service, method, path in (("ingest", "POST", "/v1/events"), ("coordinator", "GET", "/v1/status")):
            keys = (f"wrong-key-number-{i:03}" for i in range(100))
            if all(self.ask(service, method, path, (401, 429), key=key)[0] != 429 for key in keys):
                self.fail(f"{service}: no 429 after a hundred wrong keys")


def stream(address, method, path, body, headers):
    """As `exchange`, of a stream its first event alone."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        if response.headers.get("content-type") != "text/event-stream":
            return response.status, response.headers, response.read().decode()
        text = b""
        while not text.endswith(b"\n\n"):
            text += response.readline()
        return response.status, response.headers, text.decode()
    finally:
        connection.close()


def shortened(value):
    """Of each list the first and the last entry."""
    if isinstance(value, dict):
        return {key: shortened(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shortened(entry) for entry in (value if len(value) < 3 else (value[0], value[-1]))]
    return value


def changes(value, path=()):
    """(what, path, key) of each change that the document must notice. A member that is renamed is one left out and one added."""
    if isinstance(value, dict):
        is_free = path and path[-1] in FREE or len(path) > 1 and path[-1] == "properties" and isinstance(path[-2], int)
        if not is_free:
            yield "added", path, "unknown_member"
        # An annotation has an end only if it is a span.
        optional = OPTIONAL | {"end"} if {"id", "text", "start"} <= value.keys() else OPTIONAL
        for key, member in value.items():
            if not is_free and key not in optional:
                yield "left out", path, key
            if not isinstance(member, (dict, list)):
                yield "changed", path, key
            yield from changes(member, path + (key,))
    elif isinstance(value, list):
        for i, member in enumerate(value):
            yield from changes(member, path + (i,))


def is_noticed(validator, value, what, path, key):
    """Whether a value with the change is not valid; the value is as before afterwards."""
    at = value
    for part in path:
        at = at[part]
    before = dict(at)
    if what == "left out":
        del at[key]
    else:
        at[key] = {"of": ["another type"]}
    noticed = not validator.is_valid(value)
    at.clear()
    at.update(before)
    return noticed


def strictness(run):
    """How many changes the document noticed; those that it did not are faults."""
    done, noticed = set(), 0
    for (service, method, path, status, _), (headers, value) in run.kept.items():
        operation = run.contract.operation(service, method, path)
        if operation is None or status == 405:
            continue
        validator = run.contract.validator_of(operation, status, headers["content-type"])
        for what, at, key in list(changes(value)):
            place = (operation.id, status, what, tuple("*" if isinstance(part, int) else part for part in at), key)
            if place in done:
                continue
            done.add(place)
            if is_noticed(validator, value, what, at, key):
                noticed += 1
            else:
                run.fail(f"{operation.name} {status}: /{'/'.join(map(str, (*at, key)))} {what}, and the document does not notice")
    return noticed


def examples(run):
    """Examples of the document are valid by it."""
    for name, schema in run.contract.document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            for fault in run.contract.errors(f"#/components/schemas/{name}", example):
                run.fail(f"example of {name}: {fault}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", default=os.environ.get("SLUICE_PROGRAMS", ".build/release"))
    given = parser.parse_args()
    began, contract = time.monotonic(), Contract()
    if contract.document is None:
        raise SystemExit(contract.summary())
    keys = {f"SLUICE_{role.upper()}_KEYS": key for role, key in KEYS.items()}
    with tempfile.TemporaryDirectory(prefix="sluice-contract-") as directory:
        with Cluster(given.programs, directory, environment=keys) as cluster:
            run = Run(contract, cluster)
            for part in (run.operations, run.more, run.sdks, run.cloud_events, run.faults, run.outage, run.guesses):
                part()
    for name in contract.unseen():
        run.fail(f"{name}: no validated answer")
    examples(run)
    noticed = strictness(run)
    print(contract.summary())
    print(f"{run.asked} requests, {noticed:,} changes noticed, {run.failed} failed; {time.monotonic() - began:.0f} s")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
