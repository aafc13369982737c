"""The page's claims: live or stale numbers, the users they count, errors and their fields."""

import json
import math
import os
import re
import signal

import pytest
from playwright.sync_api import expect

from answers import answer, events, problem
from cluster import SHOP
from test_files import picture
from test_pages import settled
from test_story import choose_event, download

RAW = "no answer from shard-1: shard-1: not connected, waiting to try again: SingleConnectionFailure(target: [IPv4]127.0.0.1:21923)"
PROBLEM = {"type": "urn:sluice:shard_unavailable", "title": "shard unavailable", "status": 503, "detail": RAW, "shards": ["shard-1"]}


def shards(*states):
    return answer(200, {"shards": [{"id": i, "state": state} for i, state in enumerate(states)]})


def definition(path, **more):
    return f"/?page={path}&def=" + json.dumps({"steps": SHOP, "window_duration": "1d", **more})


# Stale and live


@pytest.mark.parametrize("path,place", [("/?funnel=shop", ".figures"), ("/?page=trends&funnel=shop&range=30d", ".card"),
                                        ("/?page=edit&funnel=shop", ".preview .funnel")])
def test_stale_numbers_say_so(cluster, web, path, place):
    body = {"funnel_id": "shop"}
    if "trends" in path:
        body |= {"trend": {"by": "day"}}
    report = cluster.query(body)

    def prepare(page):
        page.route("**/v1/live", events(("report", report), ("problem", PROBLEM)))
        page.route("**/v1/status", shards("ready", "unreachable"))
    page = web.open(path, prepare=prepare)
    mark = page.locator(".live")
    expect(mark).to_have_text(re.compile(r"^Stale since \d\d:\d\d:\d\d$"))
    expect(page.get_by_role("heading", name="Shard 1 does not answer")).to_be_visible()
    expect(page.get_by_text(re.compile(r"The numbers below are from \d\d:\d\d:\d\d\."))).to_be_visible()
    assert page.locator(place).first.evaluate("node => getComputedStyle(node.closest('.figures, .card:not(.preview-card)') ?? node).filter") == "grayscale(1)"
    warn = page.evaluate("() => { const n = document.createElement('i'); n.style.color = 'var(--warn)'; document.body.append(n); return getComputedStyle(n).color; }")
    assert mark.evaluate("node => getComputedStyle(node).color") == warn
    # Internal messages are only shown under Details.
    raw = page.get_by_text("SingleConnectionFailure").first
    expect(raw).not_to_be_visible()
    page.locator(".stale-notice summary").click()
    expect(raw).to_be_visible()
    # They stay open when the stream breaks and fails again.
    with page.expect_request("**/v1/live", timeout=30_000):
        pass
    expect(mark).to_have_text(re.compile(r"^Stale since"))
    expect(raw).to_be_visible()
    # The shards are back.
    page.unroute("**/v1/status")
    page.unroute("**/v1/live")
    expect(mark).to_have_text("Live", timeout=10_000)
    expect(page.locator(".stale-notice, .is-stale")).to_have_count(0)


def test_a_lost_connection_is_told_if_it_lasts(cluster, web):
    web.expect_fault("net::ERR_FAILED")
    report = cluster.query({"funnel_id": "shop"})
    streams = []

    def live(route):
        streams.append(route)
        events(("report", report))(route) if len(streams) == 1 else route.abort()
    page = web.open("/?funnel=shop", prepare=lambda page: page.route("**/v1/live", live))
    mark = page.locator(".live")
    expect(mark).to_have_text("Reconnecting")
    assert page.locator(".stale-notice").count() == 0
    expect(mark).to_have_text(re.compile("^Stale since "))
    expect(page.get_by_role("heading", name="No connection to the server")).to_be_visible()
    page.unroute("**/v1/live")
    expect(mark).to_have_text("Live", timeout=20_000)
    expect(page.locator(".stale-notice, .is-stale")).to_have_count(0)


