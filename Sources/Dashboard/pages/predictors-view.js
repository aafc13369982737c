import { count, share } from "../parts/columns.js";
import { h, name } from "../parts/dom.js";
import { number, percent, pValue, valueText } from "../parts/format.js";
import { table } from "../parts/table.js";

const ARROWS = { up: "▲ ", down: "▼ " };

/** What users who reached a step had done or had been, against those who did not. */
export function predictorsView(answer) {
  if (!answer.predictors.length) {
    const few = `No event or property is shared by at least ${answer.min_users} of the ${number(answer.users)} users.`;
    return [h("p", { class: "muted" }, few)];
  }
  const withUsers = key => row => [percent(row[key].conversion), h("small", { class: "ci" }, `of ${number(row[key].users)}`)];
  const made = table("What speaks for and against reaching this step", [
    {
      label: "Users who, before this step,", csv: row => row.event ?? `${row.property} = ${valueText(row.value)}`,
      cell: row => h("span", { class: "path" },
        row.event === undefined ? ["had ", name(row.property), " = ", name(valueText(row.value))] : ["did ", name(row.event)]),
    },
    { ...share("Lift", row => row.lift), cell: row => h("span", { class: row.direction }, ARROWS[row.direction] ?? "", percent(row.lift, 1)) },
    { ...share("With it", row => row.with.conversion), cell: withUsers("with") },
    { ...share("Without", row => row.without.conversion), cell: withUsers("without") },
    { ...count("Adjusted p (q)", row => row.q_value), cell: row => pValue(row.q_value) },
  ], answer.predictors);
  const told = `Of ${number(answer.users)} users at step ${answer.of}, ${percent(answer.conversion)} reached step ${answer.step}. `
    + `${number(answer.tested)} events and properties were checked; q below 0.05 is unlikely to be chance. Correlation is not cause.`;
  return [h("p", { class: "muted" }, told), made.node];
}
