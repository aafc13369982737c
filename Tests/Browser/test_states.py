"""States that a healthy cluster does not have, from mocked answers; and saving."""

import json
import re

import pytest
from playwright.sync_api import expect

import rules
from answers import answer, events, problem
from cluster import SHOP


def test_no_events_yet(web):
    def prepare(page):
        page.route("**/v1/funnels", answer(200, {"funnels": []}))
        page.route("**/v1/events?*", answer(200, {"events": [], "total": 0}))
    page = web.open("/", prepare=prepare)
    expect(page.get_by_role("heading", name="No events yet")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("curl -X POST")
    # The first event comes.
    page.unroute("**/v1/events?*")
    page.get_by_role("link", name="Build a funnel").click(timeout=10_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("New funnel")


def test_a_fault_can_be_tried_again(web):
    web.expect_fault("status of 500|status of 503")
    def prepare(page):
        page.route("**/v1/query/times", problem(500, "Internal error", "something broke"))
    page = web.open("/?page=times&funnel=shop", prepare=prepare)
    expect(page.get_by_role("alert")).to_contain_text("Something broke")
    page.unroute("**/v1/query/times")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=2).first).to_contain_text("Time from step 1")


def test_a_missing_shard_is_said(cluster, web):
    web.expect_fault("status of 503")
    report = cluster.query({"funnel_id": "shop"})
    report["completeness"] = {"shards_asked": 2, "shards_answered": 1, "missing": [1], "newest_event": None, "exact": False}

    def live(route):
        if json.loads(route.request.post_data).get("allow_partial"):
            return events(("report", report))(route)
        return problem(503, "Shard unavailable", "shard 1 does not answer", shards=["1"])(route)

    def prepare(page):
        page.route("**/v1/live", live)
        page.route("**/v1/status", answer(200, {"shards": [{"id": 0, "state": "ready"}, {"id": 1, "state": "unreachable"}]}))
    page = web.open("/?funnel=shop", prepare=prepare)
    expect(page.get_by_role("heading", name="Shard 1 does not answer")).to_be_visible()
    page.get_by_role("button", name="Show without shard 1").click()
    expect(page.get_by_text("Incomplete.")).to_be_visible()
    expect(page.get_by_text("1 of 2 shards answered. The users of shard 1 are missing from every number.")).to_be_visible()
    expect(page).to_have_url(re.compile("partial=1"))
    # The stream of this route ends after one report.
    expect(page.locator(".live")).to_have_attribute("data-state", re.compile("partial|reconnecting|stale"))


def test_a_query_at_fault_names_its_field(web):
    web.expect_fault("status of 422")
    page = web.open("/?page=funnel&def=" + json.dumps({"steps": ["Visit", "Purchase"], "window_duration": "oops"}))
    expect(page.get_by_role("alert")).to_contain_text("Conversion window: write a time such as 30m, 2h or 7d")


def test_nobody_entered(web):
    page = web.open("/?funnel=shop&range=custom&start=2001-01-01&end=2001-01-02")
    expect(page.get_by_role("heading", name="Nobody entered this funnel")).to_be_visible()
    page.get_by_role("button", name="Show all time").click()
    expect(page.get_by_role("heading", name="Nobody entered this funnel")).to_have_count(0)
    assert page.locator(".step-count").first.inner_text() != "0"


def test_a_reader_copies_the_link(web):
    def prepare(page):
        page.route("**/v1/session", answer(200, {"keys_needed": True, "signed_in": True, "role": "read", "project": 7}))
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = web.open("/?page=edit&funnel=shop", prepare=prepare)
    save = page.get_by_role("button", name="Save", exact=True)
    expect(save).to_be_disabled()
    expect(save).to_have_accessible_description(re.compile("saving needs an admin key"))
    expect(page.get_by_role("button", name="Delete")).to_be_disabled()
    expect(page.get_by_text("Project 7 · read-only")).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate(rules.STATIC) == []
    assert page.get_by_role("button", name="Sign out").evaluate("node => node.getBoundingClientRect().right") <= 360
    page.get_by_role("button", name="Remove step 5").click()
    expect(page).to_have_url(re.compile("def="))
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == page.url


