"""Pictures, CSV files and wide tables contain the numbers of the answer."""

import json
import time

import pytest
from playwright.sync_api import expect

from cluster import SHOP
from test_pages import settled
from test_story import download, number, shown_counts

# Records the texts that are drawn and the size of the picture.
RECORD = """
  globalThis.drawn = [];
  const { fillText } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillText = function (words, ...rest) { drawn.push(words); return fillText.call(this, words, ...rest); };
  const { toBlob } = HTMLCanvasElement.prototype;
  HTMLCanvasElement.prototype.toBlob = function (...rest) { globalThis.size = [this.width, this.height]; return toBlob.apply(this, rest); };
"""


def picture(web, path):
    """`(words, size)` of the PNG that the page makes."""
    page = web.open(path, prepare=lambda page: page.add_init_script(RECORD))
    settled(page)
    page.evaluate("() => { drawn.length = 0; }")
    with page.expect_download() as found:
        page.get_by_role("button", name="Download the chart as PNG").click()
    with open(found.value.path(), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    return page.evaluate("() => drawn"), page.evaluate("() => size")


def said_whole(words, report, unit="users"):
    """Every step with the numbers of the whole, none of them cut."""
    for step in report["steps"]:
        name, count = f"{step['index']}. {step['step']}", f"{step['count']:,} {unit}"
        assert any(word == name for word in words), (name, words)
        assert any(word == count or word.startswith(count + " · ") for word in words), (count, words)
        if step["dropoff"]:
            assert any(f"{step['dropoff']:,}" in word.split() for word in words), (step["dropoff"], words)


def test_a_picture_of_groups_tells_the_whole(cluster, web):
    words, _ = picture(web, "/?funnel=shop&by=country&range=30d")
    report = cluster.query({"funnel_id": "shop", "breakdown": {"property": "country"}, "start": since(29), "end": since(0)})
    said_whole(words, report)
    assert "shop by country" in words
    assert any("5 steps · 1-day window" in word and "last 30 days" in word for word in words), words
    for row in report["breakdown"]["rows"]:
        if row["entered"]:
            assert f"{row['value']}: {row['converted']:,} of {row['entered']:,}, {100 * row['conversion']:.1f}%" in words
            assert f"{row['entered']:,} users" not in words
    assert any(word.startswith("Complete (2 of 2 shards) · calculated ") for word in words), words


def test_a_picture_of_segments_and_of_two_periods(cluster, web):
    where = [{"name": "phones", "where": [{"property": "device", "op": "=", "value": "mobile"}]},
             {"name": "desks", "where": [{"property": "device", "op": "=", "value": "desktop"}]}]
    words, _ = picture(web, "/?funnel=shop&seg=" + json.dumps(where))
    report = cluster.query({"funnel_id": "shop", "segments": where})
    said_whole(words, report)
    phones = report["segments"][0]
    assert f"phones: {phones['converted']:,} of {phones['entered']:,}, {100 * phones['conversion']:.1f}%" in words
    words, _ = picture(web, "/?funnel=shop&range=7d&compare=1")
    report = cluster.query({"funnel_id": "shop", "compare": "previous_period", "start": since(6), "end": since(0)})
    said_whole(words, report)
    before = report["previous"]
    assert f"Previous period: {before['converted']:,} of {before['entered']:,}, {100 * before['conversion']:.1f}%" in words


def since(days):
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400 * days))


def test_a_picture_of_many_steps_is_of_rows(cluster, web):
    definition = {"steps": (SHOP * 12)[:60], "window_duration": "30d"}
    words, (width, height) = picture(web, "/?page=funnel&def=" + json.dumps(definition))
    said_whole(words, cluster.query({"funnel": definition}))
    # Twice the size, for sharp print.
    assert width <= 2 * 1000 and height <= 2 * 64 * 45


def test_a_picture_has_no_loss_at_an_optional_step(web):
    definition = {"steps": [SHOP[0], {"name": SHOP[2], "optional": True}, SHOP[1]]}
    words, _ = picture(web, "/?page=funnel&def=" + json.dumps(definition))
    assert words.count("dropped off") == 1


def test_pictures_of_charts_say_what_they_show(web):
    words, _ = picture(web, "/?page=trends&funnel=shop&range=30d")
    assert "shop: conversion from step 1, by day" in words
    assert any(word.startswith("last 30 days (") for word in words)
    assert [f"{i}. {step}" for i, step in enumerate(SHOP, 1) if i > 1] == [word for word in words if word[0].isdigit() and ". " in word]
    assert "calculated" in " ".join(words)
    words, _ = picture(web, "/?page=times&funnel=shop&from=2&to=4")
    assert "shop: time from step 2 to step 4" in words and "View Product → Checkout · all time" in words


@pytest.fixture(scope="module")
def long_names(cluster):
    step, value = "x" * 256, "y" * 300
    cluster.send([(f"long-{i}", name, 900 - 60 * j, {"long": value + str(i % 3)}) for i in range(12) for j, name in enumerate((step, "Long end"))])
    cluster.put_funnel("long", {"steps": [step, "Long end"]})
    cluster.put_funnel("long-lost", {"steps": [step, "never sent"]})
    yield
    cluster.delete_funnel("long")
    cluster.delete_funnel("long-lost")


