import { count, share, text } from "../parts/columns.js";
import { h } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { number, points, pValue } from "../parts/format.js";
import { table } from "../parts/table.js";
import { tableCard } from "../parts/card.js";

/** Compares two funnels over the same users. Each user has both outcomes; the test uses those that differ. */
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
  const notes = [
    paired.difference_ci && `95% confidence: ${paired.difference_ci.map(points).join(" to ")};`,
    paired.p_value !== null && `p ${pValue(paired.p_value)} (exact McNemar test).`, "Only users who entered both are compared.",
  ].filter(Boolean).join(" ");
  const size = Math.abs(100 * (paired.difference ?? 0)).toFixed(1);
  const way = paired.difference > 0 ? "more" : "less";
  const verdict = paired.difference === null ? "No user entered both. "
    : Number(paired.difference) === 0 ? "Both convert equally. " : `${second} converts ${size} points ${way} than ${first}. `;
  return [
    h("div", { class: "strip" }, h("strong", {}, verdict), notes),
    tableCard("Funnels", heads, () => fileName(state.funnel, "pair")),
    tableCard(`Users who entered both (${number(both.users)})`, cross, () => fileName(state.funnel, "pair-users")),
  ];
}
