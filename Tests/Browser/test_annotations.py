"""Annotations: marks on charts over time and the lists below them; one added, changed and deleted on the page Trends."""

import datetime
import re

import pytest
from playwright.sync_api import expect

import rules
from answers import answer, problem
from test_files import picture
from test_pages import settled

TRENDS = "/?page=trends&funnel=shop&range=30d"
HOSTILE = "<img src=x onerror=alert(1)>"


def ago(days, hour=12):
    day = datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=days)
    return f"{day}T{hour:02}:00:00Z"


@pytest.fixture
def saved(cluster):
    """Saves annotations; the test's own are deleted after it."""
    address = cluster.address + "/v1/annotations"

    def save(name, text, start, **more):
        return cluster.call("PUT", f"{address}/{name}", {"text": text, "start": start, **more})

    def listed():
        return cluster.call("GET", address)["annotations"]
    save.listed = listed
    yield save
    for one in listed():
        cluster.call("DELETE", f"{address}/{one['id']}")


@pytest.fixture
def several(saved):
    saved("release", "Release 41", ago(20))
    saved("campaign", "Campaign", ago(12), end=ago(8))
    saved("release-2", f"Release 42 {HOSTILE}", ago(11), funnel_id="shop")
    saved("other", "Of another funnel", ago(5), funnel_id="shop-1")
    saved("old", "Before the chart", ago(90))
    saved("ahead", "After the chart", ago(-40))


def rows(page):
    return page.locator(".annotations li")


def test_marks_are_over_their_points(web, several):
    page = web.open(TRENDS)
    settled(page)
    expect(rows(page)).to_have_count(3)
    expect(rows(page).nth(1)).to_contain_text(re.compile(r"^2.*, 12:00 to .*, 12:00: Campaign"))
    expect(rows(page).nth(2)).to_contain_text(HOSTILE)
    expect(rows(page).nth(2)).to_contain_text("this funnel only")
    # Those of two days in a row share a button.
    expect(page.locator("button.chart-mark")).to_have_text(["1", "2–3"])
    where = page.evaluate("""() => {
        const chart = Chart.getChart(document.querySelector(".chart-box canvas"));
        const left = document.querySelector("button.chart-mark").style.getPropertyValue("--at");
        return [parseInt(left), Math.round(chart.scales.x.getPixelForValue(chart.data.labels.length - 1 - 20))];
    }""")
    assert where[0] == where[1]
    assert page.locator("main img").count() == 0


def test_a_mark_by_keys(web, several):
    page = web.open(TRENDS)
    settled(page)
    mark = page.get_by_role("button", name=re.compile("^Annotation 1, .*: Release 41$"))
    page.get_by_role("checkbox", name="Purchase").focus()
    page.keyboard.press("Tab")
    expect(mark).to_be_focused()
    expect(page.locator(".tip")).to_contain_text("Release 41")
    page.keyboard.press("Enter")
    expect(rows(page).first).to_be_focused()


