import { getKept, post } from "../api/fetch.js";
import { tableCard } from "../parts/card.js";
import { count, share } from "../parts/columns.js";
import { h, isolate, name, put } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { field, input, select, setOptions } from "../parts/field.js";
import { interval, number, percent, points, pValue, valueText } from "../parts/format.js";
import { notice } from "../parts/states.js";
import { table } from "../parts/table.js";
import { funnels } from "../state/catalogue.js";
import { isSame } from "../state/json.js";
import { basis } from "../state/query.js";
import { patch } from "../state/url.js";
import { pairView } from "./pair-view.js";
import { pageHead, partialStrip, reportPage } from "./report-page.js";

export const bar = ["funnel", "range"];
export const title = state => `Experiments, ${state.funnel ?? "funnel"}`;

const NOTE = "Sequential p holds however often you look; p holds for one look that was planned. Both are adjusted for the number of variants. "
  + "Chance to win is the chance that the variant converts better than the control.";

/** Variants of a property against a control, or two funnels over the same users. */
export function show(main, state) {
  if (state.variant) {
    const variants = { property: state.variant };
    if (state.control !== undefined) variants.control = state.control;
    if (state.expected && typeof state.expected === "object") variants.expected = state.expected;
    return ask(basis(state), variants, report => variantsView(report, state), report => [control(report), split(report, state)]);
  }
  if (state.against && state.funnel && !state.def) {
    const { funnel_id: own, ...rest } = basis(state);
    return ask(rest, { funnels: [own, state.against].map(id => ({ name: id, funnel_id: id })) }, report => pairView(report, state));
  }
  main.removeAttribute("aria-busy");
  put(main, h("div", { class: "page" }, pageHead("Experiments", state), choosers(state),
    notice("empty", "Which property tells the variant?",
      "Send it with the event of step 1, such as variant = control or test. Users are compared by its value there.")));
  return {};

  function ask(body, variants, view, more) {
    const query = signal => post("/v1/query", { ...body, times: "none", variants }, signal);
    return reportPage(main, state, "table", query, answer => h("div", { class: "page" }, pageHead("Experiments", state),
      partialStrip(answer.completeness), choosers(state, more?.(answer.variants)), view(answer.variants)));
  }
}

function choosers(state, more) {
  const none = ["", "Choose a property"];
  const property = select([none], "", variant => patch({ variant: variant || null, control: null, expected: null, against: null }));
  setOptions(property, [none], state.variant);
  getKept("/v1/properties?allow_partial=1").then(({ properties }) => setOptions(property,
    [none, ...properties.map(one => [one.property, isolate(one.property)])], state.variant), () => {});
  const others = funnels().filter(one => one.funnel_id !== state.funnel).map(one => [one.funnel_id, one.funnel_id]);
  return h("div", { class: "row" }, field("Property of the variant", property), more, !state.def && others.length > 0
    && field("Or another funnel, over the same users", select([["", "None"], ...others], state.against,
      against => patch({ against: against || null, variant: null, control: null, expected: null }))));
}

const control = ({ groups, control: chosen }) => field("Control", select(groups.map(({ value }, i) => [String(i), isolate(valueText(value))]),
  String(groups.findIndex(({ value }) => isSame(value, chosen))), i => patch({ control: groups[i].value })));

/** Shares that were planned, in the order of the table; a check against equal ones would raise a false alarm. */
function split({ groups }, state) {
  const planned = ({ value }) => Object.hasOwn(state.expected, String(value)) ? state.expected[String(value)] : "";
  const shown = state.expected ? groups.map(planned).join(" : ") : "";
  const tell = text => {
    const shares = text.split(/[^0-9.]+/).filter(Boolean).map(Number);
    const isWhole = shares.length === groups.length && shares.every(share => share > 0);
    patch({ expected: isWhole ? Object.fromEntries(groups.map((group, i) => [String(group.value), shares[i]])) : null });
  };
  return field("Planned split", input(shown, tell, { placeholder: `equal, or ${groups.map((_, i) => i ? 10 : 90).join(" : ")}` }));
}

