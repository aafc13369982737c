"""The editor of a funnel: the event picker, names that were never received, accessibility."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import rules
from answers import answer
from test_values import event, run, send


def test_user_properties_are_offered(cluster, web):
    send(cluster, [event("plan-1", "planned"), '{"user_id":"plan-1","event":"$identify","timestamp":"2026-01-01T09:00:00Z","properties":{"plan":"1","seats":5}}'])
    page = web.open("/?page=edit&def=" + json.dumps({"steps": ["planned"]}))
    page.locator(".edit-step summary").first.click()
    page.get_by_role("button", name="Add a condition").first.click()
    names = page.get_by_label("Property of condition 1")
    offered = page.locator(f"datalist#{names.get_attribute('list')} option")
    expect(offered.and_(page.locator("[value='user.plan']"))).to_have_count(1)
    names.fill("user.plan")
    names.press("Tab")
    field = page.get_by_label("Value of condition 1")
    expect(page.locator(f"datalist#{field.get_attribute('list')} option")).to_have_attribute("value", '"1"')
    expect(page.locator(".condition .tag")).to_be_hidden()
    field.fill("1")
    field.press("Tab")
    expect(page.locator(".preview-line strong")).to_have_text("1")
    names.fill("user.never")
    names.press("Tab")
    expect(page.locator(".condition .tag")).to_have_text("never received")


def test_what_was_never_received_is_marked(cluster, web):
    where = [{"property": "device", "op": "=", "value": "mobile"}, {"property": "devise", "op": "exists"}]
    steps = [{"name": "Visit", "where": where}, "Vizit", {"name": "Either", "events": ["Purchase", "Purchased"]}, "Joined"]
    page = web.open("/?page=edit&def=" + json.dumps({"steps": steps, "event_types": {"Checkout": "Joined"}}))
    heads = page.locator(".edit-step-head")
    expect(heads.nth(1).get_by_text("never received")).to_be_visible()
    for i in (0, 2, 3):
        expect(heads.nth(i).get_by_text("never received")).to_be_hidden()
    page.locator(".edit-step summary").nth(0).click()
    rows = page.locator(".condition")
    expect(rows.nth(1).get_by_text("never received")).to_be_visible()
    expect(rows.nth(0).get_by_text("never received")).to_be_hidden()
    page.locator(".edit-step summary").nth(2).click()
    expect(page.locator(".chip", has_text="Purchased").get_by_text("never received")).to_be_visible()
    expect(page.locator(".chip").filter(has_text=re.compile("^Purchase(never received)?$")).get_by_text("never received")).to_be_hidden()
    box = page.get_by_role("combobox", name="Event of step 2")
    box.fill("Checkout")
    box.press("Tab")
    expect(heads.nth(1).get_by_text("never received")).to_be_hidden()
    between = {"after": 1, "before": 2}
    excluded = {"exclude": [{"events": ["Purchased", "Purchase"], **between}, {"events": ["*"], **between}]}
    page = web.open("/?page=edit&def=" + json.dumps({"steps": ["Visit", "Checkout"], **excluded}))
    page.get_by_text("More rules").click()
    chips = page.get_by_role("group", name="Exclusion 1").locator(".chip")
    expect(chips.nth(0).get_by_text("never received")).to_be_visible()
    expect(chips.nth(1).get_by_text("never received")).to_be_hidden()
    any_event = page.get_by_role("group", name="Exclusion 2").locator(".chip")
    expect(any_event).to_have_count(1)
    expect(any_event.get_by_text("never received")).to_be_hidden()


def test_the_picker_takes_what_it_marks(cluster, web):
    page = web.open("/?page=edit")
    box = page.get_by_role("combobox", name="Event of step 1")
    options = page.get_by_role("listbox", name="Events").get_by_role("option")
    shown = page.locator("pre").last
    for leave in ("Tab", "Enter"):
        box.fill("visi")
        expect(options.first).to_have_attribute("aria-selected", "true")
        box.press(leave)
        expect(box).to_have_value("Visit")
        # The list does not open after a choice, nor when the page sets the focus.
        page.wait_for_timeout(200)
        expect(options).to_have_count(0)
        assert '"visi"' not in shown.inner_text()
        box.fill("Purchase")
        box.press("Enter")
        expect(shown).to_contain_text('"Purchase"')
    box.press("ArrowDown")
    box.press("ArrowDown")
    marked = page.locator("[role=option][aria-selected=true] .name").inner_text()
    box.press("Tab")
    expect(box).to_have_value(marked)
    # Before the list has loaded.
    box.select_text()
    page.keyboard.type("visi")
    page.keyboard.press("Tab")
    expect(box).to_have_value("Visit")
    # A name that was never received is picked only by its own entry.
    for leave in ("Tab", "Enter"):
        box.fill("zzz visi")
        box.press(leave)
        page.wait_for_timeout(200)
        assert "zzz" not in shown.inner_text()
        if leave == "Tab":
            expect(box).to_have_value("Visit")
            expect(page.locator("#say")).to_contain_text("never received")
    expect(options).to_have_text(['Use "zzz visi" (never received)'])
    box.press("ArrowDown")
    box.press("Enter")
    expect(shown).to_contain_text('"zzz visi"')
    expect(page.locator(".edit-step-head").first.get_by_text("never received")).to_be_visible()
    box.fill("vis")
    page.get_by_role("option", name='Use "vis" (never received)').click()
    expect(shown).to_contain_text('"vis"')
    expect(options).to_have_count(0)


def test_the_picker_finds_words_in_any_order(web):
    names = [f"feature_{i:04}.{verb}" for i in range(560) for verb in ("clicked", "shown")]
    listed = {"events": [{"event": name, "rows": 5, "first": "2026-01-01T00:00:00Z", "last": "2026-01-01T00:00:00Z"} for name in names],
              "total": len(names), "completeness": {"exact": True}}
    page = web.open("/?page=edit", prepare=lambda page: page.route("**/v1/events?*", answer(200, listed)))
    box = page.get_by_role("combobox", name="Event of step 1")
    options = page.get_by_role("listbox", name="Events").get_by_role("option")
    box.click()
    expect(options).to_have_count(61)
    expect(options.last).to_have_text("1,060 more: type to narrow")
    box.fill("clicked 0001 feature")
    expect(options).to_have_text(["feature_0001.clicked5", 'Use "clicked 0001 feature" (never received)'])
    box.fill("clicked feature")
    expect(options.first).to_contain_text("feature_0000.clicked")
    expect(options.last).to_have_text("500 more: type to narrow")
    box.press("ArrowUp")
    expect(page.locator("[role=option][aria-selected=true]")).to_have_text('Use "clicked feature" (never received)')
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("feature_0000.clicked")
    # An exact match comes before longer names.
    box.fill("FEATURE_0003.shown")
    box.press("Enter")
    expect(box).to_have_value("feature_0003.shown")


@pytest.mark.parametrize("theme,width", [("light", 1440), ("dark", 360)])
def test_editors_of_values_can_be_used_by_all(web, theme, width):
    where = [{"property": "device", "op": "=", "value": 7}, {"property": "device", "op": "in", "value": ["a, b", "7", 7, "x" * 256]}, {"property": "devise", "op": "exists"}]
    definition = {"steps": [{"name": "Visit", "where": where}, "Vizit"], "hold_constant": ["a, b"],
                  "exclude": [{"events": ["Purchased"], "after": 1, "before": 2}]}
    page = web.open("/?page=edit&def=" + json.dumps(definition), width=width, theme=theme, bypass_csp=True)
    page.locator(".edit-step summary").first.click()
    page.get_by_text("More rules").click()
    expect(page.locator(".tag.warn:visible")).to_have_count(3)
    assert page.evaluate(rules.STATIC) == []
    assert page.evaluate(rules.CONTRAST) == []
    assert rules.walk(page)[1] == []
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    assert [(fault["id"], [node["html"][:160] for node in fault["nodes"]][:3]) for fault in found.response["violations"]] == []


def test_words_are_not_cut_off_by_numbers(web):
    page = web.open("/?page=status")
    said = run(page, """
      const { say, sayNowAndThen } = await load("parts/announce.js");
      const place = document.getElementById("say");
      const after = async milliseconds => { await new Promise(done => setTimeout(done, milliseconds)); return place.textContent; };
      sayNowAndThen("numbers", 0);
      say("moved");
      const said = [await after(1000)];
      sayNowAndThen("more numbers", 0);
      return [...said, await after(1000), await after(2000)];
    """)
    assert said == ["moved", "moved", "more numbers"]