# For each table, scrolled to its end: the share and the place of the first column, and the room beside it.
PLACES = """() => [...document.querySelectorAll("main .table-box, dialog .table-box")].map(box => {
  box.scrollLeft = box.scrollWidth;
  const [frame, first] = [box, box.querySelector("tbody th")].map(node => node.getBoundingClientRect());
  const last = box.querySelector("tbody tr").lastElementChild.getBoundingClientRect();
  return { part: first.width / frame.width, left: first.left - frame.left, room: last.right - first.right };
})"""


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("path", [
    "/?page=funnel&funnel=long&by=long", "/?page=paths&funnel=long-lost", "/?page=experiments&funnel=long&variant=long",
    "/?page=experiments&funnel=long&against=long-lost", "/?page=users&funnel=long&user=long-1", "/?page=trends&funnel=long",
])
def test_long_names_leave_room_for_numbers(long_names, web, path, width):
    page = web.open(path, width=width)
    settled(page)
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1
    tables = page.evaluate(PLACES)
    assert tables
    for table in tables:
        assert table["part"] < 0.62, tables
        # The name stays at the edge, and beside it there is room for the last number.
        assert abs(table["left"]) < 1 and table["room"] > 90, tables


def test_the_earlier_period_and_the_change(cluster, web):
    page = web.open("/?funnel=shop&range=7d&compare=1")
    _, (head, *rows) = download(page, lambda: page.get_by_role("button", name='Download "Numbers by step" as CSV').click())
    report = cluster.query({"funnel_id": "shop", "compare": "previous_period", "start": since(6), "end": since(0)})

    def column(name):
        return [float(row[head.index(name)]) for row in rows]
    before, change = report["previous"]["steps"], report["change"]["steps"]
    assert column("Previous period: Users") == [step["count"] for step in before]
    assert column("Previous period: Conversion (fraction)") == [step["conversion_from_first"] for step in before]
    assert column("Change: Users") == [step["count"] for step in change]
    assert column("Change: %") == pytest.approx([100 * (now["count"] / then["count"] - 1) for now, then in zip(report["steps"], before)])
    assert column("Change: Conversion (pp)") == pytest.approx([100 * step["conversion_from_first"] for step in change])
    # The same on the page: the previous period has a share, the change a difference.
    cells = page.get_by_role("table", name="Every step of the funnel").get_by_role("row").nth(4).get_by_role("cell").all_inner_texts()
    assert f"{100 * before[2]['conversion_from_first']:.1f}%" in cells
    assert sum(cell.endswith(" pp") for cell in cells) == 1
    shown = page.locator(".figure-note").first.inner_text()
    assert shown.startswith(("+", "−", "±")) and "vs previous period" in shown


def test_files_have_intervals_and_units(cluster, web):
    page = web.open("/?funnel=shop")
    _, (head, *rows) = download(page, lambda: page.get_by_role("button", name='Download "Numbers by step" as CSV').click())
    report = cluster.query({"funnel_id": "shop"})

    def column(name):
        return [float(row[head.index(name)]) if row[head.index(name)] else None for row in rows]
    for label, key in {"From step 1": "conversion_from_first_ci", "From previous step": "conversion_from_previous_ci",
                       "Finish from here": "conversion_rate_ci"}.items():
        for i, bound in enumerate(("low", "high")):
            # Step 1 is the whole, so it has no interval on the page either.
            expected = [step[key] and step[key][i] for step in report["steps"]]
            assert column(f"Conversion: {label}, {bound} (fraction)")[1:] == expected[1:], (label, bound)
    assert column("Conversion: Drop-off, low (fraction)")[2] == pytest.approx(report["steps"][2]["dropout_rate_ci"][0] / 100)
    assert all(name.endswith("(s)") for name in head if name.startswith("Time from"))
    assert column("Step number") == [1, 2, 3, 4, 5]


def test_files_of_groups_add_up(cluster, web):
    cluster.send([(f"many-{i}", event, 600 - 60 * j, {"shelf": f"s{i % 14}"} if i % 5 else {}) for i in range(70) for j, event in enumerate(("Many", "Many 2")) if i % 3 or not j])
    definition = {"steps": ["Many", "Many 2"]}
    page = web.open("/?page=funnel&by=shelf&k=3&def=" + json.dumps(definition))
    _, (head, *rows) = download(page, lambda: page.get_by_role("button", name='Download "Numbers by shelf" as CSV').click())
    report = cluster.query({"funnel": definition, "breakdown": {"property": "shelf", "k": 3}})
    assert len(rows) == 5 and "11 other values" in rows[-1][0] and report["breakdown"]["other"]["values"] == 11
    for name, whole in {"Whole funnel: Entered": report["entered"], "Whole funnel: Converted": report["converted"],
                        "2. Many 2: Users": report["steps"][1]["count"], "2. Many 2: Dropped off": report["steps"][1]["dropoff"]}.items():
        assert sum(int(row[head.index(name)]) for row in rows) == whole, name
    assert [float(row[head.index("Whole funnel: Conversion, low (fraction)")]) for row in rows[:3]] == [row["conversion_ci"][0] for row in report["breakdown"]["rows"][:3]]


def test_an_optional_step_loses_nobody(web):
    definition = {"steps": [SHOP[0], {"name": SHOP[2], "optional": True}, SHOP[1]]}
    page = web.open("/?page=funnel&def=" + json.dumps(definition))
    first = shown_counts(page)[0]
    table = page.get_by_role("table", name="Every step of the funnel")
    heads = table.get_by_role("columnheader").all_inner_texts()
    heads = heads[heads.index("Step"):]
    cells = table.get_by_role("row").filter(has_text="Add to Cart").get_by_role("cell").all_inner_texts()
    assert [cells[heads.index(name) - 1] for name in ("Dropped off", "Drop-off")] == ["–", "–"]
    _, (head, *rows) = download(page, lambda: page.get_by_role("button", name='Download "Numbers by step" as CSV').click())
    assert [rows[1][head.index(name)] for name in ("Users: Dropped off", "Conversion: Drop-off (fraction)")] == ["", ""]
    assert first == number(rows[0][head.index("Users: Count")])
    expect(page.locator(".step").nth(1).locator(".lane")).to_contain_text("optional")
