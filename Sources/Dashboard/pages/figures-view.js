import { h } from "../parts/dom.js";
import { decimal, growth, interval, number, percent, plural, points, signed, signedPercent, span } from "../parts/format.js";
import { write } from "../parts/funnel-chart.js";
import { isNumber } from "../state/json.js";

/** The default of the API. Nobody chose it, so it gives no forecast. */
const STANDARD_CHANCE = 0.5;

/** The headline figures of a report. */
export function figures(report, unit) {
  const list = [
    ["Entered", r => number(r.entered), r => r.change ? versus(r.change.entered, r.entered) : `${unit} at step 1`],
    ["Converted", r => number(r.converted), r => r.change ? versus(r.change.converted, r.converted) : `${unit} at the last step`],
    ["Conversion", r => percent(r.conversion),
      r => (r.change ? `${points(r.change.conversion)} vs previous period · ` : "") + certainty(r, unit)],
    ["Median time to convert", r => span(r.steps.at(-1).median_seconds), r => within(r.steps.at(-1).p90_seconds)],
  ];
  const third = outlook(report);
  if (third) list.splice(2, 0, third);
  const cells = list.map(([label, value, note]) => {
    const [big, small] = [h("dd", { class: "figure-value" }), h("dd", { class: "figure-note" })];
    const update = r => {
      write(big, value(r));
      small.textContent = note(r);
    };
    return { node: h("div", { class: "figure" }, h("dt", {}, label), big, small), update };
  });
  return { node: h("dl", { class: "figures" }, cells.map(cell => cell.node)), update: r => cells.forEach(cell => cell.update(r)) };
}

/** A forecast if the funnel sets a chance, else the number of users who are still open. */
function outlook(report) {
  if (report.expected_conversions === null) return null;
  const chance = report.funnel.probability;
  const forecast = r => decimal(r.expected_conversions);
  const words = text => r => stillOpen(r) === 0 ? "no user is still in the conversion window" : text(r);
  if (!isNumber(chance)) return ["Forecast", forecast, words(() => "conversions, by the chance set for each step")];
  if (Number(chance) === STANDARD_CHANCE) {
    return ["Still open", r => number(stillOpen(r)), words(() => "users still in their conversion window")];
  }
  const condition = r => `if ${percent(chance, chance < 0.01 ? undefined : 0)} of the ${plural(stillOpen(r), "user")} still in their window convert`;
  return ["Forecast", forecast, words(condition)];
}

/** Users who have not converted and still can. */
function stillOpen(report) {
  const open = report.steps.map(step => step.open).filter(users => users !== null && users !== undefined);
  if (open.length) return open.reduce((sum, users) => sum + users, 0);
  const chance = report.funnel.probability;
  return chance ? Math.round((report.expected_conversions - report.converted) / chance) : null;
}

const versus = (change, now) => `${signed(change)} (${signedPercent(growth(now, now - change))}) vs previous period`;

function certainty(report, unit) {
  if (report.conversion_ci) return `95% confidence: ${interval(report.conversion_ci)}`;
  return report.entered ? `no confidence interval when counting ${unit}` : `no ${unit} entered`;
}

const within = p90 => p90 === null || p90 === undefined ? "no conversions" : `90% of converters within ${span(p90)}`;
