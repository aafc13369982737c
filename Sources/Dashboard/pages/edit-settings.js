import { isEventReceived } from "../api/received.js";
import { chipsField } from "../parts/chips.js";
import { button, h, iconButton, name, put } from "../parts/dom.js";
import { checkbox, field, input, select } from "../parts/field.js";
import { eventPicker } from "../parts/picker.js";
import { textInput, typed, unseenMark } from "../parts/value.js";
import { PRESETS, PRESET_FIELDS } from "../state/draft.js";
import { isNumber } from "../state/json.js";

const UNITS = [["s", "seconds"], ["m", "minutes"], ["h", "hours"], ["d", "days"]];
const ORDERS = [
  ["sequential", "In order"], ["flexible", "In order, with tolerance"], ["strict", "Strict: no events between"], ["any", "Any order"],
];
const COUNTS = [["users", "Users"], ["attempts", "Attempts"], ["sessions", "Sessions"], ["property:", "Values of a property"]];
const ENTRIES = [["shortest", "The fastest"], ["earliest", "The earliest"], ["first", "Only the first"]];
const CLOCKS = [["second", "Seconds"], ["microsecond", "Microseconds"]];
const ANCHORS = [["first_step", "Step 1"], ["previous_step", "The previous step"]];
const EFFECTS = [["end_attempt", "the attempt ends"], ["drop_user", "the user is excluded"]];
const EXCLUSIONS_MAX = 16;
const SAME_VALUE_MAX = 3;

