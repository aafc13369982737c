"""What the contract test asks: a good request of each operation, more of them, and faults with their statuses."""

import json
import urllib.parse

KEYS = {role: f"{role}-key-of-the-contract-test" for role in ("write", "read", "admin")}
OTHER = {"write": "read", "read": "write", "admin": "read"}
EVENTS = ["Visit", "Cart", "Purchase"]
STEPS = {"steps": EVENTS, "window_duration": "30d"}
SPAN = {"start": "2026-01-01", "end": "2026-01-31", "as_of": "2026-03-01T00:00:00Z"}


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
