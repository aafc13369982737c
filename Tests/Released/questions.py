"""What a release is asked over HTTP. Every time is fixed, so that the answer hangs on the stored events alone."""

import http.client
import json

import story

AS_OF, SPRING = "2024-06-01T00:00:00Z", {"start": "2024-01-01", "end": "2024-04-30", "as_of": "2024-06-01T00:00:00Z"}
CART = {"steps": ["Visit", "Add To Cart", "Purchase"], "window_duration": "5d"}


def call(address, method, path, body=None, key=None, headers=()):
    """Status and body, read as JSON where it is some."""
    host, port = address.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    sent = {"Authorization": f"Bearer {key}"} if key else {}
    if body is not None and not isinstance(body, bytes):
        body, sent["Content-Type"] = json.dumps(body, ensure_ascii=False).encode(), "application/json"
    try:
        connection.request(method, path, body, {**sent, **dict(headers)})
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


def asked():
    """(method, path, body or None, project)"""
    def post(path, project=1, **body):
        return "POST", "/v1/" + path, body, project

    def get(path, project=1):
        return "GET", path, None, project

    return [
        post("query", funnel_id="checkout", **SPRING),
        post("query", funnel_id="checkout", as_of="2024-04-20T12:00:00Z"),
        post("query", funnel_id="guided", **SPRING, breakdown={"property": "device", "touch": "last", "k": 2}),
        post("query", funnel=CART, as_of=AS_OF, breakdown={"property": "mixed", "touch": "step:2"}),
        post("query", funnel={**CART, "conversion_order": "any"}, as_of=AS_OF),
        post("query", funnel={**CART, "conversion_order": "strict"}, as_of=AS_OF, count_by="sessions", session_gap="6h"),
        post("query", funnel={**CART, "preset": "mixpanel-totals/1"}, as_of=AS_OF),
        post("query", funnel=CART, **SPRING, trend={"by": "week"}, time_zone="Europe/Berlin"),
        post("query", funnel=CART, start="2024-03-01", end="2024-03-31", as_of=AS_OF, compare="previous_period",
             cohort={"reached": {"funnel_id": "checkout", "step": 2}},
             segments=[{"name": "phones", "where": [{"property": "device", "op": "=", "value": "phone"}]},
                       {"name": "Dutch", "where": [{"property": "user.country", "op": "in", "value": ["NL", "日本"]}]}]),
        post("query", funnel=CART, **SPRING, variants={"property": "variant", "touch": "step:1", "control": "control"}),
        post("query", **SPRING, variants={"funnels": [{"name": "saved", "funnel_id": "checkout"}, {"name": "cart", "funnel": CART}]}),
        post("query/users", funnel=CART, **SPRING, step=2, limit=25),
        post("query/users", funnel=CART, **SPRING, step=3, outcome="dropped", limit=10, after="user-0050"),
        post("query/users", funnel=CART, **SPRING, step=1, outcome="reached", limit=40,
             group={"property": "device", "touch": "first", "value": "tablet"}),
        post("query/times", funnel=CART, **SPRING, **{"from": 1, "to": "Purchase"}, bins=8),
        post("query/explain", funnel_id="checkout", **SPRING, user_id=story.UUID_USER),
        post("query/explain", funnel_id="guided", **SPRING, user_id=story.UNICODE_USER),
        post("query/paths", funnel=CART, **SPRING, **{"from": {"dropped": 2}}, exclude_events=["Ping"], k=10),
        post("query/predictors", funnel=CART, **SPRING, k=8),
        get("/funnel-performance?start_date=2024-01-01&end_date=2024-04-30"),
        get("/v1/funnels"),
        get("/v1/funnels/guided"),
        get("/v1/events"),
        get("/v1/properties"),
        get("/v1/properties/%C3%BCn%C3%AFcode%20%E2%9C%93/values?event=Purchase"),
        get("/v1/properties/mixed/values"),
        post("query", project=2, funnel_id="small", as_of=AS_OF),
        get("/v1/events", project=2),
        post("query", funnel_id="none", as_of=AS_OF),
        post("query", funnel={"steps": []}, as_of="yesterday"),
    ]


def ask(address):
    """The questions with their answers, as they are kept."""
    kept = []
    for method, path, body, project in asked():
        status, answer = call(address, method, path, body, story.READ[project])
        kept.append({"method": method, "path": path, "key": story.READ[project], "body": body, "status": status, "answer": answer})
    return kept
