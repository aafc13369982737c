"""Every page, narrow and wide, light and dark: accessibility rules; page weight; hostile names."""

import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import rules

PAGES = {
    "funnel": "/?page=funnel&funnel=shop",
    "breakdown": "/?page=funnel&funnel=shop&by=country",
    "compare": "/?page=funnel&funnel=shop&range=7d&compare=1",
    "step": "/?page=funnel&funnel=shop&step=3",
    "edit": "/?page=edit&funnel=shop",
    "trends": "/?page=trends&funnel=shop&range=30d",
    "times": "/?page=times&funnel=shop",
    "paths": "/?page=paths&funnel=shop&from=3",
    "experiments": "/?page=experiments&funnel=shop&variant=device",
    "pair": "/?page=experiments&funnel=shop&against=shop-3",
    "users": "/?page=users&funnel=shop&user=user-1",
    "overview": "/?page=overview",
    "alerts": "/?page=alerts",
    "channels": "/?page=channels",
    "incoming": "/?page=incoming",
    "status": "/?page=status",
}


def settled(page):
    page.locator("main h1").wait_for()
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.locator("main[aria-busy]")).to_have_count(0)
    expect(page.locator("dialog .bone, dialog [aria-busy]")).to_have_count(0)
    page.wait_for_timeout(250)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_rules(web, name, theme, width):
    page = web.open(PAGES[name], width=width, theme=theme)
    settled(page)
    assert page.evaluate(rules.STATIC) == []
    assert page.evaluate(rules.CONTRAST) == []


@pytest.mark.parametrize("name", PAGES)
def test_axe(web, name):
    # Axe is added to the page as a script, which the page's policy forbids.
    page = web.open(PAGES[name], bypass_csp=True)
    settled(page)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
    assert [(fault["id"], [node["html"][:160] for node in fault["nodes"]][:3]) for fault in found.response["violations"]] == []


@pytest.mark.parametrize("name", [name for name in PAGES if name != "step"])
def test_focus_goes_through(web, name):
    page = web.open(PAGES[name])
    settled(page)
    places, faults = rules.walk(page)
    assert faults == []
    assert places[0]["what"] == "Skip to content"
    assert len(places) > 8


@pytest.mark.parametrize("width,height", [(360, 740), (3840, 2160)])
@pytest.mark.parametrize("name", PAGES)
def test_fits(web, name, width, height):
    page = web.open(PAGES[name], width=width, height=height)
    settled(page)
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1


def test_a_step_by_keys(web):
    page = web.open(PAGES["funnel"])
    step = page.locator("[data-step='3']")
    step.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("tooltip")).to_contain_text("Median")
    expect(page.get_by_role("tooltip").locator("tr").last).not_to_contain_text("…")
    page.keyboard.press("Escape")
    expect(page.get_by_role("tooltip")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    tab = page.get_by_role("tab", selected=True)
    tab.focus()
    first = tab.inner_text()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", selected=True)).not_to_have_text(first)
    expect(page.get_by_role("tab", selected=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(step).to_be_focused()


def test_weight_and_first_render(web):
    sizes = {}
    page = web.open(PAGES["funnel"], prepare=lambda page: page.on("requestfinished", lambda request: sizes.__setitem__(request.url, request.sizes())))
    expect(page.locator(".step-count").first).not_to_be_empty()
    started = page.evaluate("() => performance.getEntriesByType('paint').at(-1).startTime")
    whole = sum(size["responseBodySize"] + size["responseHeadersSize"] for url, size in sizes.items() if "/v1/" not in url)
    hosts = {url.split("/")[2] for url in sizes}
    print(f"{len(sizes)} requests, {whole / 1000:.0f} KB on the wire, first paint after {started:.0f} ms")
    assert whole < 400_000
    assert hosts == {web.address.split("/")[2]}
    # With a warm cache and ten saved funnels, as for an analyst.
    began = time.monotonic()
    page.reload()
    expect(page.locator(".step-count").first).not_to_be_empty()
    print(f"numbers after {1000 * (time.monotonic() - began):.0f} ms, reloaded")


HOSTILE = ["<script>document.title='owned'</script>", "<img src=x onerror=alert(1)>", "🦊🎉 fête", "شراء الآن", "=cmd|' /C calc'!A0", "x" * 256]


def test_names_that_mean_harm(cluster, web):
    user = f"harm-{time.time_ns()}"
    cluster.send([(user, name, 600 - i * 60, {"<b>p</b>": "<i>v</i>"}) for i, name in enumerate(HOSTILE)])
    cluster.put_funnel("harm", {"steps": HOSTILE})
    try:
        for width in (360, 1280):
            page = web.open("/?funnel=harm&step=2", width=width)
            expect(page.get_by_role("dialog")).to_be_visible()
            page.keyboard.press("Escape")
            for i, name in enumerate(HOSTILE):
                expect(page.locator(".step-name").nth(i)).to_have_text(name)
            assert page.title() == "harm · Sluice"
            assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1
            assert page.locator("main script, main img").count() == 0
            # A name that is cut shows in full.
            page.locator("[data-step='6'] .step-name").hover()
            expect(page.get_by_role("tooltip")).to_contain_text("x" * 256)
            for path in ("/?page=paths&funnel=harm", "/?page=edit&funnel=harm", f"/?page=users&funnel=harm&user={user}", "/?page=trends&funnel=harm"):
                page.goto(cluster.address + path)
                settled(page)
                assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1, path
                assert page.locator("main script, main img").count() == 0, path
    finally:
        cluster.delete_funnel("harm")


def test_files_are_safe_for_spreadsheets(web):
    page = web.open("/")
    page.locator("main h1").wait_for()
    text = page.evaluate("""async () => {
      const base = document.querySelector("script[type=module]").src.replace("app.js", "");
      const { csvText } = await import(base + "parts/export.js");
      return csvText([["=1+1", "+x", "-x", "@x", -5, 0.25, null, 'a "b", c', "line\\nline", "ok", "\\n=1", "＝1"]]);
    }""")
    assert text == """"'=1+1","'+x","'-x","'@x",-5,0.25,,"a ""b"", c","line\nline","ok","'\n=1","'＝1"\r\n"""