def test_a_link_that_no_clipboard_takes_is_shown(web):
    def prepare(page):
        page.route("**/v1/session", answer(200, {"keys_needed": True, "signed_in": True, "role": "read", "project": 7}))
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page = web.open("/?page=edit&funnel=shop", prepare=prepare)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("dialog").get_by_label("Link")).to_have_value(page.url)


def test_signing_in(web):
    web.expect_fault("status of 401")
    state = {"keys_needed": True, "signed_in": False, "role": None, "project": None}
    sent = []

    def session(route):
        if route.request.method == "POST":
            sent.append(json.loads(route.request.post_data)["key"])
            if sent[-1] != "right":
                return problem(401, "Unauthorized", "this key is not known")(route)
            state.update(signed_in=True, role="read", project=1)
        return answer(200, state)(route)
    page = web.open("/?funnel=shop", prepare=lambda page: page.route("**/v1/session", session))
    key = page.get_by_label("API key")
    key.fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Unknown key")
    key.fill("right")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("shop")
    assert sent == ["wrong", "right"]
    assert "right" not in page.url
    kept = page.evaluate("() => JSON.stringify([Object.values(localStorage), Object.values(sessionStorage), document.cookie])")
    assert "right" not in kept and "wrong" not in kept


def test_without_the_chart_library(web):
    # The server's answer if the library is not installed.
    def prepare(page):
        page.route(re.compile(r"/assets/\w+/chart\.js$"), answer(200, "", "text/javascript"))
    for path in ("/?page=trends&funnel=shop&range=30d", "/?page=times&funnel=shop"):
        page = web.open(path, prepare=prepare)
        expect(page.get_by_text("Charts need the library Chart.js")).to_be_visible()
        assert page.locator("tbody tr").count() > 3


def test_the_end_of_a_session(cluster, web):
    report = cluster.query({"funnel_id": "shop"})
    body = f"event: report\ndata: {json.dumps(report)}\n\nevent: end\n\n"
    page = web.open("/?funnel=shop", prepare=lambda page: page.route("**/v1/live", answer(200, body, "text/event-stream")))
    expect(page.locator(".live")).to_have_text("Signed out")


def test_steps_move_by_keys_and_buttons(cluster, web):
    page = web.open("/?page=edit&funnel=shop")
    boxes = page.get_by_role("combobox", name=re.compile("Event of step"))
    expect(boxes).to_have_count(len(SHOP))

    def order():
        return [boxes.nth(i).input_value() for i in range(boxes.count())]
    boxes.nth(1).focus()
    page.keyboard.press("Alt+ArrowDown")
    assert order() == [SHOP[0], SHOP[2], SHOP[1], *SHOP[3:]]
    expect(boxes.nth(2)).to_be_focused()
    expect(page.locator("#say")).to_have_text("View Product is now step 3 of 5")
    page.get_by_role("button", name="Move step 3 up").click()
    assert order() == SHOP
    page.get_by_role("button", name="Remove step 5").click()
    assert order() == SHOP[:4]
    # By drag.
    page.locator(".edit-step").nth(0).locator(".grip").drag_to(page.locator(".edit-step").nth(2))
    assert order() == [SHOP[1], SHOP[2], SHOP[0], SHOP[3]]