def test_a_shard_that_hangs(cluster, web):
    """On the real cluster: the awaited shard, the missing users, and the time to recover."""
    web.expect_fault("status of 50[34]")
    shard = cluster.info["shards"][1]["pid"]
    body = json.dumps({"steps": SHOP[:3], "window_duration": "2d"})
    os.kill(shard, signal.SIGSTOP)
    try:
        page = web.open("/?page=funnel&def=" + body)
        expect(page.get_by_text("Waiting for shard 1, which does not answer.")).to_be_visible(timeout=3500)
        page.get_by_role("button", name="Show without shard 1").click(timeout=15_000)
        expect(page.get_by_text("Incomplete.", exact=True)).to_be_visible(timeout=15_000)
        expect(page.locator(".live")).to_have_text("Incomplete")
        times = web.open("/?page=times&partial=1&def=" + body)
        # By now the coordinator knows that the shard hangs.
        expect(times.get_by_text("Incomplete.", exact=True)).to_be_visible(timeout=6000)
    finally:
        os.kill(shard, signal.SIGCONT)
    for shown in (page, times):
        expect(shown.get_by_text("Incomplete.", exact=True)).to_have_count(0, timeout=6000)
    expect(page.locator(".live")).to_have_text("Live")
    whole = cluster.query({"funnel": json.loads(body)})
    expect(page.locator(".step-count").first).to_have_text(f"{whole['entered']:,}")


def test_old_news_of_a_stream_do_not_undo_a_whole_answer(cluster, web):
    """For a while after a shard is back, the stream repeats that it is missing."""
    report = cluster.query({"funnel_id": "shop"})
    partial = {**report, "entered": 1, "completeness": {**report["completeness"], "exact": False, "missing": [1], "shards_answered": 1}}

    def prepare(page):
        page.route("**/v1/live", events(("report", partial)))
    page = web.open("/?funnel=shop&partial=1", prepare=prepare)
    expect(page.get_by_text("Incomplete.", exact=True)).to_be_visible()
    expect(page.locator(".live")).to_have_text("Live", timeout=6000)
    page.wait_for_timeout(2500)
    expect(page.locator(".live")).to_have_text("Live")
    expect(page.get_by_text("Incomplete.", exact=True)).to_have_count(0)


# Errors


@pytest.mark.parametrize("path,call,control", [
    ("/?page=experiments&funnel=shop&variant=device", "query", "Variant property"), ("/?page=paths&funnel=shop", "query/paths", "Path|Users who"),
    ("/?page=times&funnel=shop", "query/times", "From step"), ("/?page=trends&funnel=shop&unit=hour", "live", "Unit of time"),
    ("/?page=users&funnel=shop&user=user-1", "query/explain", "User id"),
])
def test_choosers_stay_above_an_error(web, path, call, control):
    web.expect_fault("status of 422")
    wrong = problem(422, "invalid query", "the document has 1 fault(s)", errors=[{"field": "somewhere", "reason": "is wrong"}])
    page = web.open(path, prepare=lambda page: page.route(f"**/v1/{call}", wrong))
    expect(page.get_by_role("alert")).to_contain_text("somewhere: is wrong")
    chooser = page.get_by_label(re.compile(control)).first
    expect(chooser).to_be_enabled()
    assert chooser.bounding_box()["y"] < page.get_by_role("alert").bounding_box()["y"]
    assert page.locator("main h1").count() == 1


