"""Values stay exact from end to end: in the store, on the page, in suggestions, queries, saved funnels and the address."""

import csv
import io
import json
import os
import re
import urllib.request

import pytest
from playwright.sync_api import expect

from scalars import key, scalars

SOURCES = os.path.join(os.path.dirname(__file__), "../../Sources/Dashboard")
COMPARISONS = ["=", "!=", "in", "not_in", "contains", "starts_with", ">", ">=", "<", "<=", "exists", "not_exists"]
# Without it, the page uses its own JSON reader.
WITHOUT_SOURCES = "delete JSON.rawJSON"
IMPORT = """
const base = document.querySelector("script[type=module]").src.replace("app.js", "");
const load = path => import(base + path);
"""


def run(page, body, argument=None):
    return page.evaluate(f"async argument => {{ {IMPORT} {body} }}", argument)


def send(cluster, rows):
    """Sends events given as JSON texts, so that numbers keep their text."""
    request = urllib.request.Request(cluster.ingest + "/v1/events", f"[{','.join(rows)}]".encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert json.load(reply)["rejected"] == []


def event(user, name, value=None, at="2026-01-01T10:00:00Z"):
    properties = "{}" if value is None else f'{{"value":{value}}}'
    return f'{{"user_id":{json.dumps(user)},"event":{json.dumps(name)},"timestamp":"{at}","properties":{properties}}}'


@pytest.fixture(scope="module")
def thousand(cluster):
    """For each value, a user who did the event `values`."""
    texts = scalars(1000)
    send(cluster, [event(f"value-{i:03}", "values", text) for i, text in enumerate(texts)])
    return texts


@pytest.fixture(params=[None, WITHOUT_SOURCES], ids=["native", "fallback"])
def opened(request, web):
    """Opens pages in a browser that gives the source text of numbers, and in one that does not."""
    def open_page(path, **options):
        prepare = options.pop("prepare", None)

        def both(page):
            if request.param:
                page.add_init_script(request.param)
            if prepare:
                prepare(page)
        return web.open(path, prepare=both, **options)
    return open_page


def test_json_without_loss(opened):
    texts = scalars(1000)
    whole = "[" + ",".join(texts) + "]"
    nested = '{"a":{"b":[1.0,{"c":-0}],"n1":"n1","__proto__":{"x":1e2},"\\"":"s"},"e":{},"l":[],"n":null}'
    page = opened("/?page=status")
    found = run(page, """
      const { parse, stringify, copy, isSame, ExactNumber } = await load("state/json.js");
      const bad = ["", "{", "[1,]", "01", "1.", "nul", "'a'", "[1}", "\\"\\n\\"", "1 2", "{a:1}", "-", "+1", "NaN"].filter(text => {
        try { parse(text); return true; } catch { return false; }
      });
      const plain = ["0", "1", "-5", "0.5", "9007199254740991", "1e+21", "0.1"].filter(text => typeof parse(text) !== "number");
      const proto = parse(argument.nested);
      return {
        texts: argument.texts.filter(text => stringify(parse(text)) !== text || stringify(copy(parse(text))) !== text
          || (text.startsWith('"') && parse(text) !== JSON.parse(text))),
        whole: stringify(copy(parse(argument.whole))) === argument.whole,
        nested: stringify(parse(argument.nested)), indented: stringify(parse(argument.nested), 2), bad, plain,
        polluted: ({}).x !== undefined || Object.getPrototypeOf(proto.a) !== Object.prototype,
        same: [isSame(parse("1"), parse("1.0")), isSame(parse("1.0"), parse("1.0")), isSame(1, "1"), isSame(parse("76561198275305775"), parse("76561198275305776"))],
        calculates: [parse("9e-05") * 2, parse("9e-05") < 0.001, Math.max(parse("1e2"), 3), parse("1e2") + 1, `${parse("1e2")}`, parse("1.0").toFixed(2)],
        none: stringify(undefined), exact: parse("1.0") instanceof ExactNumber,
      };""", {"texts": texts, "whole": whole, "nested": nested})
    assert found["texts"] == [] and found["whole"] and found["bad"] == [] and found["plain"] == []
    assert found["nested"] == nested and json.loads(found["indented"]) == json.loads(nested) and '"b": [\n      1.0,\n' in found["indented"]
    assert not found["polluted"] and found["exact"] and found.get("none") is None
    assert found["same"] == [False, True, False, False]
    assert found["calculates"] == [0.00018, True, 100, 101, "1e2", "1.00"]


def test_nothing_else_reads_or_writes_json():
    found = []
    for directory, _, files in os.walk(SOURCES):
        for file in files:
            path = os.path.relpath(os.path.join(directory, file), SOURCES)
            if file.endswith(".js") and path != "state/json.js":
                with open(os.path.join(directory, file), encoding="utf-8") as source:
                    found += [f"{path}: {use}" for use in re.findall(r"\bJSON\.\w+|structuredClone|\.json\(\)", source.read())]
    assert found == []


def test_conditions_show_and_read_back(opened, request):
    page = opened("/?page=status")
    texts = scalars(1000 if "native" in request.node.name else 200)
    faults = run(page, """
      const [{ parse, stringify }, { conditionsEditor }] = [await load("state/json.js"), await load("parts/conditions.js")];
      const faults = [];
      const fire = (node, type) => node.dispatchEvent(new Event(type, { bubbles: true }));
      const open = (op, value) => {
        const list = [value === undefined ? { property: "unheard", op } : { property: "unheard", op, value }];
        const node = conditionsEditor(list, () => {});
        return { condition: list[0], node, field: node.querySelector("[aria-label='Value of condition 1']"), mark: node.querySelector(".kind") };
      };
      const enter = ({ field, mark }, text, kind) => {
        field.value = text;
        fire(field, "input");
        if (mark && kind !== mark.value) { mark.value = kind; fire(mark, "change"); }
        fire(field, "change");
      };
      const press = (field, key) => field.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      // What is typed is typed into the same editor, one after the other.
      const typedInto = Object.fromEntries(argument.comparisons.map(op => [op, open(op, op === "in" || op === "not_in" ? [] : "")]));
      for (const text of argument.texts) {
        const value = parse(text);
        const kind = typeof value === "string" ? "text" : typeof value === "boolean" ? "boolean" : "number";
        for (const op of argument.comparisons) {
          const isList = op === "in" || op === "not_in";
          const told = what => faults.push([what, op, text]);
          const takes = op.endsWith("exists") ? [] : op.endsWith("s") || op === "starts_with" ? ["text"]
            : /[<>]/.test(op) ? ["text", "number"] : ["text", "number", "boolean"];
          const before = stringify(op.endsWith("exists") ? undefined : isList ? [value] : value);
          const first = open(op, op.endsWith("exists") ? undefined : isList ? [value] : value);
          if (stringify(first.condition.value) !== before) told("changed when it was shown");
          if (!takes.includes(kind)) continue;
          const second = typedInto[op];
          if (isList) {
            const shown = first.node.querySelector(".chip .name").textContent;
            second.field.value = shown;
            fire(second.field, "input");
            press(second.field, "Enter");
          } else {
            const [shown, mark] = [first.field.value, first.mark?.value];
            if (mark && mark !== kind) told("shown as " + mark);
            fire(first.field, "input");
            fire(first.field, "change");
            if (stringify(first.condition.value) !== before && kind === "text" && first.mark && first.mark.value !== "text") {
              // Edited, what reads as a number is taken as one unless it is marked.
              first.mark.value = "text";
              fire(first.mark, "change");
            }
            if (stringify(first.condition.value) !== before) told("changed by a visit");
            enter(second, shown, mark);
          }
          if (stringify(second.condition.value) !== before) told("read back as " + stringify(second.condition.value));
          if (isList) press(second.field, "Backspace");
        }
      }
      return faults.slice(0, 20);""", {"texts": texts, "comparisons": COMPARISONS})
    assert faults == []


def test_no_two_values_read_the_same(web):
    page = web.open("/?page=status")
    texts = scalars(1000)
    found = run(page, """
      const [{ parse, stringify }, { valueText }, { csvText }] = [await load("state/json.js"), await load("parts/format.js"), await load("parts/export.js")];
      const values = [null, ...argument.map(text => parse(text))];
      const seen = values.map(valueText);
      const cells = values.map(value => csvText([[valueText(value)]]));
      const twice = list => list.filter((text, i) => list.indexOf(text) !== i).filter((text, i, all) => all.indexOf(text) === i);
      return { twice: twice(seen), cells: twice(cells), hidden: seen.filter(text => /[\\p{Cc}\\u202a-\\u202e\\u2028]|^\\s|\\s$/u.test(text)), number: values.length,
        told: ["1", 1, true, "true", null, "null", "", "a", "no value"].map(valueText), exact: csvText([[parse("9e-05"), parse("76561198275305775")]]) };
    """, texts)
    assert found["number"] == 1001
    assert found["twice"] == [] and found["cells"] == [] and found["hidden"] == []
    assert found["told"] == ['"1"', "1", "true", '"true"', "no value", '"null"', '""', "a", '"no value"']
    assert found["exact"] == "9e-05,76561198275305775\r\n"


def test_a_thousand_values_against_the_server(cluster, web, thousand):
    """Conditions, rows of a breakdown, lists of a group, saving, loading again, and the address."""
    users = {}
    for i, text in enumerate(thousand):
        users.setdefault(key(text), []).append(f"value-{i:03}")
    page = web.open("/?page=status")
    found = run(page, """
      const [{ parse, stringify }, { post }, { href, read }, { report, basis }, { draftOf, definitionFrom }, { load: open, save }] = [
        await load("state/json.js"), await load("api/fetch.js"), await load("state/url.js"), await load("state/query.js"), await load("state/draft.js"),
        await load("state/funnels.js")];
      const def = { steps: ["values"] };
      const values = argument.map(text => parse(text));
      const through = state => read(href(state).slice(1));
      const all = await Promise.all(Array.from({ length: values.length / 10 }, async (_, n) => {
        const seg = values.slice(10 * n, 10 * n + 10).map((value, i) => ({ name: `${i}`, where: [{ property: "value", op: "=", value }] }));
        const { segments } = await post("/v1/query", { ...report(through({ page: "funnel", def, seg })), times: "none" });
        return segments.map(segment => segment.entered);
      }));
      const { breakdown } = await post("/v1/query", { ...report(through({ page: "funnel", def, by: "value", k: "1000" })), times: "none" });
      const lists = {};
      const list = async row => {
        const { group } = through({ page: "funnel", def, group: { value: row.value } });
        const { users } = await post("/v1/query/users", { ...basis({ def }), step: 1, outcome: "reached", group: { property: "value", touch: "first", ...group } });
        lists[stringify(row.value)] = users;
      };
      const rows = breakdown.rows.filter(row => row.value !== null);
      for (let i = 0; i < rows.length; i += 20) await Promise.all(rows.slice(i, i + 20).map(list));
      const definition = { steps: [{ name: "values", where: [{ property: "value", op: "in", value: values }] }] };
      await save("thousand", definitionFrom(draftOf(definition)), "*");
      const loaded = definitionFrom(draftOf((await open("thousand")).data));
      return {
        address: argument.filter(text => stringify(through({ def: { v: parse(text) }, group: { value: parse(text) }, control: parse(text) })
          .def.v) !== stringify(parse(text)) || stringify(through({ group: { value: parse(text) } }).group.value) !== stringify(parse(text))
          || stringify(through({ control: parse(text) }).control) !== stringify(parse(text))),
        filtered: all.flat(), rows: rows.map(row => [stringify(row.value), row.entered]), lists, other: breakdown.other,
        draft: stringify(definitionFrom(draftOf(definition)).steps[0].where[0].value), saved: stringify(loaded.steps[0].where[0].value),
      };""", thousand)
    assert found["address"] == []
    assert found["filtered"] == [len(users[key(text)]) for text in thousand]
    assert found["other"] is None
    assert {key(text): count for text, count in found["rows"]} == {value: len(ids) for value, ids in users.items()}
    assert len(found["rows"]) == len(users)
    assert {key(text): ids for text, ids in found["lists"].items()} == users
    assert [key(value) if not isinstance(value, str) else ("str", value) for value in json.loads(found["saved"])] == [key(text) for text in thousand]
    assert re.findall(r"[^\s,\[\]\"]+", found["draft"])[:9] == ["-0", "-0.0", "0.0", "-0e3", "1.0", "1", "1e2", "1E+2", "1.50"]
    cluster.delete_funnel("thousand")


def download(page, name):
    with page.expect_download() as found:
        page.get_by_role("button", name=name).click()
    with open(found.value.path(), encoding="utf-8", newline="") as file:
        return file.read()


def put_text(cluster, name, text):
    request = urllib.request.Request(f"{cluster.coordinator}/v1/funnels/{name}", text.encode(), {"content-type": "application/json"}, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()


def saved(cluster, name):
    return cluster.call("GET", f"{cluster.coordinator}/v1/funnels/{name}")


def test_a_large_id_survives_an_edit(cluster, opened):
    send(cluster, [event("steam-775", "steam login", "76561198275305775"), event("steam-780", "steam login", "76561198275305780"),
                   event("steam-text", "steam login", '"76561198275305775"')])
    put_text(cluster, "steam", '{"steps":[{"name":"steam login","where":[{"property":"value","op":"=","value":76561198275305775}]}]}')
    page = opened("/?page=edit&funnel=steam")
    page.locator(".edit-step summary").first.click()
    field = page.get_by_label("Value of condition 1")
    expect(field).to_have_value("76561198275305775")
    expect(page.get_by_label("Kind of value, condition 1")).to_have_value("number")
    page.get_by_label("Conversion window", exact=True).fill("7")
    page.get_by_label("Conversion window", exact=True).press("Tab")
    expect(page.locator("pre").last).to_contain_text('"value": 76561198275305775')
    expect(page).to_have_url(re.compile("76561198275305775"))
    page.reload()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("steam")
    assert saved(cluster, "steam")["steps"][0]["where"] == [{"property": "value", "op": "=", "value": 76561198275305775}]
    assert saved(cluster, "steam")["window_duration"] == "7d"
    expect(page.locator(".step-count")).to_have_text("1")
    page.locator("[data-step='1']").click()
    expect(page.locator(".user-list li")).to_have_text(["steam-775"])
    page.goto(page.url.split("/?")[0] + "/?page=edit&funnel=steam")
    # The same digits as text: another value.
    page.locator(".edit-step summary").first.click()
    page.get_by_label("Kind of value, condition 1").select_option("text")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("steam")
    assert saved(cluster, "steam")["steps"][0]["where"][0]["value"] == "76561198275305775"
    page.locator("[data-step='1']").click()
    expect(page.locator(".user-list li")).to_have_text(["steam-text"])
    cluster.delete_funnel("steam")


def conditions(page):
    """Opens a first condition of step 1, on `value`."""
    page.locator(".edit-step summary").first.click()
    page.get_by_role("button", name="Add a condition").first.click()
    page.get_by_label("Property of condition 1").fill("value")
    page.get_by_label("Property of condition 1").press("Tab")


def test_chips_take_any_text(cluster, web):
    send(cluster, [event("chip-1", "chips", '"a, b"'), event("chip-2", "chips", '"a"'), event("chip-3", "chips", "7"), event("chip-4", "chips", '"7"'),
                   event("chip-5", "chips", json.dumps("two\nlines"))])
    cluster.put_funnel("chips", {"steps": ["chips"]})
    page = web.open("/?page=edit&funnel=chips")
    conditions(page)
    page.get_by_label("Comparison of condition 1").select_option("in")
    expect(page.locator(".preview")).to_contain_text("A condition has no values yet")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("A condition has no values yet")
    field = page.get_by_label("Value of condition 1")
    chips = page.locator(".condition .chip .name")
    options = page.locator(f"datalist#{field.get_attribute('list')} option")
    expect(options).to_have_count(5)
    assert sorted(options.evaluate_all("options => options.map(option => option.value)")) == ['"7"', '"two\\nlines"', "7", "a", "a, b"]
    field.press_sequentially("a, b")
    field.press("Enter")
    expect(chips).to_have_text(["a, b"])
    expect(page.locator(".preview-line strong")).to_have_text("1")
    kind = page.get_by_label("Kind of value, condition 1")
    field.fill("7")
    expect(kind).to_have_value("text")
    kind.select_option("number")
    expect(field).to_be_focused()
    field.press("Enter")
    field.fill("7")
    kind.select_option("text")
    field.press("Enter")
    field.fill(' x ')
    field.press("Enter")
    field.fill('"two\\nlines"')
    page.get_by_label("Funnel id").click()
    expect(chips).to_have_text(["a, b", "7", '"7"', '" x "', '"two\\nlines"'])
    # Removed by mouse and by keys.
    page.get_by_role("button", name='Remove " x "').click()
    expect(page.get_by_role("button", name='Remove "two').first).to_be_focused()
    page.get_by_role("button", name='Remove 7').press("Enter")
    expect(chips).to_have_text(["a, b", '"7"', '"two\\nlines"'])
    field.press("Backspace")
    expect(chips).to_have_text(["a, b", '"7"'])
    # Lines that are pasted are values.
    field.evaluate("""(field, text) => {
      const data = new DataTransfer();
      data.setData("text", text);
      field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    }""", "c, d\r\ne\n\"8\"\n9")
    expect(chips).to_have_text(["a, b", '"7"', "c, d", "e", '"8"', '"9"'])
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("chips")
    assert saved(cluster, "chips")["steps"][0]["where"] == [{"property": "value", "op": "in", "value": ["a, b", "7", "c, d", "e", "8", "9"]}]
    expect(page.locator(".step-count")).to_have_text("2")
    cluster.delete_funnel("chips")


def test_the_kind_is_what_the_property_has(cluster, web):
    send(cluster, [event("kind-1", "kinds of text", '"123"'), event("kind-2", "kinds of numbers", "123"), event("kind-3", "kinds of truth", "true")])
    typed = {
        "text": [("123", "text", "123"), ("true", "text", "true"), (" x ", "text", " x "), ("", "text", "")],
        "numbers": [("123", "number", 123), ('"123"', "text", "123"), ("abc", "text", "abc"), ("007", "text", "007"), ("-1e2", "number", -1e2)],
        "truth": [("true", "boolean", True), ("7", "number", 7)],
    }
    for name, cases in typed.items():
        page = web.open("/?page=edit&def=" + json.dumps({"steps": [f"kinds of {name}"]}))
        conditions(page)
        field = page.get_by_label("Value of condition 1")
        for text, kind, value in cases:
            field.fill(text)
            expect(page.get_by_label("Kind of value, condition 1")).to_have_value(kind)
            field.press("Tab")
            expect(page.locator("pre").last).to_contain_text('"value": ' + (text if kind == "number" else json.dumps(value)))
        page.close()


def test_a_suggestion_keeps_its_kind(cluster, web):
    send(cluster, [event("suggest-1", "suggested", "7"), *(event(f"suggest-{i}", "suggested", '"7"') for i in (2, 3))])
    # The input event of Firefox and that of Chromium.
    events = ['new InputEvent("input", { inputType: "insertReplacementText", bubbles: true })', 'new Event("input", { bubbles: true })']
    for told, option, kind, value in [(told, *case) for told in events for case in [("7", "number", 7), ('"7"', "text", "7")]]:
        page = web.open("/?page=edit&def=" + json.dumps({"steps": ["suggested"]}))
        conditions(page)
        field = page.get_by_label("Value of condition 1")
        expect(page.locator(f"datalist#{field.get_attribute('list')} option")).to_have_count(2)
        field.evaluate(f"""(field, option) => {{
          field.value = option;
          field.dispatchEvent({told});
          field.dispatchEvent(new Event("change", {{ bubbles: true }}));
        }}""", option)
        expect(page.get_by_label("Kind of value, condition 1")).to_have_value(kind)
        expect(page.locator("pre").last).to_contain_text('"value": ' + json.dumps(value))
        page.close()


def test_kinds_are_told_apart(cluster, web):
    values = ['"1"', "1", "true", '"true"', None, '""', '"no value"', '"null"', '"a"', "76561198275305775"]
    told = ['"1"', "1", "true", '"true"', "no value", '""', '"no value"', '"null"', "a", "76561198275305775"]
    send(cluster, [event(f"apart-{i}", "told apart", value) for i, value in enumerate(values)])
    page = web.open("/?page=funnel&by=value&def=" + json.dumps({"steps": ["told apart"]}))
    table = page.get_by_role("table", name="Users by value")
    shown = sorted(told)
    expect(table.get_by_role("rowheader")).to_have_count(len(values))
    assert sorted(table.get_by_role("rowheader").all_inner_texts()) == shown
    rows = list(csv.reader(io.StringIO(download(page, 'Download "Numbers by value" as CSV'))))
    assert sorted(row[0] for row in rows[1:]) == shown
    # Each row's users, and the same from the address.
    page.locator("[data-step='1']").click()
    panel = page.get_by_role("dialog")
    for i, text in enumerate(told):
        panel.get_by_label("Show", exact=True).select_option(label=f"\u2068value\u2069 = \u2068{text}\u2069")
        expect(panel.locator(".user-list li")).to_have_text([f"apart-{i}"])
        if i in (0, 1, 4, 5, 9):
            page.reload()
            expect(panel.locator(".user-list li")).to_have_text([f"apart-{i}"])
            panel.get_by_role("tab", name="Details").click()
            panel.get_by_role("tab", name="Reached").click()
            expect(panel.locator(".user-list li")).to_have_text([f"apart-{i}"])
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("group="))
    # A value without a row in the breakdown.
    page = web.open('/?page=funnel&by=value&step=1&group={"value":"76561198275305775"}&def=' + json.dumps({"steps": ["told apart"]}))
    expect(page.get_by_role("dialog")).to_contain_text("No users.")
    expect(page.get_by_label("Show", exact=True).locator("option:checked")).to_contain_text('"76561198275305775"')


@pytest.mark.parametrize("user", [" blanks ", 'quo"te', '"quoted"', "line\nbreak", "a,b", "\u202eturned", "1", "é+%&#"])
def test_any_user_can_be_looked_up(cluster, web, user):
    send(cluster, [event(user, "looked up", '"\\tx"')])
    page = web.open("/?page=users&def=" + json.dumps({"steps": ["looked up"]}))
    page.get_by_label("User id").fill(user if user.isprintable() and user[0] != '"' else json.dumps(user))
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.locator(".outcome")).to_have_text("Converted")
    expect(page.locator(".properties dd")).to_have_text('"\\tx"')
    shown = page.get_by_label("User id").input_value()
    page.reload()
    page.get_by_label("User id").fill(shown)
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.locator(".outcome")).to_have_text("Converted")


