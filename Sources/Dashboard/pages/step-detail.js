import { getTimes } from "../api/between.js";
import { h, name } from "../parts/dom.js";
import { interval, number, percent, span } from "../parts/format.js";
import { lostShare } from "../parts/funnel-chart.js";
import { seriesOf } from "./series.js";

/** The numbers of a step, shown on hover and focus. */
export function stepDetail(report, state, index, unit) {
  const step = report.steps[index - 1];
  const series = seriesOf(report);
  const rows = [["Count", `${number(step.count)} ${unit}`]];
  if (index > 1) {
    rows.push(["From step 1", withInterval(step.conversion_from_first, step.conversion_from_first_ci)]);
    if (step.dropoff !== null) {
      rows.push(["From the previous step", withInterval(step.conversion_from_previous, step.conversion_from_previous_ci)],
        ["Dropped off before this step", `${number(step.dropoff)} (${percent(lostShare(step))})`]);
      if (step.open > 0) rows.push(["Of these, still open", `${number(step.open)}, can still convert`]);
    }
  }
  rows.push(["Finish from here", withInterval(step.conversion_rate, step.conversion_rate_ci)]);
  return h("div", { class: "step-detail" }, h("strong", { class: "tip-title" }, `${index}. `, h("bdi", { dir: "auto" }, step.step)),
    h("dl", {}, rows.map(([label, text]) => h("div", {}, h("dt", {}, label), h("dd", {}, text)))),
    series.length > 1 && h("dl", { class: "tip-series" }, series.map(one => group(one, one.steps[index - 1]))),
    index > 1 && report.times !== "none" && times(report, state, index));
}

const withInterval = (rate, ci) => ci ? `${percent(rate)} (${interval(ci)})` : percent(rate);

function times(report, state, index) {
  const step = report.steps[index - 1];
  const p99 = [h("td", {}, "…"), h("td", {}, "…")];
  // The report has no p99, so it is queried when the numbers are shown.
  [index - 1, 1].forEach((from, i) => getTimes(state, from, index, report).then(
    answer => { p99[i].textContent = span(answer.p99_seconds); }, () => { p99[i].textContent = "–"; }));
  const row = (label, key) => h("tr", {}, h("th", { scope: "row" }, label),
    ["_from_previous", ""].map(suffix => h("td", {}, span(step[`${key}_seconds${suffix}`]))));
  const heads = ["Time", "from previous", "from step 1"].map(label => h("th", { scope: "col" }, label));
  return h("table", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {},
    row("Median", "median"), row("Average", "average"), row("90% within", "p90"),
    h("tr", {}, h("th", { scope: "row" }, "99% within"), p99)));
}

const group = ({ label, tone }, step) => h("div", {}, h("dt", {}, h("span", { class: `swatch tone-${tone}` }), name(label)),
  h("dd", {}, `${number(step.count)} · ${percent(step.conversion_from_first)}`));