def test_a_property_of_too_many_values_can_be_left(cluster, web):
    web.expect_fault("status of 422")
    cluster.send([(f"arm-{i}", event, 600 - 60 * j, {"wide": f"w{i}", "arm": "ab"[i % 2]}) for i in range(30) for j, event in enumerate(("Arm", "Arm 2"))])
    cluster.put_funnel("arms", {"steps": ["Arm", "Arm 2"]})
    try:
        page = web.open("/?page=experiments&funnel=arms&variant=wide")
        expect(page.get_by_text("“wide” has 30 values; an experiment takes up to 10")).to_be_visible()
        expect(page.get_by_label("Variant property")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("Variant property").select_option("arm")
        expect(page.get_by_role("table", name="Conversion by variant").get_by_role("rowheader")).to_have_text(["a", "b"])
        expect(page.get_by_text("takes up to 10")).to_have_count(0)
        # A plan without one of the variants, from an old link.
        page = web.open("/?page=experiments&funnel=arms&variant=arm&expected=" + json.dumps({"a": 1, "c": 1}))
        expect(page.get_by_text("no share is planned for “b”")).to_be_visible()
        page.get_by_role("button", name="Remove the planned split").click()
        expect(page.get_by_role("table", name="Conversion by variant")).to_be_visible()
        split = page.get_by_label("Planned split")
        split.fill("60")
        split.press("Enter")
        expect(page.get_by_text("Enter a share for each of the 2 variants")).to_be_visible()
    finally:
        cluster.delete_funnel("arms")


def test_reasons_stand_at_their_fields(web):
    web.expect_fault("status of 422")
    page = web.open("/?page=edit&def=" + json.dumps({"steps": ["Visit", {"name": "Purchase", "window_duration": "x"}], "window_duration": "9999d"}))
    for label, reason in {"Conversion window": "1 second to 366 days, in whole seconds", "Must follow the previous step within": "write a time such as 30m, 2h or 7d"}.items():
        control = page.get_by_label(label, exact=True)
        expect(control).to_have_attribute("aria-invalid", "true")
        told = page.locator(f"[id='{control.get_attribute('aria-errormessage')}']")
        expect(told).to_have_text(reason)
        assert told.evaluate("node => node.scrollWidth <= node.clientWidth + 1 && getComputedStyle(node).textOverflow !== 'ellipsis'")
    page.get_by_label("Funnel id").fill("not-saved")
    page.get_by_role("button", name="Save funnel").click()
    expect(page.get_by_text("This funnel can't be saved. Correct the marked fields first.")).to_be_visible()
    page.get_by_label("Funnel id").fill("not saved")
    page.get_by_role("button", name="Save funnel").click()
    expect(page.get_by_label("Funnel id")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Conversion window", exact=True).fill("9")
    page.get_by_label("Must follow the previous step within").fill("2h")
    page.get_by_label("Must follow the previous step within").press("Enter")
    expect(page.locator(".preview-line")).to_be_visible()
    expect(page.locator(".edit-steps [aria-invalid], .edit-steps .field-fault, #setting-window_duration[aria-invalid]")).to_have_count(0)


def test_reasons_stand_at_what_takes_names(web):
    web.expect_fault("status of 422")
    long = "x" * 300
    page = web.open(definition("edit", hold_constant=["country", long], count_by="property:" + long))
    for label, reason in {"Property": "a property name must have 1 to 256 bytes", "Same value in every step": "Same-value property 2: a property name must have 1 to 256 bytes"}.items():
        control = page.get_by_label(label, exact=True)
        expect(control).to_have_attribute("aria-invalid", "true")
        expect(page.locator(f"[id='{control.get_attribute('aria-errormessage')}']")).to_have_text(reason)
    page.get_by_role("button", name=f"Remove {long}").click()
    page.get_by_label("Property", exact=True).fill("country")
    page.get_by_label("Property", exact=True).press("Enter")
    expect(page.locator(".preview-line")).to_be_visible()
    expect(page.locator(".field-fault, [aria-invalid]")).to_have_count(0)
    # More properties than the field accepts.
    page = web.open(definition("edit", hold_constant=["a", "b", "c", "d"]))
    expect(page.locator(".field").filter(has_text="Same value in every step").get_by_role("alert")).to_have_text("must be a list of 1 to 3 properties")


def test_reasons_are_told_in_full(web):
    web.expect_fault("status of 422")
    reason = "is wrong because " + "of a long story " * 12 + "and this end"
    wrong = problem(422, "invalid query", "the document has 1 fault(s)", errors=[{"field": "funnel.steps[1].window_duration", "reason": reason}])
    for width in (360, 1440):
        page = web.open("/?funnel=shop", width=width, prepare=lambda page: page.route("**/v1/live", wrong))
        told = page.get_by_role("alert").get_by_role("listitem")
        expect(told).to_have_text(f"Step 2, time limit: {reason}")
        assert told.evaluate("node => [...node.querySelectorAll('*')].every(n => n.scrollWidth <= n.clientWidth + 1 || getComputedStyle(n).display === 'inline')")
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1


def test_nothing_is_wrong_before_it_is_typed(web):
    page = web.open("/?page=edit&funnel=shop")
    page.get_by_label("Count", exact=True).select_option("property:")
    expect(page.get_by_text("Enter the property whose values are counted.")).to_be_visible()
    page.get_by_label("Property", exact=True).fill("country")
    page.get_by_label("Property", exact=True).press("Enter")
    expect(page.locator(".preview-line")).to_contain_text("country values convert")


def test_a_funnel_that_is_gone(web):
    page = web.open("/?funnel=nope")
    fault = page.get_by_role("alert")
    expect(fault.get_by_role("heading")).to_have_text("There is no funnel “nope”")
    assert fault.inner_text().count("nope") == 1
    again = page.get_by_role("button", name="Open another funnel")
    again.focus()
    page.wait_for_timeout(6000)
    expect(again).to_be_focused()
    again.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("shop")


def test_segments_say_what_they_lack(web):
    page = web.open("/?funnel=shop")
    page.get_by_role("button", name="Compare segments").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog.get_by_role("alert")).to_have_text(["Enter a name for the segment", "Add at least one condition"])
    expect(dialog.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Name").fill("phones")
    dialog.get_by_role("button", name="Add a condition").click()
    dialog.get_by_label("Property of condition 1").fill("device")
    dialog.get_by_label("Comparison of condition 1").select_option("in")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog.get_by_role("alert")).to_have_text(["A condition has no values yet"])
    dialog.get_by_label("Value of condition 1").fill("mobile")
    dialog.get_by_label("Value of condition 1").press("Enter")
    dialog.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("table", name="Users by segment").get_by_role("rowheader")).to_have_text("phones")


