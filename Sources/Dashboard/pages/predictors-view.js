import { h, name } from "../parts/dom.js";
import { decimal, number, percent, valueText } from "../parts/format.js";
import { table } from "../parts/table.js";

const p = x => x === null ? "–" : x < 0.001 ? "< 0.001" : x.toFixed(3);

/** What users who reached a step had done or had been, against those who did not. */
export function predictorsView(answer) {
  if (!answer.predictors.length) return [h("p", { class: "muted" }, `Nothing was done by ${answer.min_users} of the ${number(answer.users)} users or more.`)];
  const made = table("What speaks for and against reaching this step", [
    { label: "Before it, users", cell: row => row.event !== undefined ? ["did ", name(row.event)] : ["had ", name(row.property), " = ", name(valueText(row.value))],
      csv: row => row.event ?? `${row.property} = ${valueText(row.value)}` },
    { label: "Lift", number: true, cell: row => row.lift === null ? "–" : h("span", { class: row.direction === "up" ? "up" : "down" }, `${row.direction === "up" ? "▲" : row.direction === "down" ? "▼" : ""} ${decimal(100 * row.lift)}%`), csv: row => row.lift },
    { label: "With it", number: true, cell: row => [percent(row.with.conversion), h("small", { class: "ci" }, `of ${number(row.with.users)}`)], csv: row => row.with.conversion },
    { label: "Without", number: true, cell: row => [percent(row.without.conversion), h("small", { class: "ci" }, `of ${number(row.without.users)}`)], csv: row => row.without.conversion },
    { label: "q value", number: true, cell: row => p(row.q_value), csv: row => row.q_value },
  ], answer.predictors);
  return [h("p", { class: "muted" }, `Of ${number(answer.users)} users at step ${answer.of}, ${percent(answer.conversion)} reached step ${answer.step}. ${number(answer.tested)} things were tested; the q value accounts for that. What goes together need not be the cause.`), made.node];
}
