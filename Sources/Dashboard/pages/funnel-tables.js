import { count, share, time } from "../parts/columns.js";
import { h, name } from "../parts/dom.js";
import { number, points, signed, valueText } from "../parts/format.js";
import { lostShare } from "../parts/bars.js";
import { table } from "../parts/table.js";

const capital = text => text[0].toUpperCase() + text.slice(1);

/** A row a step: everything that is known of it. */
export function stepTable(report, unit) {
  const [users, conversion] = [{ group: capital(unit) }, { group: "Conversion" }];
  const columns = [
    { label: "Step", cell: ({ step }) => [h("span", { class: "row-index" }, step.index), name(step.step)], csv: ({ step }) => step.step },
    count("Count", ({ step }) => step.count, users),
    count("Left before", ({ step }) => step.dropoff, users),
    share("Of step 1", ({ step }) => step.conversion_from_first,
      { ...conversion, ci: ({ step }) => step.index > 1 && step.conversion_from_first_ci }),
    share("Of previous", ({ step }) => step.conversion_from_previous, { ...conversion, ci: ({ step }) => step.conversion_from_previous_ci }),
    share("Drop-off", ({ step }) => lostShare(step), conversion),
    share("Go on to finish", ({ step }) => step.conversion_rate, conversion),
  ];
  if (report.previous) {
    const group = "Period before";
    columns.push(count("Count", ({ before }) => before.count, { group }),
      { ...count("Change", ({ change }) => change.count, { group }), cell: ({ change }) => signed(change.count) },
      { ...share("Of step 1", ({ change }) => change.conversion_from_first, { group }), cell: ({ change }) => points(change.conversion_from_first) });
  }
  if (report.times !== "none") {
    for (const [suffix, group] of [["_from_previous", "Time from previous step"], ["", "Time from step 1"]]) {
      for (const [key, label] of [["median", "Median"], ["average", "Average"], ["p90", "p90"]]) {
        columns.push(time(label, ({ step }) => step[`${key}_seconds${suffix}`], { group }));
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
  const whole = { group: "Whole" };
  const columns = [
    {
      label: report.breakdown ? report.breakdown.property : "Segment", csv: row => row.label,
      cell: row => row.quiet ? h("em", {}, row.label) : name(row.label),
    },
    count("Entered", row => row.entered, whole), count("Converted", row => row.converted, whole),
    share("Conversion", row => row.conversion, { ...whole, ci: row => row.conversion_ci }),
  ];
  report.steps.slice(1).forEach((step, i) => {
    const group = `${step.index}. ${step.step}`;
    columns.push(count(capital(unit), row => row.steps[i + 1].count, { group }),
      share("Of previous", row => row.steps[i + 1].conversion_from_previous, { group }));
  });
  return table(report.breakdown ? `Users by ${report.breakdown.property}` : "Users by segment", columns, groupTable.rows(report));
}

groupTable.rows = report => {
  if (report.segments) return report.segments.map(segment => ({ label: segment.name, ...segment }));
  const { rows, other } = report.breakdown;
  const list = rows.map(row => ({ label: valueText(row.value), quiet: row.value === null, ...row }));
  return other ? [...list, { label: `${number(other.values)} other values`, quiet: true, ...other }] : list;
};