# The editor


def test_a_new_funnel_takes_an_exclusion(cluster, web):
    page = web.open("/?page=edit")
    page.get_by_text("More rules").click()
    add = page.get_by_role("button", name="Add an exclusion")
    expect(add).to_be_disabled()
    for i, event in enumerate(SHOP[:2], 1):
        choose_event(page, i, event)
    expect(add).to_be_enabled()
    add.click()
    box = page.get_by_role("combobox", name="Event of exclusion 1")
    box.fill("Purchase")
    box.press("Enter")
    expect(page.locator("pre").last).to_contain_text('"exclude"')
    # The exclusion offers the current steps.
    page.get_by_role("button", name="Add a step").click()
    choose_event(page, 3, SHOP[3])
    expect(page.get_by_label("before", exact=True).locator("option")).to_have_text(["step 2", "step 3"])
    page.get_by_role("button", name="Remove step 3").click()
    page.get_by_role("button", name="Remove step 2").click()
    expect(add).to_be_disabled()


# The words of a report


def rounded(value):
    """With one decimal at most; a half is rounded up, as the page does."""
    return f"{math.floor(10 * value + 0.5) / 10:,.1f}".removesuffix(".0")


def test_a_forecast_rests_on_a_chosen_chance(cluster, web):
    page = web.open(definition("funnel", window_duration="60d"))
    labels = page.locator(".figure dt")
    expect(labels.first).to_be_visible()
    report = cluster.query({"funnel": {"steps": SHOP, "window_duration": "60d"}})
    still = round(2 * (report["expected_conversions"] - report["converted"]))
    assert labels.all_inner_texts() == ["Entered", "Converted", "Still open", "Conversion", "Median time to convert"]
    expect(page.locator(".figure-value").nth(2)).to_have_text(f"{still:,}")
    page = web.open(definition("funnel", window_duration="60d", probability=0.25))
    expect(page.locator(".figure dt").nth(2)).to_have_text("Forecast")
    expect(page.locator(".figure-note").nth(2)).to_have_text(f"if 25% of the {still:,} users still in their window convert")
    expect(page.locator(".figure-value").nth(2)).to_have_text(rounded(report["converted"] + still / 4))
    # The answer contains 5e-05, which keeps its text and is still a number.
    page = web.open(definition("funnel", window_duration="60d", probability=0.00005))
    expect(page.locator(".figure-note").nth(2)).to_have_text(f"if 0.005% of the {still:,} users still in their window convert")


def test_three_readings_of_the_worst_step(cluster, web):
    steps = cluster.query({"funnel_id": "shop"})["steps"]
    most = max(steps[1:], key=lambda step: step["dropoff"])
    largest = max(steps[1:], key=lambda step: step["dropoff"] / steps[step["index"] - 2]["count"])
    slowest = max(steps[1:], key=lambda step: step["median_seconds_from_previous"])

    def way(step):
        return f"{steps[step['index'] - 2]['step']} → {step['step']}. "

    def lost(step):
        before = steps[step["index"] - 2]["count"]
        return f"{way(step)}{step['dropoff']:,} of {before:,} ({100 * step['dropoff'] / before:.1f}%) dropped off."
    page = web.open("/?funnel=shop")
    lines = page.locator(".callout li > span")
    expect(lines.first).to_be_visible()
    assert largest is not most
    assert [re.sub(r"\s+", " ", text) for text in lines.all_inner_texts()][:2] == [f"Most users lost: {lost(most)}", f"Largest share lost: {lost(largest)}"]
    expect(lines.last).to_contain_text(f"Slowest step: {way(slowest)}Median ")
    # Each button opens its step.
    page.get_by_role("button", name=f"See these users, step {largest['index']}").click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("heading", level=2)).to_contain_text(f"Step {largest['index']}")
    expect(panel.get_by_role("tab", selected=True)).to_have_text("Dropped off")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="See times").click()
    expect(page.get_by_label("To step", exact=True)).to_have_value(str(slowest["index"]))