/** The editor of the rules: how steps are matched and what is counted. */
export function settingsEditor(draft, onchange) {
  const node = h("div", { class: "stack" });
  const exclusions = h("div", { class: "stack" });
  const add = button("Add an exclusion", addExclusion, { class: "button small" });
  draw();
  return { node, stepsChanged };

  function set(key, value) {
    if (value === "" || value === undefined) delete draft[key];
    else draft[key] = value;
    onchange();
  }

  /** Sets a value that other controls depend on, and redraws them. */
  function reset(key, value) {
    set(key, value);
    const focused = document.activeElement?.id;
    draw();
    document.getElementById(focused)?.focus();
  }

  /** A setting that the preset decides unless the user chooses a value. */
  function chosen(label, key, options, value, onchoose = reset) {
    const product = PRESETS.find(([preset]) => preset === draft.preset)?.[1] ?? draft.preset;
    const all = draft.preset && key !== "window_anchor" ? [["", `As in ${product}`], ...options] : options;
    const shown = value ?? (draft.preset ? "" : options[0][0]);
    return field(label, select(all, shown, picked => onchoose(key, picked), { id: "setting-" + key, "data-field": key }));
  }

  function draw() {
    const isOpen = node.querySelector("details")?.open ?? false;
    const order = draft.conversion_order;
    const by = draft.count_by ?? "";
    const isProperty = by.startsWith("property:");
    const setLimit = value => set("conversion_order", { flexible: { limit: value.trim() } });
    const limit = () => input(order.flexible.limit, setLimit,
      { placeholder: "1h", class: "short", "data-field": "conversion_order.flexible.limit" });
    const setOrder = (key, value) => reset(key, value === "flexible" ? { flexible: { limit: "1h" } } : value);
    const preset = select(PRESETS, draft.preset === "sluice/1" ? "" : draft.preset, usePreset,
      { id: "setting-preset", "data-field": "preset" });
    drawExclusions();
    put(node,
      h("div", { class: "row" }, duration("Conversion window", "window_duration", "30d"),
        chosen("Window starts at", "window_anchor", ANCHORS, draft.window_anchor ?? "first_step"),
        chosen("Order", "conversion_order", ORDERS, order?.flexible ? "flexible" : order, setOrder),
        order?.flexible && field("Tolerance", limit())),
      h("div", { class: "row" }, chosen("Count", "count_by", COUNTS, isProperty ? "property:" : draft.count_by),
        isProperty && field("Property",
          textInput(by.slice(9), value => set("count_by", "property:" + value), { "data-field": "count_by" })),
        by === "sessions" && duration("New session after a pause of", "session_gap", "30m"), field("Count like", preset)),
      h("details", { class: "more", open: isOpen }, h("summary", {}, "More rules"),
        h("div", { class: "stack" }, h("div", { class: "stack" }, exclusions, h("div", {}, add)), sameValue(),
          h("div", { class: "row" }, chosen("If a user tries several times, use", "entry", ENTRIES, draft.entry),
            chosen("Time precision", "clock", CLOCKS, draft.clock), forecast()),
          checkbox("Default funnel: opened first", draft.default === true, on => set("default", on || undefined)))));
  }

  function usePreset(preset) {
    for (const key of PRESET_FIELDS) delete draft[key];
    reset("preset", preset);
  }

  function duration(label, key, standard) {
    const [, n, unit] = /^(\d+)(us|ms|s|m|h|d)$/.exec(draft[key] ?? standard) ?? ["", "30", "d"];
    const units = UNITS.some(([known]) => known === unit) ? UNITS : [[unit, unit], ...UNITS];
    const amount = input(n, commit, { type: "number", min: 1, max: 9999, class: "short", id: "setting-" + key, "data-field": key });
    const choose = select(units, unit, commit, { "aria-label": `${label}, unit` });
    function commit() {
      set(key, `${Math.max(1, Math.round(Number(amount.value)) || 1)}${choose.value}`);
    }
    return h("div", { class: "field" }, h("label", { for: amount.id }, label), h("span", { class: "pair" }, amount, choose));
  }

  function stepChoices() {
    return draft.steps.filter(step => step.events.length).map((_, i) => [String(i + 1), `step ${i + 1}`]);
  }

  function drawExclusions() {
    const rules = draft.exclude ?? [];
    const steps = stepChoices();
    add.disabled = steps.length < 2 || rules.length >= EXCLUSIONS_MAX;
    put(exclusions, rules.map((rule, i) => exclusion(rules, rule, i, steps)));
  }

  function addExclusion() {
    draft.exclude = [...draft.exclude ?? [], { events: [], after: 1, before: Math.max(2, stepChoices().length) }];
    drawExclusions();
    exclusions.lastElementChild.querySelector("input").focus();
  }

  /** Does not redraw an exclusion that has the focus; its own changes redraw it. */
  function stepsChanged() {
    if (!exclusions.contains(document.activeElement)) drawExclusions();
  }

  function exclusion(rules, rule, i, steps) {
    const commit = () => { set("exclude", rules); drawExclusions(); };
    const change = more => { Object.assign(rule, more); commit(); };
    const chip = (event, at) => h("span", { class: "chip" }, name(event), unseenMark(isEventReceived(event)),
      iconButton("close", `Remove ${event}`, () => { rule.events.splice(at, 1); commit(); }));
    const picker = eventPicker("", event => change({ events: [...rule.events, event] }),
      { label: `Event of exclusion ${i + 1}`, placeholder: "event that must not happen" });
    const after = value => change({ after: Number(value), before: Math.max(rule.before, Number(value) + 1) });
    const before = value => change({ before: Number(value), after: Math.min(rule.after, Number(value) - 1) });
    return h("fieldset", { class: "box", "data-field": `exclude[${i}]` }, h("legend", { class: "unseen" }, `Exclusion ${i + 1}`),
      h("div", { class: "row" }, h("div", { class: "chips" }, rule.events.map(chip), picker.node),
        field("after", select(steps.slice(0, -1), String(rule.after), after)), field("before", select(steps.slice(1), String(rule.before), before)),
        field("then", select(EFFECTS, rule.effect ?? "end_attempt", effect => change({ effect }))),
        button("Remove", () => { rules.splice(i, 1); commit(); }, { "aria-label": `Remove exclusion ${i + 1}` })));
  }

  function sameValue() {
    const names = draft.hold_constant ?? [];
    if (names.some(one => typeof one !== "string")) {
      const words = "This funnel compares properties with different names. They can't be edited here and stay unchanged.";
      return h("p", { class: "muted" }, words);
    }
    const id = "setting-held";
    const { node: chips } = chipsField([...names], next => set("hold_constant", next), {
      label: "same value in every step", kinds: ["text"], show: typed, max: SAME_VALUE_MAX,
      id, "aria-label": null, "aria-describedby": id + "-hint", "data-field": "hold_constant",
    });
    return h("div", { class: "field" }, h("label", { for: id }, "Same value in every step"), chips,
      h("small", { id: id + "-hint", class: "hint" }, `Up to ${SAME_VALUE_MAX} properties. Press Enter to add one.`));
  }

  function forecast() {
    const chance = draft.probability ?? 0.5;
    if (!isNumber(chance)) return null;
    const commit = value => set("probability", Math.min(1, Math.max(0, Number(value) || 0)));
    return field("Forecast: chance that a user still in the window converts",
      input(chance, commit, { type: "number", min: 0, max: 1, step: 0.05, "data-field": "probability" }),
      { hint: "No forecast is shown at 0.5, the default" });
  }
}
