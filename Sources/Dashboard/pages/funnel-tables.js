import { h, name } from "../parts/dom.js";
import { interval, number, percent, points, signed, span, valueText } from "../parts/format.js";
import { lostShare } from "../parts/bars.js";
import { table } from "../parts/table.js";

const capital = text => text[0].toUpperCase() + text.slice(1);
const withInterval = (rate, ci) => [percent(rate), ci ? h("small", { class: "ci" }, interval(ci)) : null];

/** A row a step: everything that is known of it. */
export function stepTable(report, unit) {
  const hasTimes = report.times !== "none";
  const columns = [
    { label: "Step", cell: ({ step }) => [h("span", { class: "row-index" }, step.index), name(step.step)], csv: ({ step }) => step.step },
    { label: "Count", number: true, group: capital(unit), cell: ({ step }) => number(step.count), csv: ({ step }) => step.count },
    { label: "Left before", number: true, group: capital(unit), cell: ({ step }) => number(step.dropoff), csv: ({ step }) => step.dropoff },
    { label: "Of step 1", number: true, group: "Conversion", cell: ({ step }) => withInterval(step.conversion_from_first, step.index > 1 && step.conversion_from_first_ci), csv: ({ step }) => step.conversion_from_first },
    { label: "Of previous", number: true, group: "Conversion", cell: ({ step }) => withInterval(step.conversion_from_previous, step.conversion_from_previous_ci), csv: ({ step }) => step.conversion_from_previous },
    { label: "Drop-off", number: true, group: "Conversion", cell: ({ step }) => percent(lostShare(step)), csv: ({ step }) => lostShare(step) },
    { label: "Go on to finish", number: true, group: "Conversion", cell: ({ step }) => percent(step.conversion_rate), csv: ({ step }) => step.conversion_rate },
  ];
  if (report.previous) {
    columns.push(
      { label: "Count", number: true, group: "Period before", cell: ({ before }) => number(before.count), csv: ({ before }) => before.count },
      { label: "Change", number: true, group: "Period before", cell: ({ change }) => signed(change.count), csv: ({ change }) => change.count },
      { label: "Of step 1", number: true, group: "Period before", cell: ({ change }) => points(change.conversion_from_first), csv: ({ change }) => change.conversion_from_first });
  }
  if (hasTimes) {
    for (const [suffix, group] of [["_from_previous", "Time from previous step"], ["", "Time from step 1"]]) {
      for (const [key, label] of [["median", "Median"], ["average", "Average"], ["p90", "p90"]]) {
        const field = `${key}_seconds${suffix}`;
        columns.push({ label, number: true, group, cell: ({ step }) => span(step[field]), csv: ({ step }) => step[field] });
      }
    }
  }
  return table("Every step of the funnel", columns, stepTable.rows(report));
}

stepTable.rows = report => report.steps.map((step, i) => ({
  step, before: report.previous?.steps[i], change: report.change?.steps[i],
  kind: report.biggest_dropoff?.index === step.index ? "worst-row" : null,
}));

/** A row a group: counts by step. */
export function groupTable(report, unit) {
  const columns = [
    { label: report.breakdown ? report.breakdown.property : "Segment", cell: row => row.quiet ? h("em", {}, row.label) : name(row.label), csv: row => row.label },
    { label: "Entered", number: true, group: "Whole", cell: row => number(row.entered), csv: row => row.entered },
    { label: "Converted", number: true, group: "Whole", cell: row => number(row.converted), csv: row => row.converted },
    { label: "Conversion", number: true, group: "Whole", cell: row => withInterval(row.conversion, row.conversion_ci), csv: row => row.conversion },
  ];
  report.steps.forEach((step, i) => {
    if (i === 0) return;
    const group = `${step.index}. ${step.step}`;
    columns.push(
      { label: capital(unit), number: true, group, cell: row => number(row.steps[i].count), csv: row => row.steps[i].count },
      { label: "Of previous", number: true, group, cell: row => percent(row.steps[i].conversion_from_previous), csv: row => row.steps[i].conversion_from_previous });
  });
  return table(report.breakdown ? `Users by ${report.breakdown.property}` : "Users by segment", columns, groupTable.rows(report));
}

groupTable.rows = report => {
  if (report.segments) return report.segments.map(segment => ({ label: segment.name, ...segment }));
  const { rows, other } = report.breakdown;
  const list = rows.map(row => ({ label: valueText(row.value), quiet: row.value === null, ...row }));
  return other ? [...list, { label: `${number(other.values)} other values`, quiet: true, ...other }] : list;
};