def test_held_properties_are_any_names(cluster, web):
    cluster.put_funnel("held", {"steps": ["values", "chips"], "hold_constant": ["a, b"]})
    page = web.open("/?page=edit&funnel=held")
    page.get_by_text("More rules").click()
    field = page.get_by_label("Same value in every step")
    field.fill(" c ")
    field.press("Enter")
    field.fill("1")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("held")
    assert saved(cluster, "held")["hold_constant"] == ["a, b", " c ", "1"]
    cluster.delete_funnel("held")


def test_a_control_keeps_its_kind(cluster, web):
    values = ["1", '"1"', "true", '""']
    send(cluster, [event(f"control-{i}-{n}", "controlled", value) for i, value in enumerate(values) for n in range(i + 1)])
    page = web.open("/?page=experiments&variant=value&def=" + json.dumps({"steps": ["controlled"]}))
    first = page.get_by_role("table", name="Conversion by variant").get_by_role("row").nth(1)
    for i, text in enumerate(["1", '"1"', "true", '""']):
        page.get_by_label("Control", exact=True).select_option(label=f"\u2068{text}\u2069")
        for _ in range(2):
            expect(first.get_by_role("rowheader")).to_have_text(text)
            expect(first.get_by_role("cell").first).to_have_text(str(i + 1))
            page.reload()
    # Older links contain plain text.
    assert run(page, 'return (await load("state/url.js")).read("?control=test").control') == "test"


