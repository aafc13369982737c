import { count, share, time } from "../parts/columns.js";
import { h, name } from "../parts/dom.js";
import { growth, number, points, signed, signedPercent, valueText } from "../parts/format.js";
import { lostShare } from "../parts/funnel-chart.js";
import { table } from "../parts/table.js";
import { isNumber } from "../state/json.js";

const capital = text => text[0].toUpperCase() + text.slice(1);
const ofHundred = ci => ci && ci.map(bound => bound / 100);

/** One row for each step, with all its numbers. */
export function stepTable(report, unit) {
  const [users, conversion, isLoss] = [{ group: capital(unit) }, { group: "Conversion" }, true];
  const columns = [
    {
      label: "Step", cell: ({ step }) => [h("span", { class: "row-index" }, step.index), name(step.step)],
      file: [{ unit: " number", get: ({ step }) => step.index }, { get: ({ step }) => step.step }],
    },
    count("Count", ({ step }) => step.count, users),
    count("Dropped off", ({ step }) => step.dropoff, { ...users, isLoss }),
    hasOpen(report) && count("Still open", ({ step }) => step.open ?? null, users),
    share("From step 1", ({ step }) => step.conversion_from_first,
      { ...conversion, ci: ({ step }) => step.index > 1 && step.conversion_from_first_ci }),
    share("From previous step", ({ step }) => step.conversion_from_previous,
      { ...conversion, ci: ({ step }) => step.conversion_from_previous_ci }),
    share("Drop-off", ({ step }) => lostShare(step), { ...conversion, isLoss, fileCI: ({ step }) => ofHundred(step.dropout_rate_ci) }),
    share("Finish from here", ({ step }) => step.conversion_rate, { ...conversion, fileCI: ({ step }) => step.conversion_rate_ci }),
    ...report.previous ? comparison(unit) : [],
    ...report.times === "none" ? [] : times(),
  ].filter(Boolean);
  return table("Every step of the funnel", columns, stepTable.rows(report));
}

const hasOpen = report => report.steps.some(step => isNumber(step.open));

/** The columns of the previous period and of the change since. */
function comparison(unit) {
  const [before, change] = [{ group: "Previous period" }, { group: "Change" }];
  const grown = ({ step, before }) => growth(step.count, before.count);
  return [
    count(capital(unit), ({ before }) => before.count, before),
    share("Conversion", ({ before }) => before.conversion_from_first, before),
    { ...count(capital(unit), ({ change }) => change.count, change), cell: ({ change }) => signed(change.count) },
    {
      ...count("%", grown, change), cell: row => signedPercent(grown(row)),
      file: [{ get: row => grown(row) === null ? null : 100 * grown(row) }],
    },
    {
      ...count("Conversion", ({ change }) => change.conversion_from_first, change),
      cell: ({ change }) => points(change.conversion_from_first),
      file: [{ unit: " (pp)", get: ({ change: { conversion_from_first: x } }) => x === null ? null : 100 * x }],
    },
  ];
}

function times() {
  const kinds = [["median", "Median"], ["average", "Average"], ["p90", "90% within"]];
  return [["_from_previous", "Time from previous step"], ["", "Time from step 1"]].flatMap(([suffix, group]) =>
    kinds.map(([key, label]) => time(label, ({ step }) => step[`${key}_seconds${suffix}`], { group })));
}

stepTable.rows = report => report.steps.map((step, i) => ({
  step, before: report.previous?.steps[i], change: report.change?.steps[i],
  kind: report.biggest_dropoff?.index === step.index ? "worst-row" : null,
}));

/** One row for each group, with its counts by step. The rows of a breakdown add up to the whole funnel. */
export function groupTable(report, unit) {
  const whole = { group: "Whole funnel" };
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
    const of = row => row.steps[i + 1];
    columns.push(count(capital(unit), row => of(row).count, { group }), count("Dropped off", row => of(row).dropoff, { group }),
      share("From previous step", row => of(row).conversion_from_previous, { group, fileCI: row => of(row).conversion_from_previous_ci }));
  });
  return table(report.breakdown ? `${capital(unit)} by ${report.breakdown.property}` : `${capital(unit)} by segment`, columns,
    groupTable.rows(report));
}

groupTable.rows = report => {
  if (report.segments) return report.segments.map(segment => ({ label: segment.name, ...segment }));
  const { rows, other } = report.breakdown;
  const list = rows.map(row => ({ label: valueText(row.value), quiet: row.value === null, ...row }));
  return other ? [...list, { label: `${otherCount(other)} other values`, quiet: true, ...other }] : list;
};

/** The number of other values. If shards left some out, only bounds are known. */
const otherCount = ({ values, values_range: range }) => values === null && range ? range.map(number).join(" to ") : number(values);