def test_attempts_have_numbers_and_no_list(web):
    page = web.open(definition("funnel", count_by="attempts"))
    expect(page.locator(".callout")).to_contain_text("Most attempts lost")
    page.locator(".callout").get_by_role("button", name="See details").first.click()
    expect(page.get_by_role("dialog").get_by_role("tab")).to_have_text(["Details"])
    expect(page.get_by_role("dialog")).to_contain_text("User lists need a funnel that counts users; this one counts attempts.")


def test_any_order_is_not_named_by_one_step(cluster, web):
    body = {"steps": SHOP[:3], "conversion_order": "any"}
    names = ["Any 1 of 3", "Any 2 of 3", "Any 3 of 3"]
    page = web.open("/?page=funnel&by=device&def=" + json.dumps(body))
    expect(page.locator(".step-name")).to_have_text(names)
    expect(page.locator("[data-step='2']")).to_have_accessible_name(re.compile("^Step 2, Any 2 of 3: "))
    expect(page.locator(".callout")).to_contain_text("→ Any ")
    expect(page.get_by_role("columnheader", name="2. Any 2 of 3")).to_be_visible()
    _, (head, *rows) = download(page, lambda: page.get_by_role("button", name='Download "All users by step" as CSV').click())
    assert [row[head.index("Step")] for row in rows] == names
    page.locator("[data-step='3']").click()
    expect(page.get_by_role("dialog").get_by_role("heading", level=2)).to_have_text("Step 3: Any 3 of 3")
    words, _ = picture(web, "/?page=funnel&def=" + json.dumps(body))
    assert [word for word in words if word[:3] in ("1. ", "2. ", "3. ")] == [f"{i}. {name}" for i, name in enumerate(names, 1)]
    for path in ("trends&range=30d", "times", "paths&from=1&to=2", "edit"):
        page = web.open(f"/?page={path}&def=" + json.dumps(body))
        settled(page)
        expect(page.get_by_text("Any 2 of 3").first).to_be_attached()


# Open users and variants


@pytest.fixture
def opened(cluster):
    report = cluster.query({"funnel_id": "shop"})
    for step, still in zip(report["steps"], (None, 12, 412, 0, 3)):
        step["open"] = still
    return report


def test_who_can_still_convert(opened, web):
    asked = []

    def users(route):
        asked.append(json.loads(route.request.post_data))
        return answer(200, {"users": ["u1"], "next": None})(route)

    def prepare(page):
        page.route("**/v1/live", events(("report", opened)))
        page.route("**/v1/query/users", users)
    page = web.open("/?funnel=shop", prepare=prepare)
    lanes = page.locator(".lane")
    expect(lanes.nth(1)).to_contain_text("412 still open")
    expect(lanes.nth(2)).not_to_contain_text("still open")
    expect(page.locator(".figure-value").nth(2)).to_have_text("427")
    page.locator("[data-step='3']").hover()
    expect(page.get_by_role("tooltip")).to_contain_text("412, can still convert")
    _, (head, *rows) = download(page, lambda: page.get_by_role("button", name='Download "Numbers by step" as CSV').click())
    assert [row[head.index("Users: Still open")] for row in rows] == ["", "12", "412", "0", "3"]
    page.locator("[data-step='3']").click()
    panel = page.get_by_role("dialog")
    panel.get_by_role("tab", name="Dropped off").click()
    lost = opened["steps"][2]["dropoff"]
    expect(panel).to_contain_text(f"{lost:,} users dropped off before this step. 412 of them can still convert.")
    panel.get_by_role("tab", name="Still open").click()
    expect(panel.locator(".user-list li")).to_have_text(["u1"])
    assert (asked[-1]["outcome"], asked[-1]["step"]) == ("open", 3)
    page.keyboard.press("Escape")
    page.locator("[data-step='4']").click()
    expect(page.get_by_role("dialog").get_by_role("tab")).to_have_text(["Reached", "Dropped off", "What they did next", "What predicts it", "Details"])