def test_hours_of_one_name_are_told_apart(cluster, web):
    send(cluster, [event("hour-1", "hourly", at="2024-11-03T05:10:00Z"), event("hour-2", "hourly", at="2024-11-03T06:10:00Z")])
    day = "range=custom&start=2024-11-03&end=2024-11-03&tz=America/New_York&unit=hour&rate=count"
    page = web.open(f"/?page=trends&{day}&def=" + json.dumps({"steps": ["hourly", "values"]}))
    heads = page.get_by_role("table", name="Every step over time").get_by_role("rowheader")
    expect(heads).to_have_count(25)
    shown = heads.all_inner_texts()
    assert len(set(shown)) == 25 and {"3 Nov, 01:00 GMT-4", "3 Nov, 01:00 GMT-5", "3 Nov, 00:00", "3 Nov, 02:00"} < set(shown)
    labels = page.evaluate("() => Chart.getChart(document.querySelector('main canvas')).data.labels")
    assert labels == shown[::-1]
    rows = list(csv.reader(io.StringIO(download(page, 'Download "Numbers" as CSV'))))
    assert len({row[0] for row in rows[1:]}) == 25
    # A table of single events, too.
    page.goto(cluster.address + "/?page=users&user=hour-2&tz=America/New_York&def=" + json.dumps({"steps": ["hourly"]}))
    expect(page.locator(".timeline time")).to_have_text("3 Nov 2024, 01:10:00 GMT-5")
    # Days of several years.
    found = run(page, """
      const { bucketLabels } = await load("parts/format.js");
      return ["day", "week", "month"].map(by => bucketLabels(["2024-03-04T00:00:00Z", "2025-03-04T00:00:00Z"], "UTC", by));
    """)
    assert found == [["4 Mar 2024", "4 Mar 2025"], ["4 Mar 2024", "4 Mar 2025"], ["Mar 2024", "Mar 2025"]]
