import { button, h, icon, icons, name, put } from "../parts/dom.js";
import { checkbox, field, input, select } from "../parts/field.js";
import { eventPicker } from "../parts/picker.js";
import { PRESETS, PRESET_FIELDS } from "../state/draft.js";

const UNITS = [["s", "seconds"], ["m", "minutes"], ["h", "hours"], ["d", "days"]];

/** How steps are matched and what is counted. */
export function settingsEditor(draft, onchange) {
  const node = h("div", { class: "stack" });
  draw();
  return { node, draw };

  function set(key, value) {
    if (value === "" || value === undefined) delete draft[key];
    else draft[key] = value;
    onchange();
  }

  function reset(key, value) {
    set(key, value);
    const focused = document.activeElement?.id;
    draw();
    document.getElementById(focused)?.focus();
  }

  function draw() {
    const isOpen = node.querySelector("details")?.open ?? false;
    const order = draft.conversion_order ?? (draft.preset ? "" : "sequential");
    const kind = order?.flexible ? "flexible" : order;
    const fromPreset = draft.preset ? [["", "As the preset"]] : [];
    const by = draft.count_by ?? (draft.preset ? "" : "users");
    const isProperty = by.startsWith("property:");
    put(node,
      h("div", { class: "row" }, duration("Conversion window", "window_duration", "30d"),
        field("Measured from", keep("anchor", select([["first_step", "Step 1"], ["previous_step", "The step before"]], draft.window_anchor ?? "first_step", value => set("window_anchor", value)))),
        field("Order", keep("order", select([...fromPreset, ["sequential", "In order"], ["flexible", "Flexible, by a limit"], ["strict", "Strict: nothing between"], ["any", "Any order"]], kind,
          value => reset("conversion_order", value === "flexible" ? { flexible: { limit: "1h" } } : value)))),
        kind === "flexible" && field("Limit", input(order.flexible.limit, value => set("conversion_order", { flexible: { limit: value.trim() } }), { placeholder: "1h", class: "short" }))),
      h("div", { class: "row" },
        field("Count", keep("count", select([...fromPreset, ["users", "Users"], ["attempts", "Attempts"], ["sessions", "Sessions"], ["property:", "Values of a property"]], isProperty ? "property:" : by, value => reset("count_by", value)))),
        isProperty && field("Property", input(by.slice(9), value => set("count_by", "property:" + value.trim()))),
        by === "sessions" && duration("Session gap", "session_gap", "30m"),
        field("Preset", keep("preset", select(PRESETS, draft.preset === "sluice/1" ? "" : draft.preset ?? "", preset => {
          for (const key of PRESET_FIELDS) delete draft[key];
          reset("preset", preset);
        })))),
      h("details", { class: "more", open: isOpen }, h("summary", {}, "Exclusions, held properties, forecast, clock"), h("div", { class: "stack" }, exclusions(), held(),
        h("div", { class: "row" },
          field("Attempt that speaks for a user", select([...fromPreset, ["shortest", "The shortest"], ["earliest", "The earliest"], ["first", "Only the first"]], draft.entry ?? (draft.preset ? "" : "shortest"), value => set("entry", value))),
          field("Clock", select([...fromPreset, ["second", "Seconds"], ["microsecond", "Microseconds"]], draft.clock ?? (draft.preset ? "" : "second"), value => set("clock", value))),
          typeof (draft.probability ?? 0.5) === "number" && field("Chance that an open attempt converts", input(draft.probability ?? 0.5, value => set("probability", Math.min(1, Math.max(0, Number(value) || 0))), { type: "number", min: 0, max: 1, step: 0.05 }))),
        checkbox("The default funnel", draft.default === true, on => set("default", on || undefined)))));
  }

  function keep(id, control) {
    control.id = "setting-" + id;
    return control;
  }

  function duration(label, key, standard) {
    const [, n, unit] = /^(\d+)(us|ms|s|m|h|d)$/.exec(draft[key] ?? standard) ?? ["", "30", "d"];
    const units = UNITS.some(([known]) => known === unit) ? UNITS : [[unit, unit], ...UNITS];
    const amount = input(n, tell, { type: "number", min: 1, max: 9999, class: "short", id: "setting-" + key });
    const choose = select(units, unit, tell, { "aria-label": `${label}, unit` });
    function tell() {
      set(key, `${Math.max(1, Math.round(Number(amount.value)) || 1)}${choose.value}`);
    }
    return h("div", { class: "field" }, h("label", { for: amount.id }, label), h("span", { class: "pair" }, amount, choose));
  }

  function exclusions() {
    const rules = draft.exclude ?? [];
    const steps = draft.steps.filter(step => step.events.length).map((step, i) => [String(i + 1), `step ${i + 1}`]);
    const rule = (one, i) => h("fieldset", { class: "box" }, h("legend", { class: "unseen" }, `Exclusion ${i + 1}`), h("div", { class: "row" },
      h("div", { class: "chips" }, one.events.map((event, at) => h("span", { class: "chip" }, name(event), button(icon(icons.close), () => { one.events.splice(at, 1); tell(); }, { class: "button plain", "aria-label": `Remove ${event}` }))),
        eventPicker("", event => { one.events.push(event); tell(); }, { label: `Event of exclusion ${i + 1}`, placeholder: "event that must not happen" }).node),
      field("after", select(steps.slice(0, -1), String(one.after), value => { one.after = Number(value); one.before = Math.max(one.before, one.after + 1); tell(); })),
      field("before", select(steps.slice(1), String(one.before), value => { one.before = Number(value); one.after = Math.min(one.after, one.before - 1); tell(); })),
      field("then", select([["end_attempt", "the attempt ends"], ["drop_user", "the user is left out"]], one.effect ?? "end_attempt", value => { one.effect = value; tell(); })),
      button("Remove", () => { rules.splice(i, 1); tell(); }, { "aria-label": `Remove exclusion ${i + 1}` })));
    const tell = () => { set("exclude", rules); draw(); };
    return h("div", { class: "stack" }, rules.map(rule),
      h("div", {}, button("Add an exclusion", () => { rules.push({ events: [], after: 1, before: Math.max(2, steps.length) }); draft.exclude = rules; draw(); },
        { class: "button small", disabled: steps.length < 2 || rules.length >= 16 })));
  }

  function held() {
    const names = draft.hold_constant ?? [];
    if (names.some(one => typeof one !== "string")) return h("p", { class: "muted" }, "Properties are held by step; they stay as they are.");
    return field("Held properties", input(names.join(", "), value => set("hold_constant", value.split(",").map(one => one.trim()).filter(Boolean).slice(0, 3)), { placeholder: "product_id" }),
      { hint: "Must have one value in all steps; up to three, with commas" });
  }
}
