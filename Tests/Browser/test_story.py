"""What an analyst does, from nothing to a file of numbers."""

import csv
import datetime
import io
import os
import re
import time

from playwright.sync_api import expect

from cluster import SHOP

# A factor for slow machines, for example SLUICE_BROWSER_SLACK=4.
SLACK = float(os.environ.get("SLUICE_BROWSER_SLACK", "1"))


def number(text):
    return int(re.sub(r"\D", "", text))


def shown_counts(page):
    expect(page.locator(".step-count").first).not_to_be_empty()
    return [number(text) for text in page.locator(".step-count").all_inner_texts()]


def choose_event(page, step, event):
    box = page.get_by_role("combobox", name=f"Event of step {step}")
    box.fill(event)
    page.get_by_role("option", name=event).first.wait_for()
    box.press("Enter")
    expect(box).to_have_value(event)


def download(page, click):
    with page.expect_download() as found:
        click()
    with open(found.value.path(), encoding="utf-8", newline="") as file:
        return found.value.suggested_filename, list(csv.reader(io.StringIO(file.read())))


def test_from_nothing_to_a_file(cluster, web):
    cluster.delete_funnel("first-try")
    steps = SHOP[:2] + SHOP[3:]
    page = web.open("/")
    page.get_by_role("link", name="New funnel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New funnel")

    # Two steps are there, two are added.
    choose_event(page, 1, steps[0])
    choose_event(page, 2, steps[1])
    for i in (3, 4):
        page.get_by_role("button", name="Add a step").click()
        choose_event(page, i, steps[i - 1])
    definition = {"steps": steps}
    report = cluster.query({"funnel": definition})
    expect(page.locator(".preview-line strong")).to_have_text(f"{report['converted']:,}")
    assert shown_counts(page) == [step["count"] for step in report["steps"]]
    page.get_by_label("Funnel id").fill("first-try")
    page.get_by_role("button", name="Save funnel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("first-try")
    assert [step["count"] for step in report["steps"]] == shown_counts(page)
    saved = cluster.call("GET", f"{cluster.coordinator}/v1/funnels/first-try")
    assert saved["steps"] == steps

    # The address alone restores the page.
    address = page.url
    again = web.open(address.removeprefix(cluster.address))
    assert shown_counts(again) == shown_counts(page)
    again.close()

    # Dates.
    page.get_by_label("Date range").select_option("30d")
    expect(page).to_have_url(re.compile("range=30d"))
    page.get_by_label("Date range").select_option("custom")
    start, end = page.get_by_label("From", exact=True), page.get_by_label("To", exact=True)
    days = {"start": start.input_value(), "end": end.input_value()}
    days["end"] = (datetime.date.fromisoformat(days["end"]) - datetime.timedelta(days=1)).isoformat()
    end.fill(days["end"])
    end.press("Tab")
    expect(page).to_have_url(re.compile(f"end={days['end']}"))
    report = cluster.query({"funnel_id": "first-try", **days})
    expect(page.locator(".step-count").first).to_have_text(f"{report['entered']:,}")
    assert shown_counts(page) == [step["count"] for step in report["steps"]]
    page.go_back()
    page.go_back()
    expect(page.get_by_label("Date range")).to_have_value("30d")

    # Breakdown.
    page.get_by_label("Date range").select_option("all")
    page.get_by_label("Break down by").select_option("device")
    groups = page.get_by_role("table", name="Users by device")
    report = cluster.query({"funnel_id": "first-try", "breakdown": {"property": "device"}})["breakdown"]
    expect(groups.get_by_role("rowheader")).to_have_count(len(report["rows"]))
    first = report["rows"][0]
    expect(groups.get_by_role("row").filter(has_text=str(first["value"]))).to_contain_text(f"{first['entered']:,}")

    # The users who dropped off at the worst step, and one of them.
    report = cluster.query({"funnel_id": "first-try"})
    worst = report["biggest_dropoff"]
    expect(page.locator(".callout")).to_contain_text(f"{worst['step']}")
    page.locator(".callout").get_by_role("button", name="See these users").first.click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_role("tab", selected=True)).to_have_text("Dropped off")
    # The number of those who can still convert depends on the clock.
    lost = rf"{worst['users']:,} users dropped off before this step\. [\d,]+ of them can still convert\."
    expect(panel).to_contain_text(re.compile(lost))
    listed = cluster.query({"funnel_id": "first-try", "step": worst["index"], "outcome": "dropped", "limit": 50}, "/users")["users"]
    expect(panel.locator(".user-list li")).to_have_count(len(listed))
    assert panel.locator(".user-list li").all_inner_texts() == listed
    name, rows = download(page, lambda: panel.get_by_role("button", name="Download the whole list").click())
    assert name.endswith("dropped.csv") and len(rows) == worst["users"] + 1
    panel.get_by_role("link", name=listed[0], exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(listed[0])
    expect(page.get_by_role("heading", level=2).first).to_contain_text("Dropped")
    expect(page.locator(".timeline .stopped")).to_contain_text(worst["step"])
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")

    # A file of the numbers.
    page.get_by_label("Break down by").select_option("")
    expect(page.get_by_role("table", name="Users by device")).to_have_count(0)
    name, rows = download(page, lambda: page.get_by_role("button", name='Download "Numbers by step" as CSV').click())
    assert name == "first-try.csv"
    counts = rows[0].index("Users: Count")
    assert [int(row[counts]) for row in rows[1:]] == [step["count"] for step in report["steps"]]
    with page.expect_download() as picture:
        page.get_by_role("button", name="Download the chart as PNG").click()
    with open(picture.value.path(), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    cluster.delete_funnel("first-try")


def test_every_number_is_the_answer_s(cluster, web):
    page = web.open("/?funnel=shop")
    report = cluster.query({"funnel_id": "shop"})
    assert shown_counts(page) == [step["count"] for step in report["steps"]]
    figures = page.locator(".figure-value").all_inner_texts()
    assert [number(figures[0]), number(figures[1])] == [report["entered"], report["converted"]]
    assert figures[3] == f"{100 * report['conversion']:.1f}%"
    _, rows = download(page, lambda: page.get_by_role("button", name='Download "Numbers by step" as CSV').click())
    head = rows[0]
    for column, field in {
        "Users: Dropped off": "dropoff", "Conversion: From step 1 (fraction)": "conversion_from_first",
        "Conversion: From previous step (fraction)": "conversion_from_previous",
        "Conversion: Finish from here (fraction)": "conversion_rate", "Time from previous step: Median (s)": "median_seconds_from_previous",
        "Time from step 1: Average (s)": "average_seconds", "Time from step 1: 90% within (s)": "p90_seconds",
    }.items():
        shown = [row[head.index(column)] for row in rows[1:]]
        assert [float(text) if text else None for text in shown] == [step[field] for step in report["steps"]], column


def test_an_event_shows_within_two_seconds(cluster, web):
    page = web.open("/?funnel=shop")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    before = shown_counts(page)
    user = f"live-{time.time_ns()}"
    cluster.send([(user, "Visit", 60, {}), (user, "View Product", 30, {})])
    sent = time.monotonic()
    expect(page.locator(".step-count").nth(1)).to_have_text(f"{before[1] + 1:,}", timeout=2000 * SLACK)
    print(f"an event showed after {time.monotonic() - sent:.2f} s")
    assert shown_counts(page)[0] == before[0] + 1
    expect(page.locator("#say")).to_contain_text("converted", timeout=15_000)


def test_compare_and_segments(cluster, web):
    page = web.open("/?funnel=shop&range=7d&compare=1")
    expect(page.get_by_role("columnheader", name="Previous period")).to_be_visible()
    page.get_by_role("button", name="Compare segments").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("phones")
    dialog.get_by_role("button", name="Add a condition").click()
    dialog.get_by_label("Property of condition 1").fill("device")
    dialog.get_by_label("Value of condition 1").fill("mobile")
    dialog.get_by_role("button", name="Apply").click()
    table = page.get_by_role("table", name="Users by segment")
    page.get_by_label("Date range").select_option("all")
    segment = cluster.query({"funnel_id": "shop", "segments": [{"name": "phones", "where": [{"property": "device", "op": "=", "value": "mobile"}]}]})["segments"][0]
    expect(table.get_by_role("row").filter(has_text="phones")).to_contain_text(f"{segment['entered']:,}")


def test_a_planned_split(cluster, web):
    page = web.open("/?page=experiments&funnel=shop&variant=device")
    expect(page.get_by_text("Sample ratio mismatch.")).to_be_visible()
    split = page.get_by_label("Planned split")
    split.fill("40 : 60")
    split.press("Enter")
    expect(page.get_by_text("Split as planned.")).to_be_visible()
    variants = {"property": "device", "expected": {"desktop": 40, "mobile": 60}}
    report = cluster.query({"funnel_id": "shop", "times": "none", "variants": variants})["variants"]
    row = page.get_by_role("table", name="Conversion by variant").get_by_role("row").nth(2)
    expect(row).to_contain_text(f"{report['groups'][1]['entered']:,}")


def test_focus_stays_while_numbers_move(cluster, web):
    page = web.open("/?funnel=shop")
    step = page.locator("[data-step='2']")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    step.focus()
    before = shown_counts(page)
    cluster.send([(f"focus-{time.time_ns()}", "Visit", 60, {})])
    expect(page.locator(".step-count").first).to_have_text(f"{before[0] + 1:,}", timeout=2000 * SLACK)
    expect(step).to_be_focused()
