"""Annotations of trends: added, shown at their point, changed, deleted."""

import datetime
import json
import re

from playwright.sync_api import expect

from answers import answer
from test_files import RECORD
from test_pages import settled

HOSTILE = "<img src=x onerror=alert(1)> \u202eevil"
TRENDS = "/?page=trends&funnel=shop&range=30d"


def day(ago):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=ago)).strftime("%Y-%m-%dT09:00:00Z")


def test_an_annotation_is_added_changed_and_deleted(web, cluster):
    web.expect_fault("422.*/v1/annotations/")
    page = web.open(TRENDS)
    box = page.locator(".card", has=page.get_by_role("heading", name="Annotations"))
    expect(box).to_contain_text("None in this range")
    box.get_by_role("button", name="Add an annotation").click()
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="Save").click()
    expect(form.locator(".field-fault")).to_contain_text("200 bytes")
    form.get_by_label("Text").fill("Release 42")
    form.get_by_label("Time (UTC)").fill(day(2)[:16])
    form.get_by_label("Only for this funnel").check()
    form.get_by_role("button", name="Save").click()
    expect(box.locator("li")).to_contain_text("Release 42")
    saved = cluster.call("GET", cluster.address + "/v1/annotations")["annotations"]
    assert [(one["time"], one["text"], one["funnel_id"]) for one in saved] == [(day(2), "Release 42", "shop")]
    box.get_by_role("button", name="Edit annotation 1").click()
    form.get_by_label("Text").fill("Release 43")
    form.get_by_role("button", name="Save").click()
    expect(box.locator("li")).to_contain_text("Release 43")
    assert cluster.call("GET", cluster.address + "/v1/annotations")["annotations"][0]["id"] == saved[0]["id"]
    box.get_by_role("button", name="Delete annotation 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(box).to_contain_text("None in this range")
    assert cluster.call("GET", cluster.address + "/v1/annotations")["annotations"] == []


def test_marks_are_at_their_points_and_in_pictures(web):
    notes = [{"id": "a", "time": day(9), "text": HOSTILE}, {"id": "b", "time": day(4), "text": "Second"}, {"id": "c", "time": day(4), "text": "Third"}]

    def prepare(page):
        page.add_init_script(RECORD)
        page.route(re.compile("/v1/annotations"), answer(200, {"annotations": notes}))

    page = web.open(TRENDS, prepare=prepare)
    settled(page)
    expect(page.locator(".annotations li")).to_have_count(3)
    assert page.locator("main img").count() == 0
    words = page.evaluate("() => drawn")
    assert "1" in words and "2, 3" in words, words[-40:]
    with page.expect_download():
        page.get_by_role("button", name="Download the chart as PNG").click()
    assert any("2: Second. 3: Third." in word for word in page.evaluate("() => drawn")), json.dumps(page.evaluate("() => drawn"))[-900:]


def test_a_trend_without_annotations_is_whole(web):
    web.expect_fault("503")
    page = web.open(TRENDS, prepare=lambda page: page.route(re.compile("/v1/annotations"), answer(503, {"title": "unavailable"})))
    settled(page)
    expect(page.locator(".chart-box canvas")).to_be_visible()
