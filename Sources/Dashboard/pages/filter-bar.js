import { getCached } from "../api/fetch.js";
import { button, h, isolate, put } from "../parts/dom.js";
import { checkbox, field, input, select, setOptions } from "../parts/field.js";
import { definitionOf, funnels } from "../state/funnels.js";
import { PRESETS, isBounded, rangeOf, zoneOf, zoneOptions } from "../state/range.js";
import { segments, stepNames } from "../state/query.js";
import { patch, read } from "../state/url.js";
import { segmentsDialog } from "./segments.js";

/** The filter bar. Its controls are created once, so that they keep the focus. */
const made = new Map();

function once(key, make) {
  if (!made.has(key)) made.set(key, make());
  return made.get(key);
}

/** Parameters of one funnel, removed when another one is chosen. */
const OF_FUNNEL = { step: null, tab: null, from: null, to: null, by: null, touch: null, group: null, seg: null };
/** Parameters of one breakdown, removed when another one is chosen. */
const OF_BREAKDOWN = { seg: null, touch: null, group: null, step: null };

/** @param wanted controls of this page: funnel, range, breakdown, segments, compare */
export function drawBar(bar, state, wanted) {
  bar.hidden = !state || wanted.length === 0;
  if (bar.hidden) {
    if (!state) put(bar);
    return;
  }
  const nodes = wanted.flatMap(key => controls[key](state)).filter(Boolean);
  // Only if the set of controls changed: a control that moves loses the focus.
  if (nodes.length !== bar.children.length || nodes.some((node, i) => bar.children[i] !== node)) put(bar, nodes);
}

const controls = {
  funnel(state) {
    const node = once("funnel", () => select([], "", id => patch({ funnel: id, def: null, ...OF_FUNNEL })));
    const list = funnels().map(funnel => [funnel.funnel_id, funnel.funnel_id + (funnel.default ? " (default)" : "")]);
    const options = state.def ? [["", "Unsaved funnel"], ...list] : list.length ? list : [["", "No saved funnels"]];
    setOptions(node, options, state.def ? "" : state.funnel);
    return [once("funnel-field", () => field("Funnel", node))];
  },

  range(state) {
    const preset = once("preset", () => select(PRESETS, "", choose));
    preset.value = state.range ?? "all";
    const days = rangeOf(state);
    const date = key => once(key, () => input("", value => patch({ range: "custom", [key]: value || null }), { type: "date" }));
    const [start, end] = ["start", "end"].map(date);
    if (document.activeElement !== start) start.value = (state.start ?? days.start ?? "").slice(0, 10);
    if (document.activeElement !== end) end.value = (state.end ?? days.end ?? "").slice(0, 10);
    const zone = once("zone", () => select(zoneOptions(), "", value => patch({ tz: value === "UTC" ? null : value }), { class: "zone" }));
    zone.value = zoneOf(state);
    const isCustom = state.range === "custom";
    return [
      once("preset-field", () => field("Date range", preset)),
      isCustom && once("start-field", () => field("From", start)), isCustom && once("end-field", () => field("To", end)),
      once("zone-field", () => field("Time zone", zone)),
    ];

    function choose(range) {
      const now = read();
      const days = rangeOf(now);
      patch(range === "custom" ? { range, start: days.start, end: days.end } : { range: range === "all" ? null : range, start: null, end: null });
    }
  },

  breakdown(state) {
    const node = once("breakdown", () => select([["", "None"]], "", by => patch({ by: by || null, ...OF_BREAKDOWN })));
    setOptions(node, [["", "None"], ...properties], state.by);
    if (!properties.length) fetchProperties().then(() => setOptions(node, [["", "None"], ...properties], read().by), () => {});
    const touch = once("touch", () => select([], "", value => patch({ touch: value || null, group: null, step: null })));
    const steps = stepNames(definitionOf(state));
    const places = steps.map((step, i) => [`step:${i + 1}`, `Step ${i + 1}, ${isolate(step)}`]);
    const options = [["", "First step that has a value"], ["last", "Last step that has a value"], ...places];
    if (state.by) setOptions(touch, options, state.touch ?? "");
    return [once("breakdown-field", () => field("Break down by", node)),
      state.by && once("touch-field", () => field("Use the value from", touch))];
  },

  segments(state) {
    const node = once("segments", () => button("Compare segments", () => segmentsDialog(read()), { "aria-haspopup": "dialog" }));
    const n = segments(state).length;
    node.textContent = n ? `Compare segments (${n})` : "Compare segments";
    return [once("segments-field", () => h("div", { class: "field bare" }, node))];
  },

  compare(state) {
    const node = once("compare", () => checkbox("Compare with previous period", false, on => patch({ compare: on ? "1" : null })));
    const box = node.firstElementChild;
    box.disabled = !isBounded(state);
    box.checked = Boolean(state.compare) && isBounded(state);
    node.title = box.disabled ? "Choose a start and an end date first" : "";
    return [once("compare-field", () => h("div", { class: "field bare" }, node))];
  },
};

let properties = [];

async function fetchProperties() {
  properties = (await getCached("/v1/properties?allow_partial=1")).properties.map(({ property }) => [property, isolate(property)]);
}
