import { h, name } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { interval, number, percent, points } from "../parts/format.js";
import { table } from "../parts/table.js";
import { tableCard } from "./funnel-view.js";

/** Two funnels over the same users: each user has both outcomes, so those who differ decide. */
export function pairView(report, state) {
  const { paired, table: counts, funnels } = report;
  const both = counts.entered_both;
  const [first, second] = funnels.map(funnel => funnel.name);
  const heads = table("The two funnels", [
    { label: "Funnel", cell: row => name(row.name), csv: row => row.name }, { label: "Entered", number: true, cell: row => number(row.entered), csv: row => row.entered },
    { label: "Converted", number: true, cell: row => number(row.converted), csv: row => row.converted },
    { label: "Conversion", number: true, cell: row => [percent(row.conversion), row.conversion_ci && h("small", { class: "ci" }, interval(row.conversion_ci))], csv: row => row.conversion },
  ], funnels);
  const rows = [["Converted in both", both.converted_both], [`Only in ${first}`, both.converted_first_only], [`Only in ${second}`, both.converted_second_only], ["In neither", both.converted_neither]]
    .map(([label, users]) => ({ label, users }));
  const cross = table("Users who entered both", [
    { label: "Outcome", cell: row => name(row.label), csv: row => row.label }, { label: "Users", number: true, cell: row => number(row.users), csv: row => row.users },
    { label: "Share", number: true, cell: row => percent(both.users ? row.users / both.users : null), csv: row => both.users ? row.users / both.users : null },
  ], rows);
  const p = paired.p_value;
  return [
    h("div", { class: "strip" }, h("strong", {}, paired.difference === null ? "Nobody entered both. " : `${points(paired.difference)} for the second. `),
      paired.difference_ci ? `95% interval ${paired.difference_ci.map(points).join(" to ")}; ` : "", p === null ? "" : `p ${p < 0.001 ? "< 0.001" : p.toFixed(3)} (McNemar, exact). `, "Compared over the users who entered both."),
    tableCard("Funnels", heads, () => fileName(state.funnel, "pair")), tableCard(`Users who entered both (${number(both.users)})`, cross, () => fileName(state.funnel, "pair-users")),
  ];
}
