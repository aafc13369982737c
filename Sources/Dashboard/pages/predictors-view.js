import { count, share } from "../parts/columns.js";
import { h, name } from "../parts/dom.js";
import { number, percent, pValue, valueText } from "../parts/format.js";
import { table } from "../parts/table.js";

const ARROWS = { up: "▲ ", down: "▼ " };

/** The events and properties that differ between users who reached a step and those who did not. */
export function predictorsView(answer) {
  if (!answer.predictors.length) {
    const few = `No event or property is shared by at least ${answer.min_users} of the ${number(answer.users)} users.`;
    return [h("p", { class: "muted" }, few)];
  }
  const withUsers = key => row => [percent(row[key].conversion), h("small", { class: "ci" }, `of ${number(row[key].users)}`)];
  const made = table("Events and properties that predict reaching this step", [
    {
      label: "Users who, before this step,", csv: row => row.event ?? `${row.property} = ${valueText(row.value)}`,
      cell: row => h("span", { class: "path" },
        row.event === undefined ? ["had ", name(row.property), " = ", name(valueText(row.value))] : ["did ", name(row.event)]),
    },
    { ...share("Lift", row => row.lift), cell: row => h("span", { class: row.direction }, ARROWS[row.direction] ?? "", percent(row.lift, 1)) },
    { ...share("With it", row => row.with.conversion, { group: "Conversion" }), cell: withUsers("with") },
    { ...share("Without it", row => row.without.conversion, { group: "Conversion" }), cell: withUsers("without") },
    { ...count("Adjusted p (q)", row => row.q_value), cell: row => pValue(row.q_value) },
  ], answer.predictors);
  const summary = `Of ${number(answer.users)} users at step ${answer.of}, ${percent(answer.conversion)} reached step ${answer.step}. `
    + `${number(answer.tested)} events and properties were checked; q below 0.05 is unlikely to be chance. Correlation is not causation.`;
  return [h("p", { class: "muted" }, summary), made.node];
}