def test_marks_that_would_overlap_share_a_button(web, saved):
    for i in range(4):
        saved(f"r{i}", f"Release {i}", ago(15, 8 + i))
    page = web.open(TRENDS, width=360)
    settled(page)
    mark = page.locator("button.chart-mark")
    expect(mark).to_have_text("1–4")
    expect(mark).to_have_accessible_name(re.compile("Release 0; 2, .*Release 3$"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("path", [TRENDS, "/?page=overview"])
def test_rules(web, several, saved, path, width, theme):
    saved("long", "x" * 200, ago(2), funnel_id="shop")
    page = web.open(path, width=width, theme=theme)
    settled(page)
    expect(rows(page).first).to_be_visible()
    assert page.evaluate(rules.STATIC) == []
    assert page.evaluate(rules.CONTRAST) == []
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1
    _, faults = rules.walk(page)
    assert faults == []


def test_a_live_report_leaves_the_focus_in_the_list(web, cluster, saved):
    saved("r", "Release 1", ago(3))
    page = web.open(TRENDS)
    settled(page)
    edit = page.get_by_role("button", name="Edit Release 1")
    edit.focus()
    before = page.locator("tbody tr").first.inner_text()
    # With a country, as all users of the funnel have one.
    cluster.send([("live-annotation", "Visit", 1, {"country": "DE", "device": "mobile"})])
    expect(page.locator("tbody tr").first).not_to_have_text(before, use_inner_text=True)
    expect(edit).to_be_focused()


def test_one_is_added_changed_and_deleted(web, saved):
    page = web.open(TRENDS + "&tz=Asia/Kolkata")
    settled(page)
    page.get_by_role("button", name="Add annotation").click()
    box = page.get_by_role("dialog")
    expect(box.get_by_label("Text")).to_be_focused()
    day = ago(3)[:10]
    box.get_by_label("Text").fill(f"Release 43 {HOSTILE}")
    box.get_by_label("From (Asia/Kolkata)").fill(f"{day}T17:30")
    box.get_by_role("button", name="Save").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text(f"17:30: Release 43 {HOSTILE}")
    (one,) = saved.listed()
    assert one == {"id": one["id"], "text": f"Release 43 {HOSTILE}", "start": one["start"]}
    assert one["start"].startswith(f"{day}T12:00:00")

    # Of a time that was not changed, the seconds stay.
    saved(one["id"], "Release 43", f"{day}T12:00:07Z")
    page.get_by_role("button", name=re.compile("^Edit Release 43")).click()
    expect(box.get_by_label("Text")).to_have_value("Release 43")
    box.get_by_label("Text").fill("Release 43.1")
    box.get_by_label("To (Asia/Kolkata), optional").fill(f"{day}T18:00")
    box.get_by_label("Shown on").select_option("shop")
    box.get_by_label("Text").press("Enter")
    expect(rows(page)).to_contain_text("Release 43.1 this funnel only")
    (one,) = saved.listed()
    assert one["start"] == f"{day}T12:00:07Z" and one["end"].startswith(f"{day}T12:30:00") and one["funnel_id"] == "shop"

    page.get_by_role("button", name="Delete Release 43.1").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(rows(page)).to_have_count(0)
    expect(page.locator("button.chart-mark")).to_have_count(0)
    assert saved.listed() == []


def test_a_fault_is_at_its_field(web, saved):
    web.expect_fault("422")
    page = web.open(TRENDS)
    page.get_by_role("button", name="Add annotation").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Text").fill("Outage")
    box.get_by_label("From (UTC)").fill(f"{ago(3)[:10]}T12:00")
    box.get_by_label("To (UTC), optional").fill(f"{ago(3)[:10]}T11:00")
    box.get_by_role("button", name="Save").click()
    expect(box.locator(".field-fault")).to_have_text("is before start")
    expect(box.get_by_label("To (UTC), optional")).to_have_attribute("aria-invalid", "true")
    assert saved.listed() == []


def test_a_change_by_somebody_else_is_kept(web, saved):
    web.expect_fault("412")
    saved("r", "Release 1", ago(3))
    page = web.open(TRENDS)
    page.get_by_role("button", name="Edit Release 1").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Text").fill("Mine")
    saved("r", "Theirs", ago(3))
    box.get_by_role("button", name="Save").click()
    expect(box.get_by_role("alert")).to_contain_text("The annotation is at revision")
    assert [one["text"] for one in saved.listed()] == ["Theirs"]


def test_a_read_key_sees_and_does_not_change(web, saved):
    session = {"keys_needed": True, "signed_in": True, "role": "read", "project": 7}

    def prepare(page):
        page.route("**/v1/session", answer(200, session))
    page = web.open(TRENDS, prepare=prepare)
    settled(page)
    expect(page.get_by_role("heading", name="Annotations")).to_have_count(0)
    saved("r", "Release 1", ago(3))
    page.reload()
    expect(rows(page)).to_contain_text("Release 1")
    expect(rows(page).get_by_role("button")).to_have_count(0)
    expect(page.get_by_role("button", name="Add annotation")).to_have_count(0)


def test_the_chart_does_not_need_them(web):
    web.expect_fault("503")
    page = web.open(TRENDS, prepare=lambda page: page.route("**/v1/annotations", problem(503, "storage failed", "the disk is full")))
    settled(page)
    expect(page.locator(".chart-box canvas")).to_be_visible()
    expect(page.get_by_role("region", name="Annotations")).to_contain_text("They can't be read now: the disk is full")


def test_a_picture_names_them(web, several):
    words, _ = picture(web, TRENDS)
    assert "(1)" in " ".join(words) and "Release 41;" in " ".join(words)


def test_other_charts_show_them(web, several):
    page = web.open("/?page=overview")
    card = page.locator(".wall-card", has=page.locator("h2", has_text=re.compile("^shop$")))
    expect(card.locator("svg.line .annotation")).to_have_count(3)
    expect(card.locator("svg.line")).to_have_accessible_name(re.compile("Release 41"))
    expect(page.get_by_role("region", name="Annotations of the last 30 days").locator("li")).to_have_count(4)
    page = web.open("/?page=alerts")
    page.get_by_role("button", name="New alert rule").click()
    box = page.get_by_role("dialog")
    box.get_by_label("In each").select_option("1d")
    box.get_by_label("Funnel").select_option("shop")
    expect(box.locator(".alert-result svg.line .annotation")).to_have_count(3)
    expect(box.locator(".alert-result .annotations")).to_contain_text("Release 41")
