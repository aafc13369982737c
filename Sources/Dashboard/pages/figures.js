import { h } from "../parts/dom.js";
import { decimal, interval, number, percent, points, signed, span } from "../parts/format.js";
import { write } from "../parts/bars.js";

/** The few numbers of the whole. */
export function figures(report, unit) {
  const list = [
    ["Entered", r => number(r.entered), r => r.change ? change(signed(r.change.entered)) : `${unit} at step 1`],
    ["Converted", r => number(r.converted), r => r.change ? change(signed(r.change.converted)) : `${unit} at the last step`],
    ["Conversion", r => percent(r.conversion), r => (r.change ? change(points(r.change.conversion)) + " · " : "") + certainty(r)],
    ["Median time to convert", r => span(r.steps.at(-1).median_seconds), r => within(r.steps.at(-1).p90_seconds)],
  ];
  if (report.expected_conversions !== null) {
    list.splice(2, 0, ["Expected", r => decimal(r.expected_conversions), r => r.expected_conversions > r.converted
      ? "conversions, once open attempts have ended" : "no attempt is still open"]);
  }
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

const change = text => `${text} against the period before`;

function certainty(report) {
  if (report.conversion_ci) return `95% interval ${interval(report.conversion_ci)}`;
  return report.entered ? "no interval for attempts" : "nobody entered";
}

const within = p90 => p90 === null || p90 === undefined ? "nobody converted" : `90% within ${span(p90)}`;