def test_nothing_of_open_users_where_nothing_is_told(cluster, web):
    page = web.open("/?page=funnel&step=3&tab=dropped&def=" + json.dumps({"steps": SHOP, "window_duration": "1d"}), prepare=lambda page: page.route(
        "**/v1/live", events(("report", {**(report := cluster.query({"funnel_id": "shop"})), "steps": [{**step, "open": None} for step in report["steps"]]}))))
    expect(page.get_by_role("dialog").get_by_role("tab", name="Still open")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("columnheader", name="Still open")).to_have_count(0)
    expect(page.locator(".left-open").first).to_be_empty()


@pytest.mark.parametrize("until", ["2026-12-20T10:00:00Z", None])
def test_until_when_a_user_can_convert(cluster, web, until):
    told = {**cluster.query({"funnel_id": "shop", "user_id": "user-1"}, "/explain"), "open_until": until}
    page = web.open("/?page=users&funnel=shop&user=user-1", prepare=lambda page: page.route("**/v1/query/explain", answer(200, told)))
    settled(page)
    line = page.get_by_text("Still open: can convert until 20 Dec 2026, 10:00")
    expect(line).to_have_count(1 if until else 0)


def test_users_of_several_variants(cluster, web):
    report = cluster.query({"funnel_id": "shop", "times": "none", "variants": {"property": "device"}})
    asked = []

    def query(route):
        variants = json.loads(route.request.post_data)["variants"]
        asked.append(variants)
        rule = variants.get("exposure", "first")
        return answer(200, {**report, "variants": {**report["variants"], "exposure": rule, "several_values": 3}})(route)
    page = web.open("/?page=experiments&funnel=shop&variant=device", prepare=lambda page: page.route("**/v1/query", query))
    expect(page.get_by_text("3 users saw more than one variant. Each is assigned to the first one.")).to_be_visible()
    assert "exposure" not in asked[-1]
    page.get_by_label("Assign users to").select_option("attempt")
    expect(page.get_by_text("3 users saw more than one variant. Each is assigned to the variant of the counted attempt.")).to_be_visible()
    expect(page).to_have_url(re.compile("exposure=attempt"))
    assert asked[-1]["exposure"] == "attempt"
    page.unroute("**/v1/query")
    page.get_by_label("Assign users to").select_option("")
    expect(page.get_by_role("table", name="Conversion by variant")).to_be_visible()
    expect(page.get_by_text("saw more than one variant")).to_have_count(0)


def test_open_users_and_variants_as_the_server_tells_them(cluster, web):
    month = 40 * 86400
    cluster.send([
        ("open-1", "Seen", 600, {"arm": "a"}), ("open-2", "Seen", 700, {"arm": "b"}), ("closed", "Seen", month, {"arm": "a"}),
        ("done", "Seen", 600, {"arm": "a"}), ("done", "Seen", 500, {"arm": "b"}), ("done", "Bought", 400, {}),
    ])
    of = "&def=" + json.dumps({"steps": ["Seen", "Bought"], "window_duration": "30d"})
    page = web.open("/?page=funnel&step=2&tab=dropped" + of)
    settled(page)
    panel = page.get_by_role("dialog")
    expect(panel).to_contain_text("3 users dropped off before this step. 2 of them can still convert.")
    panel.get_by_role("tab", name="Still open").click()
    expect(panel.locator(".user-list li")).to_have_count(2)
    assert sorted(panel.locator(".user-list li").all_inner_texts()) == ["open-1", "open-2"]
    panel.get_by_role("link", name="open-1").click()
    expect(page.locator(".outcome")).to_have_text("Dropped off")
    expect(page.get_by_text("Still open: can convert until")).to_be_visible()
    page = web.open("/?page=users&user=closed" + of)
    settled(page)
    expect(page.locator(".outcome")).to_have_text("Dropped off")
    expect(page.get_by_text("Still open")).to_have_count(0)
    page = web.open("/?page=experiments&variant=arm" + of)
    settled(page)
    rows = page.get_by_role("table", name="Conversion by variant").locator("tbody tr")
    expect(page.get_by_text("1 user saw more than one variant. Each is assigned to the first one.")).to_be_visible()
    assert [row.split()[:3] for row in rows.all_inner_texts()] == [["a", "3", "1"], ["b", "1", "0"]]
    page.get_by_label("Assign users to").select_option("attempt")
    expect(page.get_by_text("Each is assigned to the variant of the counted attempt.")).to_be_visible()
    assert [row.split()[:3] for row in rows.all_inner_texts()] == [["a", "2", "0"], ["b", "2", "1"]]
