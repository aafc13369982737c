"""The page Incoming: events as they come, with the reason where they are rejected; filters, pause, silent ingests."""

import re
import time

import pytest
from playwright.sync_api import expect

from answers import answer

PATH = "/?page=incoming"
HOSTILE = "<img src=x onerror=alert(1)>\u202e\n\"'"


def rejected(cluster, event, **more):
    """Sends one event without a user; ingest rejects it."""
    record = {"event": event, "timestamp": "2026-01-01T10:00:00Z", **more}
    assert cluster.call("POST", cluster.ingest + "/v1/events", [record])["accepted"] == 0


def row(page, text):
    return page.locator("main tbody tr:not(.below)", has_text=text)


def opened(page, text):
    """The text below an opened row."""
    return page.locator("main tbody tr.below", has_text=text).locator("pre")


def ready(page):
    page.locator("main h1", has_text="Incoming").wait_for()


def made(**more):
    return {"time": "2026-01-31T12:00:00.000001Z", "ingest": "10.0.0.7:8081", "endpoint": "/v1/events", "key": None, "event": "Made",
            "user_id": None, "outcome": "rejected", "reason": "user_id: field required", "record": "{}", **more}


def mocked(web, *events, silent=(), ingests=1):
    body = {"events": list(events), "silent": list(silent), "ingests": ingests}
    return web.open(PATH, prepare=lambda page: page.route("**/v1/rejected*", answer(200, body)))


def test_events_appear_as_they_come(web, cluster):
    page = web.open(PATH)
    ready(page)
    name = f"Live {time.time_ns()}"
    rejected(cluster, name + " bad")
    cluster.send([("live-user", name + " good", 0, {})])
    bad, good = row(page, name + " bad"), row(page, name + " good")
    expect(bad).to_contain_text("Rejected")
    expect(bad).to_contain_text("user_id is missing")
    expect(bad).to_contain_text("Each event needs user_id or anonymous_id")
    expect(good).to_contain_text("Taken")
    expect(good).to_contain_text("live-user")
    bad.get_by_text("Show").click()
    expect(opened(page, name + " bad")).to_contain_text(re.compile('"timestamp": ?"2026-01-01T10:00:00Z"'))
    # What is open stays open while others come.
    rejected(cluster, name + " later")
    expect(row(page, name + " later")).to_be_visible()
    expect(opened(page, name + " bad")).to_be_visible()
    bad.get_by_role("button", name="Hide").click()
    expect(opened(page, name + " bad")).to_have_count(0)
    good.get_by_role("button", name="Show").click()
    expect(page.get_by_text("As it is stored")).to_be_visible()


def test_filters(web, cluster):
    mark = str(time.time_ns())
    for event in ("Alpha", "Beta"):
        rejected(cluster, f"{event} {mark}")
    page = web.open(PATH)
    ready(page)
    expect(row(page, f"Alpha {mark}")).to_be_visible()
    field = page.get_by_label("Event name contains")
    field.fill(f"Beta {mark}")
    field.press("Enter")
    expect(row(page, f"Alpha {mark}")).to_have_count(0)
    expect(row(page, f"Beta {mark}")).to_be_visible()
    assert "name=Beta" in page.url
    page.get_by_label("Taken").check(force=True)
    expect(page.get_by_text("No such event lately")).to_be_visible()
    # The address has the filters.
    page.reload()
    expect(page.get_by_text("No such event lately")).to_be_visible()
    expect(page.get_by_label("Event name contains")).to_have_value(f"Beta {mark}")
    page.get_by_label("Rejected").check(force=True)
    expect(row(page, f"Beta {mark}")).to_be_visible()


