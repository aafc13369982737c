"""The pages Overview and Alerts: cards of funnels, rules with their states, and a rule made in the form with its dry run."""

import re

from playwright.sync_api import expect

from answers import answer

HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def state(status="ok", *groups, reason=None):
    return {"status": status, "evaluated_until": "2026-01-31T12:00:00Z", "reason": reason, "groups": list(groups)}


def group(status, text, value=None):
    return {"group": value, "status": status, "since": "2026-01-31T12:00:00Z", "value": 0.2, "baseline": 0.4, "p_value": None, "text": text}


def rule(name, state, **more):
    return {"id": name, "funnel_id": "shop", "metric": {"kind": "conversion", "step": 2, "from": "first"}, "period": "1h", "time_zone": "UTC",
            "condition": {"threshold": {"below": 0.25, "min_sample": 1}}, "channels": [], "state": state, **more}


def mocked(web, path, *rules):
    return web.open(path, prepare=lambda page: page.route("**/v1/alerts", answer(200, {"alerts": list(rules)})))


def test_every_funnel_has_a_card(web, cluster):
    page = web.open("/?page=overview&len=30")
    card = page.locator(".wall-card").first
    expect(card.locator(".wall-figure")).to_have_text(re.compile(r"%|–"))
    expect(card.locator("svg.line, .fine").first).to_be_visible()
    names = {funnel["funnel_id"] for funnel in cluster.call("GET", cluster.address + "/v1/funnels")["funnels"]}
    assert set(page.locator(".wall-card h2").all_inner_texts()) == names
    card.locator("h2 a").click()
    page.locator("main h1").wait_for()
    expect(page).to_have_url(re.compile("page=funnel"))


def test_a_card_says_what_fires(web, cluster):
    name = cluster.call("GET", cluster.address + "/v1/funnels")["funnels"][0]["funnel_id"]
    page = mocked(web, "/?page=overview", rule("low", state("firing", group("firing", "It fell")), funnel_id=name))
    expect(page.locator(".wall-firing .wall-alerts")).to_contain_text("Firing: low")


def test_rules_show_their_states(web):
    rules = (rule("calm", state()), rule("low", state("firing", group("firing", f"It fell {HOSTILE}", '"DE"'))),
             rule("gone", state("invalid", reason="names the funnel shop, which does not exist")))
    page = mocked(web, "/?page=alerts", *rules)
    expect(page.locator("main [role=status]").first).to_have_text("3 rules: 1 not evaluated, 1 firing, 1 ok")
    expect(page.locator(".alert-rule h2")).to_have_text(["gone", "low", "calm"])
    expect(page.locator(".alert-rule", has_text="It fell")).to_contain_text("<img src=x")
    expect(page.locator(".alert-rule").first).to_contain_text("It names the funnel shop, which does not exist.")
    assert page.locator("main img").count() == 0


def test_a_rule_is_made_tried_muted_and_deleted(web, cluster):
    # The rule is not complete until its limit is given.
    web.expect_fault("422.*/v1/alerts/dry-run")
    page = web.open("/?page=alerts")
    page.get_by_role("button", name="New alert rule").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Id", exact=True).fill("made-here")
    box.get_by_label("Id", exact=True).press("Tab")
    box.get_by_label("Fires if it").select_option("threshold")
    box.get_by_label("below", exact=True).fill("0.99")
    box.get_by_label("below", exact=True).press("Tab")
    box.get_by_label("In each").select_option("1d")
    expect(box.locator(".alert-result")).to_contain_text(re.compile("Would have fired .* in (2[89]|3[01]) periods"), timeout=30_000)
    box.get_by_role("button", name="Save").click()
    made = page.locator(".alert-rule", has=page.locator("h2", has_text="made-here"))
    expect(made).to_be_visible()
    saved = cluster.call("GET", cluster.address + "/v1/alerts/made-here")
    assert saved["condition"] == {"threshold": {"below": 0.99, "min_sample": 1}} and saved["period"] == "1d"
    made.get_by_label("Mute made-here").select_option("4")
    expect(made).to_contain_text("muted until")
    made.get_by_role("button", name="Edit").click()
    expect(box.get_by_label("below", exact=True)).to_have_value("0.99")
    box.get_by_role("button", name="Cancel").click()
    made.get_by_role("button", name="History").click()
    expect(made).to_contain_text(re.compile("Nothing happened|Firing"))
    made.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(made).to_have_count(0)


def test_a_rule_with_a_fault_says_which(web):
    page = web.open("/?page=alerts")
    page.get_by_role("button", name="New alert rule").click()
    box = page.get_by_role("dialog")
    web.expect_fault("422")
    box.get_by_label("For at least").fill("soon")
    box.get_by_label("For at least").press("Tab")
    expect(box.locator(".alert-result")).to_contain_text("The rule is not complete")
    box.get_by_label("For at least").fill("2h")
    box.get_by_label("For at least").press("Tab")
    expect(box.locator(".alert-result")).to_contain_text("Would have fired", timeout=30_000)