function variantsView(report, state) {
  const without = report.without_value.entered;
  return [
    ratio(report.sample_ratio),
    report.immature && h("div", { class: "strip warn" }, h("strong", {}, "Still open. "),
      "Some users may still convert, so no test holds yet. Wait for the conversion window to pass."),
    tableCard("Variants", variantTable(report), () => fileName(state.funnel, "variants")),
    h("p", { class: "fine" }, without ? `${number(without)} users entered without a value and are left out. ` : "", NOTE),
  ];
}

/** Whether users were split as planned: the first thing to look at. */
function ratio(split) {
  if (split.mismatch === null) return null;
  const p = `p ${pValue(split.p_value)}`;
  return split.mismatch
    ? h("div", { class: "strip warn", role: "alert" }, h("strong", {}, "Sample ratio mismatch. "),
      `Users were not split as planned (${p}). Something is wrong with the assignment or the events; do not trust the comparison.`)
    : h("div", { class: "strip" }, h("strong", {}, "Split as planned. "), `Sample ratio check passed, ${p}.`);
}

function variantTable(report) {
  const versus = key => ({ comparison }) => comparison?.[key] ?? null;
  const [difference, sequential, single] = ["difference", "adjusted_sequential_p_value", "adjusted_p_value"].map(versus);
  const range = rangeOf(report.groups);
  return table("Conversion by variant", [
    { label: "Variant", cell: group => name(valueText(group.value)), csv: group => valueText(group.value) },
    count("Users", group => group.entered), count("Converted", group => group.converted),
    share("Conversion", group => group.conversion, { digits: 2, ci: group => group.conversion_ci }),
    {
      label: range ? range.map(x => percent(x, 1)).join(" to ") : "Interval",
      cell: group => whisker(group, range), csv: group => group.conversion_ci?.join(" to "),
    },
    { label: "Verdict", cell: group => verdict(group, report.immature), csv: group => verdict(group, report.immature).textContent },
    { ...share("Difference", difference), cell: group => [points(difference(group)), bounds(group.comparison)] },
    share("Lift", versus("lift"), { digits: 1 }), share("Chance to win", versus("chance_to_win"), { digits: 1 }),
    { ...share("Sequential p", sequential), cell: group => pValue(sequential(group)) },
    { ...share("p", single), cell: group => pValue(single(group)) },
    share("Best", group => group.chance_to_be_best, { digits: 1 }),
  ], report.groups);
}

const bounds = comparison => comparison?.difference_ci && h("small", { class: "ci" }, comparison.difference_ci.map(points).join(" to "));

/** From the lowest to the highest interval; null without any. */
function rangeOf(groups) {
  const cis = groups.map(group => group.conversion_ci).filter(Boolean);
  return cis.length ? [Math.min(...cis.map(ci => ci[0])), Math.max(...cis.map(ci => ci[1]))] : null;
}

function whisker({ conversion, conversion_ci: ci }, range) {
  if (!ci) return null;
  const place = x => (x - range[0]) / (range[1] - range[0] || 1);
  return h("span", {
    class: "whisker", role: "img", "aria-label": `95% interval ${interval(ci)}`,
    vars: { "--low": place(ci[0]), "--high": place(ci[1]), "--at": place(conversion) },
  });
}

function verdict({ comparison }, isImmature) {
  if (!comparison) return h("span", { class: "tag" }, "control");
  if (isImmature) return h("span", { class: "muted" }, "too early");
  const p = comparison.adjusted_sequential_p_value;
  if (p === null || p >= 0.05) return h("span", { class: "muted" }, "no clear difference");
  return comparison.difference > 0 ? h("strong", { class: "up" }, "▲ better") : h("strong", { class: "down" }, "▼ worse");
}
