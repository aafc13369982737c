import { call, get, post } from "../api/fetch.js";
import { say } from "../parts/announce.js";
import { dialog } from "../parts/dialog.js";
import { button, h, name, put } from "../parts/dom.js";
import { checkbox, field, input, select } from "../parts/field.js";
import { instant, number, percent, span } from "../parts/format.js";
import { line } from "../parts/line.js";
import { failed } from "../parts/states.js";
import { funnels, definitionOf } from "../state/funnels.js";
import { stepNames } from "../state/query.js";

const METRICS = [["conversion", "Conversion from step 1"], ["drop_off", "Drop-off"], ["count", "Users"], ["median_time", "Median time"]];
const CONDITIONS = [
  ["significant_change", "changes by more than chance"], ["threshold", "crosses a limit"], ["change", "differs from the period before"],
  ["no_data", "is zero: nobody reached the step"],
];
const PERIODS = [["5m", "5 minutes"], ["15m", "15 minutes"], ["30m", "30 minutes"], ["1h", "hour"], ["1d", "day"]];
const DIRECTIONS = [["down", "falls"], ["up", "rises"], ["any", "falls or rises"]];
/** After a change, so that typing does not ask with each key. */
const PAUSE = 600;
const FORMATS = { count: number, median_time: span };

/**
 * Makes or changes an alert rule in a dialog that shows what the rule would have done.
 * @param rule null: a new one
 * @param done runs after it is saved
 */
export async function editAlert(rule, done) {
  let closed = false;
  let timer = null;
  let running = null;
  const box = dialog(rule ? `Alert rule ${rule.id}` : "New alert rule", { side: true, onclose: () => { closed = true; clearTimeout(timer); running?.abort(); } });
  const draft = draftOf(rule);
  const form = h("div", { class: "alert-form" });
  const result = h("div", { class: "alert-result", role: "status" });
  const fault = h("div", {});
  put(box.body, form, h("h3", {}, "In the past"), result, fault,
    h("div", { class: "actions" }, button("Save", save, { class: "button primary" }), button("Cancel", box.close)));
  let tag = null;
  let channels = [];
  try {
    if (rule) ({ tag } = await call("/v1/alerts/" + encodeURIComponent(rule.id)));
    ({ channels } = await get("/v1/channels"));
  } catch { /* without channels the rule is saved with those that it has */ }
  if (closed) return;
  drawForm();
  look();

  function change(more) {
    Object.assign(draft, more);
    drawForm();
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  }

  function drawForm() {
    const focus = form.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const text = (key, label, hint, props) => field(label, input(draft[key], value => change({ [key]: value.trim() }), { "data-key": key, ...props }), { hint });
    const pick = (key, label, options) => field(label, select(options, draft[key], value => change({ [key]: value }), { "data-key": key }));
    const steps = stepNames(definitionOf({ funnel: draft.funnel }));
    const first = draft.kind === "count" ? 0 : 1;
    put(form, !rule && text("id", "Id", "Letters, digits, - _ and dot"),
      pick("funnel", "Funnel", funnels().map(funnel => [funnel.funnel_id, funnel.funnel_id])),
      h("div", { class: "row" }, pick("kind", "Number", METRICS),
        pick("step", "Step", steps.map((step, i) => [String(i + 1), `${i + 1}. ${step}`]).slice(first))),
      h("div", { class: "row" }, pick("condition", "Fires if it", CONDITIONS), ...parts()),
      h("div", { class: "row" }, pick("period", "In each", PERIODS), text("zone", "Time zone"),
        text("hold", "For at least", "Such as 0s, 2h"), text("within", "Converted within", "Empty: one period")),
      draft.kind !== "median_time" && text("by", "For each value of", "A property; empty: the whole"),
      channelBoxes());
    if (focus) form.querySelector(`[data-key="${focus}"]`)?.focus();

    function parts() {
      const amount = (key, label, hint) => text(key, label, hint, { inputmode: "decimal", class: "short" });
      const share = draft.kind === "conversion" || draft.kind === "drop_off";
      switch (draft.condition) {
        case "threshold": return [amount("below", "below", share ? "Such as 0.25" : ""), amount("above", "or above")];
        case "change": return [pick("direction", "Direction", DIRECTIONS), amount("relative", "by at least", "0.2 is 20 %")];
        case "significant_change": return [pick("direction", "Direction", DIRECTIONS), amount("minChange", "and by at least", "0.1 is 10 %")];
        default: return [];
      }
    }
  }

  function channelBoxes() {
    const known = channels.map(channel => channel.id);
    const all = [...new Set([...known, ...draft.channels])];
    if (!all.length) return h("p", { class: "fine" }, "There are no channels: the page shows what fires, and nobody is notified. “sluice channels apply FILE” makes one.");
    return h("fieldset", {}, h("legend", {}, "Notify"), all.map(id => checkbox(name(id), draft.channels.includes(id),
      on => change({ channels: on ? [...draft.channels, id] : draft.channels.filter(other => other !== id) }))));
  }

  async function look() {
    running?.abort();
    const mine = running = new AbortController();
    result.setAttribute("aria-busy", "true");
    try {
      const answer = await post("/v1/alerts/dry-run", { rule: { ...ruleOf(draft, rule), id: draft.id || "new" } }, mine.signal);
      if (closed || running !== mine) return;
      put(result, picture(answer));
    } catch (error) {
      if (closed || running !== mine || error.name === "AbortError") return;
      put(result, failed(error, null, { title: "The rule is not complete" }));
    }
    result.removeAttribute("aria-busy");
  }

  function picture(answer) {
    const group = (answer.firings[0] ?? answer.points.find(point => point.values.length > 0)?.values[0])?.group ?? null;
    const points = answer.points.map(point => point.values.find(value => value.group === group)?.value ?? null);
    const fires = new Set();
    for (const firing of answer.firings.filter(firing => firing.group === group)) {
      answer.points.forEach((point, i) => {
        if (Date.parse(point.end) >= Date.parse(firing.start) && (!firing.end || Date.parse(point.end) < Date.parse(firing.end))) fires.add(i);
      });
    }
    const text = answer.text[0].toUpperCase() + answer.text.slice(1);
    const ends = answer.points.length > 0 && `From ${instant(answer.points[0].start)} to ${instant(answer.points.at(-1).end)}`;
    return [h("p", {}, h("strong", {}, text + ".")),
      line(points, "The number in each period", { marks: [...fires], format: FORMATS[draft.kind] ?? percent, tall: true }),
      h("p", { class: "fine" }, [ends, group !== null && `value ${group}`, fires.size > 0 && "dots: it fires"].filter(Boolean).join("; ") + "."),
      answer.firings.length > 0 && h("ul", { class: "alert-values" }, answer.firings.slice(0, 20).map(firing => h("li", {}, instant(firing.start),
        firing.end ? ` to ${instant(firing.end)}` : ", and still", ": ", h("bdi", { dir: "auto", class: "wrap" }, firing.text))))];
  }

  async function save() {
    try {
      const body = ruleOf(draft, rule);
      await call("/v1/alerts/" + encodeURIComponent(draft.id), { method: "PUT", body, headers: rule ? { "if-match": tag } : { "if-none-match": "*" } });
      box.close();
      say(`${draft.id} is saved`);
      done();
    } catch (error) {
      put(fault, failed(error, null, { title: "The rule is not saved" }));
    }
  }
}