def test_the_form_keeps_what_it_does_not_show(web, cluster):
    address = cluster.coordinator + "/v1/alerts/by-api"
    made = cluster.call("PUT", address, {
        "funnel_id": "shop", "metric": {"kind": "conversion", "step": "Checkout", "from": "previous"}, "grouping": "together",
        "segment": {"name": "de", "where": [{"property": "country", "op": "=", "value": "DE"}]}, "time_zone": "Europe/Berlin",
        "breakdown": {"property": "device", "touch": "last", "k": 7}, "mute_until": "2099-01-01T00:00:00Z",
        "condition": {"significant_change": {"direction": "up", "level": 0.001, "weeks": 2, "min_sample": 50}}})
    page = web.open("/?page=alerts")
    page.locator(".alert-rule", has_text="by-api").get_by_role("button", name="Edit").click()
    box = page.get_by_role("dialog")
    box.locator("summary", has_text="More").click()
    expect(box.get_by_label("Only with as many users")).to_have_value("50")
    expect(box.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    for label, text in (("Wait for late events", "5m"), ("Cool-down", "4h"), ("Quiet hours from", "22:00"), ("to", "07:00")):
        box.get_by_label(label, exact=True).fill(text)
        box.get_by_label(label, exact=True).press("Tab")
    expect(box.locator("summary", has_text="More")).to_contain_text("late events 5m, cool-down 4h, quiet hours 22:00 to 07:00")
    box.get_by_role("button", name="Save").click()
    expect(box).to_have_count(0)
    changed = {"delay": "5m", "cool_down": "4h", "quiet_hours": {"from": "22:00", "to": "07:00"}}
    saved = cluster.call("GET", address)
    assert {**saved, "state": None} == {**made, **changed, "state": None}
    # A fault is at its field, which is shown.
    web.expect_fault("422")
    page.locator(".alert-rule", has_text="by-api").get_by_role("button", name="Edit").click()
    box.locator("summary", has_text="More").click()
    box.get_by_label("to", exact=True).fill("")
    box.get_by_label("to", exact=True).press("Tab")
    box.locator("summary", has_text="More").click()
    box.get_by_role("button", name="Save").click()
    expect(box.locator(".field-fault")).to_contain_text("is required: a time of day")
    box.get_by_role("button", name="Cancel").click()
    cluster.call("DELETE", address)


def test_limits_are_lines_with_their_values(web):
    page = web.open("/?page=alerts")
    page.get_by_role("button", name="New alert rule").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Fires if it").select_option("threshold")
    for label, text in (("below", "0.1"), ("or above", "0.99")):
        box.get_by_label(label, exact=True).fill(text)
        box.get_by_label(label, exact=True).press("Tab")
    box.get_by_label("In each").select_option("1d")
    expect(box.locator(".limit")).to_have_text(["below 10.0%", "above 99.0%"])
    expect(box.locator("svg.line")).to_have_accessible_name(re.compile("limit below 10.0%, limit above 99.0%"))
    expect(box.locator(".times time")).to_have_text([re.compile(r"^\d+ \w+ \d{4}, \d\d:\d\d$")] * 2)
    lower, upper = [limit.bounding_box()["y"] for limit in box.locator(".limit").all()]
    assert upper < lower


def test_values_that_are_fine_have_a_line(web):
    fine = [{**group("ok", "fine", value), "value": number} for value, number in (('"DE"', 0.3), ('"FR"', 0.5), ("true", 0.4))]
    page = mocked(web, "/?page=alerts", rule("each", state("ok", *fine), breakdown={"property": "country", "touch": "first", "k": 100}),
                  rule("some", state("firing", group("firing", "It fell", '"GB"'), *fine[:1])))
    expect(page.locator(".alert-rule", has_text="each")).to_contain_text("3 values OK: lowest 30.0% (DE), highest 50.0% (FR).")
    expect(page.locator(".alert-rule", has_text="some")).to_contain_text("1 other value OK: 30.0% (DE).")


def test_a_link_leads_to_its_rule(web):
    rules = [rule(f"rule-{i}", state()) for i in range(20)]
    page = mocked(web, "/?page=alerts&rule=rule-17", *rules)
    expect(page.locator(".aimed h2")).to_have_text("rule-17")
    expect(page.locator(".aimed")).to_be_in_viewport()
    expect(page.locator(".aimed h2")).to_be_focused()
    page = mocked(web, "/?page=alerts&rule=gone", *rules)
    expect(page.locator("main .notice")).to_contain_text("There is no alert rule gone")


def test_the_overview_names_every_rule_that_needs_a_look(web, cluster):
    name = cluster.call("GET", cluster.address + "/v1/funnels")["funnels"][0]["funnel_id"]
    rules = (rule("low", state("firing", group("firing", "It fell")), funnel_id=name), rule("bad", state("invalid", reason="names step 9"), funnel_id=name),
             rule("orphan", state("invalid", reason="names the funnel old"), funnel_id="old"))
    page = mocked(web, "/?page=overview", *rules)
    alerts = page.locator(".wall-firing .wall-alerts")
    expect(alerts).to_contain_text("Firing: low")
    expect(alerts).to_contain_text("Not evaluated: bad")
    expect(page.locator("main .strip")).to_have_text("An alert rule watches a funnel that is deleted: orphan.")
    page.locator("main .strip a").click()
    expect(page.locator(".aimed h2")).to_have_text("orphan")
