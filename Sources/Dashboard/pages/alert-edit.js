import { get, post } from "../api/fetch.js";
import { load, save } from "../api/saved.js";
import { say } from "../parts/announce.js";
import { annotationList, lineAnnotations } from "../parts/annotation.js";
import { dialog } from "../parts/dialog.js";
import { button, h, name, put, redraw } from "../parts/dom.js";
import { placeFaults } from "../parts/field-faults.js";
import { checkbox, field, input, select } from "../parts/field.js";
import { minute, period, withPeriod } from "../parts/format.js";
import { scaledLine } from "../parts/scaled-line.js";
import { failed } from "../parts/states.js";
import { annotationsOf, loadAnnotations, placed } from "../state/annotations.js";
import { funnels, definitionOf } from "../state/funnels.js";
import { stepNames } from "../state/query.js";
import { zoneOptions } from "../state/range.js";
import { href } from "../state/url.js";
import { SAMPLES, draftOf, limitsOf, ruleOf } from "./alert-draft.js";
import { formatOf, groupText } from "./alert-words.js";

const METRICS = [["conversion", "Conversion from step 1"], ["drop_off", "Drop-off"], ["count", "Users"], ["median_time", "Median time"]];
const CONDITIONS = [
  ["significant_change", "changes by more than chance"], ["threshold", "crosses a limit"], ["change", "differs from the period before"],
  ["no_data", "is zero: nobody reached the step"],
];
const PERIODS = [["5m", "5 minutes"], ["15m", "15 minutes"], ["30m", "30 minutes"], ["1h", "hour"], ["1d", "day"]];
const DIRECTIONS = [["down", "falls"], ["up", "rises"], ["any", "falls or rises"]];
/** After a change, so that typing does not ask with each key. */
const PAUSE = 600;

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
  const form = h("div", { class: "alert-form" });
  const result = h("div", { class: "alert-result", role: "status" });
  const fault = h("div", {});
  let tag = null;
  let channels = [];
  let annotations = [];
  try {
    // What the page shows may be older than the revision.
    if (rule) ({ data: rule, tag } = await load("alerts", rule.id));
  } catch (error) {
    put(box.body, failed(error));
    return;
  }
  const draft = draftOf(rule);
  try {
    ({ channels } = await get("/v1/channels"));
  } catch { /* without channels the rule is saved with those that it has */ }
  // Without them the chart has no marks.
  annotations = await loadAnnotations().catch(() => []);
  if (closed) return;
  put(box.body, form, h("h3", {}, "In the past"), result, fault,
    h("div", { class: "actions" }, button("Save", submit, { class: "button primary" }), button("Cancel", box.close)));
  drawForm();
  look();

  function change(more) {
    // Another condition has its own default.
    if (more.condition) more.minSample = String(SAMPLES[more.condition] ?? "");
    Object.assign(draft, more);
    redraw(form, drawForm);
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  }

  function drawForm() {
    const isOpen = form.querySelector("details")?.open ?? false;
    const condition = `condition.${draft.condition}`;
    const text = (key, path, label, hint, props) => field(label,
      input(draft[key], value => change({ [key]: value.trim() }), { "data-key": key, "data-field": path, ...props }), { hint });
    const pick = (key, path, label, options, hint) => field(label,
      select(options, draft[key], value => change({ [key]: value }), { "data-key": key, "data-field": path }), { hint });
    const steps = stepNames(definitionOf({ funnel: draft.funnel }));
    const first = draft.kind === "count" ? 0 : 1;
    put(form, !rule && text("id", "id", "Id", "Letters, digits, - _ and dot"),
      pick("funnel", "funnel_id", "Funnel", funnels().map(funnel => [funnel.funnel_id, funnel.funnel_id])),
      h("div", { class: "row" }, pick("kind", "metric.kind", "Number", METRICS),
        pick("step", "metric.step", "Step", steps.map((step, i) => [String(i + 1), `${i + 1}. ${step}`]).slice(first))),
      h("div", { class: "row" }, pick("condition", condition, "Fires if it", CONDITIONS), ...parts()),
      h("div", { class: "row" }, pick("period", "period", "In each", PERIODS),
        text("hold", "for", "For at least", "Such as 0s, 2h"), text("within", "within", "Converted within", "Empty: one period")),
      draft.kind !== "median_time" && text("by", "breakdown.property", "For each value of", "A property; empty: the whole"),
      channelBoxes(), more());

    function amount(key, member, label, hint) {
      return text(key, `${condition}.${member}`, label, hint, { inputmode: "decimal", class: "short" });
    }

    function parts() {
      const share = draft.kind === "conversion" || draft.kind === "drop_off";
      const direction = () => pick("direction", `${condition}.direction`, "Direction", DIRECTIONS);
      switch (draft.condition) {
        case "threshold": return [amount("below", "below", "below", share ? "Such as 0.25" : ""), amount("above", "above", "or above")];
        case "change": return [direction(), amount("relative", "relative", "by at least", "0.2 is 20 %")];
        case "significant_change": return [direction(), amount("minChange", "min_change", "and by at least", "0.1 is 10 %")];
        default: return [];
      }
    }

    /** What has a default that suits most rules. */
    function more() {
      const quiet = draft.quietFrom || draft.quietTo ? `${draft.quietFrom} to ${draft.quietTo}` : "none";
      const now = ` · late events ${draft.delay || "2m"}, cool-down ${draft.coolDown || "0s"}, quiet hours ${quiet}`;
      const sample = SAMPLES[draft.condition] === null ? "In the weeks before; empty: any number" : `Empty: ${SAMPLES[draft.condition]}`;
      return h("details", { class: "more", open: isOpen }, h("summary", {}, "More", now), h("div", { class: "alert-form" },
        h("div", { class: "row" }, text("delay", "delay", "Wait for late events", "Empty: 2m", { class: "short" }),
          amount("minSample", "min_sample", "Only with as many users", sample)),
        h("div", { class: "row" }, text("keep", "keep_firing_for", "Resolved after", "Without the condition. Empty: 0s", { class: "short" }),
          text("coolDown", "cool_down", "Cool-down", "Min time between two notified firings. Empty: 0s", { class: "short" })),
        h("div", { class: "row" }, text("quietFrom", "quiet_hours.from", "Quiet hours from", "Such as 22:00", { class: "short" }),
          text("quietTo", "quiet_hours.to", "to", "Such as 07:00", { class: "short" }),
          pick("zone", "time_zone", "Time zone", zoneOptions(), "Of quiet hours, days and weekdays"))));
    }
  }

  function channelBoxes() {
    const known = channels.map(channel => channel.id);
    const all = [...new Set([...known, ...draft.channels])];
    if (!all.length) return h("p", { class: "fine" }, "There are no channels: the page shows what fires, and nobody is notified. Make one on the page ",
      h("a", { href: href({ page: "channels" }) }, "Channels"), ".");
    return h("fieldset", { "data-field": "channels" }, h("legend", {}, "Notify"), all.map(id => checkbox(name(id), draft.channels.includes(id),
      on => change({ channels: on ? [...draft.channels, id] : draft.channels.filter(other => other !== id) }), { "data-key": `channel ${id}` })));
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
      put(result, told(error, "The rule is not complete"));
    }
    result.removeAttribute("aria-busy");
  }

  function picture(answer) {
    const group = (answer.firings[0] ?? answer.points.find(point => point.values.length > 0)?.values[0])?.group ?? null;
    const points = answer.points.map(({ start, end, values }) => ({ start, end, value: values.find(value => value.group === group)?.value ?? null }));
    const fires = new Set();
    for (const firing of answer.firings.filter(firing => firing.group === group)) {
      answer.points.forEach((point, i) => {
        if (Date.parse(point.end) >= Date.parse(firing.start) && (!firing.end || Date.parse(point.end) < Date.parse(firing.end))) fires.add(i);
      });
    }
    const places = placed(annotationsOf(draft.funnel, annotations), answer.points.map(point => Date.parse(point.start)),
      answer.points.length && Date.parse(answer.points.at(-1).end));
    const text = answer.text[0].toUpperCase() + answer.text.slice(1);
    const notes = [group !== null && `value ${groupText(group)}`, fires.size > 0 && "dots: it fires", "times in UTC"].filter(Boolean).join("; ");
    return [h("p", {}, h("strong", {}, text + ".")),
      scaledLine(points, "The number by period", { marks: [...fires], annotations: lineAnnotations(places, "UTC"), format: formatOf(draft.kind), limits: limitsOf(draft) }),
      h("p", { class: "fine" }, `${notes[0].toUpperCase()}${notes.slice(1)}.`),
      answer.firings.length > 0 && h("ul", { class: "alert-values" }, answer.firings.slice(0, 20).map(firing => h("li", {},
        firing.end ? period(firing.start, firing.end) : `${minute(firing.start)}, and still`, ": ", h("bdi", { dir: "auto", class: "wrap" }, withPeriod(firing.text))))),
      places.length > 0 && [h("h4", {}, "Annotations"), annotationList(places.map(({ annotation }) => annotation), "UTC")]];
  }

  async function submit() {
    try {
      await save("alerts", draft.id, ruleOf(draft, rule), tag);
      box.close();
      say(`${draft.id} is saved`);
      done();
    } catch (error) {
      put(fault, told(error, "The rule is not saved"));
      form.querySelector("[aria-invalid]")?.focus();
    }
  }

  /** An error, without what is shown at the fields. */
  function told(error, words) {
    const rest = placeFaults(form, error);
    return rest ? failed(rest, null, { title: words }) : h("p", { class: "fault" }, `${words}: see the marked fields.`);
  }
}