def test_rules_of_a_funnel_reach_the_server(cluster, web):
    cluster.delete_funnel("rules")
    page = web.open("/?page=edit")
    for i, event in enumerate(SHOP[:3]):
        if i == 2:
            page.get_by_role("button", name="Add a step").click()
        box = page.get_by_role("combobox", name=f"Event of step {i + 1}")
        box.fill(event)
        box.press("Enter")
    step = page.locator(".edit-step").nth(1)
    step.locator("summary").click()
    step.get_by_role("button", name="Add a condition").click()
    step.get_by_label("Property of condition 1").fill("device")
    step.get_by_label("Value of condition 1").fill("mobile")
    step.get_by_label("Optional").check()
    page.get_by_label("Conversion window", exact=True).fill("2")
    page.get_by_label("Order", exact=True).select_option("flexible")
    page.get_by_label("Tolerance").fill("30m")
    page.get_by_text("More rules").click()
    page.get_by_role("button", name="Add an exclusion").click()
    page.get_by_role("combobox", name="Event of exclusion 1").fill("Purchase")
    page.keyboard.press("Enter")
    page.get_by_label("Same value in every step").fill("country")
    page.get_by_label("Funnel id").fill("rules")
    page.get_by_role("button", name="Save funnel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rules")
    saved = cluster.call("GET", f"{cluster.coordinator}/v1/funnels/rules")
    assert saved["steps"][1] == {"name": "View Product", "where": [{"property": "device", "op": "=", "value": "mobile"}], "optional": True}
    assert saved["window_duration"] == "2d" and saved["conversion_order"] == {"flexible": {"limit": "30m"}}
    assert saved["exclude"][0]["events"] == ["Purchase"] and (saved["exclude"][0]["after"], saved["exclude"][0]["before"]) == (1, 3)
    assert saved["hold_constant"] == ["country"]
    cluster.delete_funnel("rules")


def test_conflict_and_delete(cluster, web):
    web.expect_fault("status of 412|status of 409|status of 404")
    cluster.delete_funnel("shared")
    cluster.put_funnel("shared", {"steps": SHOP[:2]})
    page = web.open("/?page=edit&funnel=shared")
    page.get_by_role("button", name="Remove step 2").click()
    cluster.put_funnel("shared", {"steps": SHOP[:3]})
    page.get_by_role("button", name="Save", exact=True).click()
    dialog = page.get_by_role("dialog", name="Changed by someone else")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Load theirs").click()
    expect(page.locator(".edit-step")).to_have_count(3)
    page.get_by_role("button", name="Remove step 1").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shared")
    assert cluster.call("GET", f"{cluster.coordinator}/v1/funnels/shared")["steps"] == SHOP[1:3]
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop")
    names = [funnel["funnel_id"] for funnel in cluster.call("GET", f"{cluster.coordinator}/v1/funnels")["funnels"]]
    assert "shared" not in names


def test_a_hidden_tab_is_paused(web):
    page = web.open("/?funnel=shop")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    hide = """hidden => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    expect(page.locator(".live")).to_have_text("Paused")
    page.evaluate(hide, False)
    expect(page.locator(".live")).to_have_text("Live")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_theme_is_kept(web, theme):
    page = web.open("/", theme="dark" if theme == "light" else "light")
    page.get_by_label("Theme").select_option(theme)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", theme)


def test_lists_are_of_users_only(web):
    page = web.open("/?page=funnel&step=2&def=" + json.dumps({"steps": SHOP[:3], "count_by": "attempts"}))
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("tab")).to_have_text(["Details"])
    expect(panel).to_contain_text("this one counts attempts")


def test_nothing_has_no_bar(cluster, web):
    steps = [SHOP[0], {"name": SHOP[1], "optional": True}, SHOP[2], "never sent"]
    page = web.open("/?page=funnel&def=" + json.dumps({"steps": steps}))
    bars = page.locator(".track .bar")
    expect(bars).to_have_count(4)
    page.wait_for_timeout(600)
    heights = [bars.nth(i).bounding_box()["height"] for i in range(4)]
    report = cluster.query({"funnel": {"steps": steps}})
    whole = heights[0]
    assert [round(height / whole, 2) for height in heights] == [round(step["conversion_from_first"], 2) for step in report["steps"]]
    assert heights[3] == 0


def test_typing_fast_loses_nothing(web):
    page = web.open("/?page=edit")
    page.get_by_role("combobox", name="Event of step 1").focus()
    page.keyboard.type("Visit")
    page.keyboard.press("Enter")
    second = page.get_by_role("combobox", name="Event of step 2")
    second.focus()
    page.keyboard.type("Purchase")
    page.keyboard.press("Tab")
    expect(second).to_have_value("Purchase")
    expect(second).not_to_be_focused()
    expect(page.locator("pre").last).to_contain_text('"Visit",\n    "Purchase"')
