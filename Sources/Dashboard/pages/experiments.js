import { getKept, post } from "../api/fetch.js";
import { h, isolate, name, put } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { field, select } from "../parts/field.js";
import { interval, number, percent, points, valueText } from "../parts/format.js";
import { notice } from "../parts/states.js";
import { table } from "../parts/table.js";
import { basis } from "../state/query.js";
import { funnels } from "../state/catalogue.js";
import { pairView } from "./pair-view.js";
import { patch } from "../state/url.js";
import { tableCard } from "./funnel-view.js";
import { pageHead, partialStrip, reportPage } from "./report-page.js";

export const bar = ["funnel", "range"];
export const title = state => `Experiments, ${state.funnel ?? "funnel"}`;

const p = x => x === null || x === undefined ? "–" : x < 0.001 ? "< 0.001" : x.toFixed(3);

/** Variants of a property against a control. */
export function show(main, state) {
  const chooser = select([["", "Choose a property"]], state.variant ?? "", variant => patch({ variant: variant || null, control: null, expected: null, against: null }));
  getKept("/v1/properties?allow_partial=1").then(({ properties }) => put(chooser, h("option", { value: "" }, "Choose a property"),
    properties.map(({ property }) => h("option", { value: property, selected: property === state.variant }, isolate(property)))), () => {});
  const rivals = funnels().filter(funnel => funnel.funnel_id !== state.funnel).map(funnel => [funnel.funnel_id, funnel.funnel_id]);
  const rival = !state.def && rivals.length > 0 && field("Or another funnel, over the same users", select([["", "None"], ...rivals], state.against ?? "", against => patch({ against: against || null, variant: null, control: null })));
  if (state.against && !state.variant && !state.def) {
    const { funnel_id, ...rest } = basis(state);
    const pair = { funnels: [funnel_id, state.against].map(id => ({ name: id, funnel_id: id })) };
    return reportPage(main, state, "table", signal => post("/v1/query", { ...rest, times: "none", variants: pair }, signal), answer => h("div", { class: "page" },
      pageHead("Experiments", state), partialStrip(answer.completeness), h("div", { class: "row" }, field("Property of the variant", chooser), rival), pairView(answer.variants, state)));
  }
  if (!state.variant) {
    main.removeAttribute("aria-busy");
    put(main, h("div", { class: "page" }, pageHead("Experiments", state), h("div", { class: "row" }, field("Property of the variant", chooser), rival),
      notice("empty", "Which property tells the variant?", "Send it with the event of step 1, such as variant = control or test. Users are compared by its value there.")));
    return {};
  }
  const variants = { property: state.variant };
  if (state.control) variants.control = state.control === "true" ? true : state.control === "false" ? false : state.control;
  return reportPage(main, state, "table", signal => post("/v1/query", { ...basis(state), times: "none", variants }, signal), answer => {
    const report = answer.variants;
    const unsplit = report.without_value.entered;
    return h("div", { class: "page" }, pageHead("Experiments", state), partialStrip(answer.completeness),
      h("div", { class: "row" }, field("Property of the variant", chooser), field("Control", select(report.groups.map(group => [String(group.value), isolate(valueText(group.value))]), String(report.control), control => patch({ control })))),
      ratio(report), report.immature && h("div", { class: "strip warn" }, h("strong", {}, "Still open. "), "Some users may still convert, so no test holds yet. Wait for the conversion window to pass."),
      tableCard("Variants", variantTable(report), () => fileName(state.funnel, "variants")),
      h("p", { class: "fine" }, unsplit ? `${number(unsplit)} users entered without a value and are left out. ` : "",
        "Sequential p holds however often you look; p holds for one look that was planned. Both are adjusted for the number of variants. Chance to win is the chance that the variant converts better than the control."));
  });
}

/** Whether users were split as planned: the first thing to look at. */
function ratio({ sample_ratio: split }) {
  if (split.mismatch === null) return null;
  return split.mismatch
    ? h("div", { class: "strip warn", role: "alert" }, h("strong", {}, "Sample ratio mismatch. "), `Users were not split as planned (p ${p(split.p_value)}). Something is wrong with the assignment or the events; do not trust the comparison.`)
    : h("div", { class: "strip" }, h("strong", {}, "Split as planned. "), `Sample ratio check passed, p ${p(split.p_value)}.`);
}

function variantTable(report) {
  const cis = report.groups.map(group => group.conversion_ci).filter(Boolean);
  const low = Math.max(0, Math.min(...cis.map(ci => ci[0])));
  const high = Math.min(1, Math.max(...cis.map(ci => ci[1])));
  const place = x => (x - low) / (high - low || 1);
  const whisker = group => group.conversion_ci && h("span", { class: "whisker", role: "img", "aria-label": `95% interval ${interval(group.conversion_ci)}`,
    vars: { "--low": place(group.conversion_ci[0]), "--high": place(group.conversion_ci[1]), "--at": place(group.conversion) } });
  const versus = key => ({ comparison }) => comparison?.[key] ?? null;
  const verdict = ({ comparison }) => {
    if (!comparison) return h("span", { class: "tag" }, "control");
    if (report.immature) return h("span", { class: "muted" }, "too early");
    const isSure = comparison.adjusted_sequential_p_value !== null && comparison.adjusted_sequential_p_value < 0.05;
    return isSure ? h("strong", { class: comparison.difference > 0 ? "up" : "down" }, comparison.difference > 0 ? "▲ better" : "▼ worse") : h("span", { class: "muted" }, "no clear difference");
  };
  return table("Conversion by variant", [
    { label: "Variant", cell: group => group.value === null ? h("em", {}, valueText(null)) : name(valueText(group.value)), csv: group => valueText(group.value) },
    { label: "Users", number: true, cell: group => number(group.entered), csv: group => group.entered },
    { label: "Converted", number: true, cell: group => number(group.converted), csv: group => group.converted },
    { label: "Conversion", number: true, cell: group => [percent(group.conversion, 2), h("small", { class: "ci" }, interval(group.conversion_ci))], csv: group => group.conversion },
    { label: cis.length ? `${percent(low, 1)} to ${percent(high, 1)}` : "Interval", cell: whisker, csv: group => group.conversion_ci?.join(" to ") },
    { label: "Verdict", cell: verdict, csv: group => group.comparison ? "" : "control" },
    { label: "Difference", number: true, cell: group => group.comparison ? [points(group.comparison.difference), h("small", { class: "ci" }, group.comparison.difference_ci ? group.comparison.difference_ci.map(points).join(" to ") : "")] : "–", csv: versus("difference") },
    { label: "Lift", number: true, cell: group => group.comparison ? percent(group.comparison.lift, 1) : "–", csv: versus("lift") },
    { label: "Chance to win", number: true, cell: group => percent(group.comparison?.chance_to_win ?? null, 1), csv: versus("chance_to_win") },
    { label: "Sequential p", number: true, cell: group => p(group.comparison?.adjusted_sequential_p_value), csv: versus("adjusted_sequential_p_value") },
    { label: "p", number: true, cell: group => p(group.comparison?.adjusted_p_value), csv: versus("adjusted_p_value") },
    { label: "Best", number: true, cell: group => percent(group.chance_to_be_best, 1), csv: group => group.chance_to_be_best },
  ], report.groups);
}