def test_pause(web, cluster):
    mark = str(time.time_ns())
    page = web.open(PATH)
    ready(page)
    rejected(cluster, f"Before {mark}")
    expect(row(page, f"Before {mark}")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    rejected(cluster, f"Within {mark}")
    page.wait_for_timeout(3000)
    expect(row(page, f"Within {mark}")).to_have_count(0)
    page.get_by_role("button", name="Go on").click()
    expect(row(page, f"Within {mark}")).to_be_visible()


def test_hostile_names_are_text(web, cluster):
    rejected(cluster, HOSTILE, properties={HOSTILE: HOSTILE})
    page = web.open(PATH)
    ready(page)
    expect(row(page, "onerror").first).to_be_visible()
    assert page.locator("main img").count() == 0
    page = mocked(web, made(event=HOSTILE, user_id=HOSTILE, reason=HOSTILE, endpoint=HOSTILE, key=HOSTILE, record=HOSTILE), silent=[HOSTILE])
    ready(page)
    expect(row(page, "onerror").first).to_be_visible()
    assert page.locator("main img").count() == 0


def test_silent_ingests_are_named(web):
    page = mocked(web, made(), silent=["10.0.0.8:8081"], ingests=2)
    expect(page.locator(".notice.warn")).to_contain_text("1 of 2 ingests does not answer")
    expect(page.locator(".notice.warn")).to_contain_text("10.0.0.8:8081")
    expect(row(page, "Made")).to_be_visible()
    page = mocked(web, ingests=0)
    expect(page.locator(".notice.warn")).to_contain_text("No ingest is known")


def test_empty_says_how_to_send_a_first_event(web):
    page = mocked(web)
    expect(page.locator(".notice.empty")).to_contain_text("Waiting for events")
    expect(page.locator(".notice.empty pre")).to_contain_text("/v1/events")
    expect(page.locator("main table")).not_to_be_visible()


def test_reasons_in_words(web):
    cases = {
        "timestamp: \"x\": is not a time": "timestamp \"x\": is not a time",
        "body: malformed JSON at byte 3 of the event: a value is missing": "malformed JSON at byte 3",
        "event_names_max: the project has 10000": "The project has as many event names as it may have",
        "something else": "something else",
    }
    events = [made(reason=reason, time=f"2026-01-31T12:00:0{i}Z", event=f"Case {i}") for i, reason in enumerate(cases)]
    page = mocked(web, *events)
    for i, words in enumerate(cases.values()):
        expect(row(page, f"Case {i}")).to_contain_text(words)


def test_hints_are_for_the_fault_they_explain(web):
    cases = {
        "user_id: field required": "Each event needs user_id",
        "user_id: has 600 bytes; the limit is 512": None,
        "timestamp: \"x\": is not a time": "Send a time such as",
        "timestamp: is more than 24 h ahead of the server's clock": None,
        "body: an event must be an object, not a number": "Each event is one JSON object",
        "body: the body must be a list of events": None,
        "properties: must be at most 256": None,
    }
    events = [made(reason=reason, time=f"2026-01-31T12:00:0{i}Z", event=f"Case {i}") for i, reason in enumerate(cases)]
    page = mocked(web, *events)
    for i, hint in enumerate(cases.values()):
        if hint:
            expect(row(page, f"Case {i}").locator(".hint")).to_contain_text(hint)
        else:
            expect(row(page, f"Case {i}")).to_be_visible()
            expect(row(page, f"Case {i}").locator(".hint")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_long_event_stays_in_view(web, width):
    body = {"events": [made(user_id="u" * 500, record='{"user_id":"' + "u" * 2000 + '"}')], "silent": [], "ingests": 1}
    page = web.open(PATH, width=width, prepare=lambda page: page.route("**/v1/rejected*", answer(200, body)))
    row(page, "Made").get_by_role("button", name="Show").click()
    assert row(page, "Made").bounding_box()["height"] < 200
    assert row(page, "Made").locator(".short").bounding_box()["width"] < 250
    for inner in (row(page, "Made").locator(".reason"), opened(page, "uuu")):
        box = inner.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_a_failing_server_is_shown_and_forgotten(web):
    web.expect_fault("status of 503")
    failing = answer(503, {"type": "urn:sluice:overloaded", "title": "overloaded", "status": 503, "detail": "busy"})
    page = web.open(PATH, prepare=lambda page: page.route("**/v1/rejected*", failing))
    expect(page.locator(".notice.bad")).to_be_visible()
    page.unroute("**/v1/rejected*")
    page.route("**/v1/rejected*", answer(200, {"events": [made()], "silent": [], "ingests": 1}))
    expect(row(page, "Made")).to_be_visible()
