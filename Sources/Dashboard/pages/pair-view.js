import { count, share, text } from "../parts/columns.js";
import { h } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { number, points, pValue } from "../parts/format.js";
import { table } from "../parts/table.js";
import { tableCard } from "../parts/card.js";

/** Two funnels over the same users: each user has both outcomes, so those who differ decide. */
export function pairView({ paired, table: { entered_both: both }, funnels }, state) {
  const [first, second] = funnels.map(funnel => funnel.name);
  const heads = table("The two funnels", [
    text("Funnel", row => row.name), count("Entered", row => row.entered), count("Converted", row => row.converted),
    share("Conversion", row => row.conversion, { ci: row => row.conversion_ci }),
  ], funnels);
  const outcomes = [
    ["Converted in both", both.converted_both], [`Only in ${first}`, both.converted_first_only],
    [`Only in ${second}`, both.converted_second_only], ["In neither", both.converted_neither],
  ];
  const cross = table("Users who entered both", [
    text("Outcome", ([label]) => label), count("Users", ([, users]) => users), share("Share", ([, users]) => both.users ? users / both.users : null),
  ], outcomes);
  const told = [
    paired.difference_ci && `95% confidence: ${paired.difference_ci.map(points).join(" to ")};`,
    paired.p_value !== null && `p ${pValue(paired.p_value)} (McNemar, exact).`, "Compared over the users who entered both.",
  ].filter(Boolean).join(" ");
  const size = Math.abs(100 * (paired.difference ?? 0)).toFixed(1);
  const way = paired.difference > 0 ? "more" : "less";
  const verdict = paired.difference === null ? "No user entered both. "
    : Number(paired.difference) === 0 ? "Both convert alike. " : `${second} converts ${size} points ${way} than ${first}. `;
  return [
    h("div", { class: "strip" }, h("strong", {}, verdict), told),
    tableCard("Funnels", heads, () => fileName(state.funnel, "pair")),
    tableCard(`Users who entered both (${number(both.users)})`, cross, () => fileName(state.funnel, "pair-users")),
  ];
}