function draftOf(rule) {
  const definition = funnels().find(funnel => funnel.funnel_id === rule?.funnel_id) ?? funnels()[0];
  const names = stepNames(definition);
  const [condition, members] = Object.entries(rule?.condition ?? { significant_change: { direction: "down" } })[0];
  const step = rule?.metric.step;
  const text = value => value === undefined || value === null ? "" : String(value);
  return {
    id: rule?.id ?? "", funnel: definition?.funnel_id ?? "", kind: rule?.metric.kind ?? "conversion", condition,
    step: String(typeof step === "string" ? names.indexOf(step) + 1 : step ?? names.length), direction: members.direction ?? "down",
    below: text(members.below), above: text(members.above), relative: text(members.relative ?? (condition === "change" ? undefined : 0.2)),
    minChange: text(members.min_change ?? 0.1), period: rule?.period ?? "1h", zone: rule?.time_zone ?? "UTC", hold: rule?.for ?? "0s",
    within: rule?.within ?? "", by: rule?.breakdown?.property ?? "", channels: rule?.channels ?? [],
  };
}

const quantity = text => text === "" ? undefined : Number(text.replace(",", "."));

/** The rule of a draft. What the form does not show stays as it was. */
function ruleOf(draft, old) {
  const { state, breakdown, ...rest } = old ?? {};
  const before = old?.condition[draft.condition] ?? {};
  const members = {
    threshold: { below: quantity(draft.below), above: quantity(draft.above) },
    change: { direction: draft.direction, relative: before.absolute === undefined ? quantity(draft.relative) : undefined },
    significant_change: { direction: draft.direction, min_change: quantity(draft.minChange) }, no_data: {},
  }[draft.condition];
  // A rule that names its step follows the name when steps are inserted.
  const isSameStep = old && draft.step === draftOf(old).step;
  return {
    ...rest, id: draft.id, funnel_id: draft.funnel,
    metric: { ...(old?.metric.kind === draft.kind ? old.metric : {}), kind: draft.kind, step: isSameStep ? old.metric.step : Number(draft.step) },
    condition: { [draft.condition]: { ...before, ...members } }, period: draft.period, time_zone: draft.zone, for: draft.hold || "0s",
    within: draft.within || undefined, breakdown: draft.by && draft.kind !== "median_time" ? { ...breakdown, property: draft.by } : undefined,
    channels: draft.channels,
  };
}
