"""Answers that a healthy cluster does not give, for Playwright's routes."""

import json


def answer(status, body, kind="application/json"):
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda route: route.fulfill(status=status, content_type=kind if status < 400 else "application/problem+json", body=text)


def problem(status, title, detail, **more):
    return answer(status, {"type": "about:blank", "title": title, "status": status, "detail": detail, **more})


def events(*list_of):
    """A stream of `(name, data)`; it ends after them."""
    return answer(200, "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in list_of), "text/event-stream")
