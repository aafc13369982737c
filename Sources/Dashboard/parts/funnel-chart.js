import { h, name } from "./dom.js";
import { number, percent } from "./format.js";
import { tip, refreshTip } from "./tip.js";

/** Funnels with more steps are laid out in rows at any width. */
export const COLUMNS_MAX = 7;

/**
 * The funnel chart: a bar for each step and series, and the loss between two steps. The styles lay it out in columns in wide
 * windows, in rows in narrow ones.
 * @param series `[{label, tone, steps}]`, steps as in a report
 * @param options `{names, unit, onstep(index), detail(index) -> Node, optional}`
 */
export function funnelBars(series, options) {
  const isPlain = series.length === 1;
  const steps = options.names.map((name, i) => oneStep(name, i, series, options));
  const kind = ["funnel", steps.length > COLUMNS_MAX && "rows", isPlain && "plain"].filter(Boolean).join(" ");
  const node = h("ol", { class: kind, "aria-label": "Steps of the funnel" }, steps.map(step => step.node));

  /** @param whole the steps of the whole funnel, whose numbers are shown as text */
  function update(next, whole, worst) {
    steps.forEach((step, i) => step.update(next, whole, worst === i + 1));
  }
  return { node, update };
}

function oneStep(title, i, series, options) {
  let previous = i - 1;
  while (previous > 0 && options.optional?.[previous]) previous--;
  const bars = series.map(({ tone }) => h("span", { class: `bar tone-${tone}` }));
  const lost = h("span", { class: "bar-lost" });
  const counted = h("span", { class: "step-count" });
  const share = h("span", { class: "step-share" });
  const button = h("button", { type: "button", class: "step-button", "data-step": i + 1, onclick: () => options.onstep(i + 1) },
    h("span", { class: "step-head" }, h("span", { class: "step-index" }, i + 1), name(title, { class: "name step-name" }),
      options.optional?.[i] && h("span", { class: "tag" }, "optional")),
    h("span", { class: "track" }, lost, bars),
    h("span", { class: "step-foot" }, counted, share));
  tip(button, () => options.detail(i + 1));
  const spans = ["kept", "left-count", "left-words", "left-share", "left-open", "slope"].map(cls => h("span", { class: cls }));
  const [kept, left, leftWords, leftShare, open, slope] = spans;
  const loss = h("span", { class: "lane-loss" }, leftShare, h("span", { class: "left" }, left, " ", leftWords), open);
  const lane = i > 0 && h("div", { class: "lane", "aria-hidden": "true" }, slope, loss, kept);
  const node = h("li", { class: "step" }, lane, button);

  function update(next, whole, isWorst) {
    const main = whole[i];
    const before = whole[previous];
    next.forEach((one, s) => bars[s].style.setProperty("--share", one.steps[i].conversion_from_first ?? 0));
    const to = main.conversion_from_first ?? 0;
    // Nobody drops off at an optional step.
    const from = before && main.dropoff !== null ? before.conversion_from_first ?? 0 : to;
    // The slope starts at the bar to its left.
    node.style.setProperty("--from", whole[i - 1]?.conversion_from_first ?? to);
    node.style.setProperty("--to", to);
    lost.style.setProperty("--share", Math.max(from, to));
    node.classList.toggle("worst", isWorst);
    write(counted, number(main.count));
    write(share, percent(main.conversion_from_first));
    if (lane) {
      const isOptional = main.dropoff === null;
      write(kept, isOptional ? "optional" : percent(main.conversion_from_previous));
      write(left, isOptional ? "" : number(main.dropoff));
      leftWords.textContent = isOptional ? "" : "dropped off";
      write(leftShare, isOptional || lostShare(main) === null ? "" : `−${percent(lostShare(main))}`);
      write(open, main.open > 0 ? `${number(main.open)} still open` : "");
    }
    button.setAttribute("aria-label", label(main, i, options.unit, isWorst));
    refreshTip(button);
  }
  return { node, update };
}

/** The share lost at a step, as a fraction; null at an optional step. Groups have no `dropout_rate`. */
export function lostShare(step) {
  if (step.dropoff === null) return null;
  if (step.dropout_rate !== undefined && step.dropout_rate !== null) return step.dropout_rate / 100;
  return step.conversion_from_previous === null || step.conversion_from_previous === undefined ? null : 1 - step.conversion_from_previous;
}

function label(step, i, unit, isWorst) {
  const parts = [`Step ${i + 1}, ${step.step}: ${number(step.count)} ${unit}`];
  if (i > 0) parts.push(`${percent(step.conversion_from_first)} of step 1`);
  if (i > 0 && step.dropoff !== null) {
    parts.push(`${percent(step.conversion_from_previous)} of the previous step`, `${number(step.dropoff)} dropped off`);
    if (step.open > 0) parts.push(`${number(step.open)} of them still open`);
    if (isWorst) parts.push(`most ${unit} lost`);
  }
  return parts.join(", ") + ". Opens details.";
}

/** Sets a node's text if it differs, and highlights the change for a moment. */
export function write(node, text) {
  if (node.textContent === text) return;
  if (node.textContent !== "") {
    node.classList.remove("fresh");
    requestAnimationFrame(() => node.classList.add("fresh"));
  }
  node.textContent = text;
}

/** The legend of the colours. */
export function legend(series) {
  const entry = ({ label, tone, quiet }) => h("li", {}, h("span", { class: `swatch tone-${tone}` }), quiet ? h("em", {}, label) : name(label));
  return h("ul", { class: "legend", "aria-label": "Legend" }, series.map(entry));
}
