import { get, getCached, post } from "../api/fetch.js";
import { tableCard } from "../parts/card.js";
import { count, share } from "../parts/columns.js";
import { button, h, isolate, name, put } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { field, input, select, setFault, setOptions } from "../parts/field.js";
import { interval, number, plural, points, pValue, valueText } from "../parts/format.js";
import { pathOf } from "../parts/faults.js";
import { notice } from "../parts/states.js";
import { table } from "../parts/table.js";
import { definitionOf, funnels } from "../state/funnels.js";
import { isSame } from "../state/json.js";
import { basis } from "../state/query.js";
import { patch } from "../state/url.js";
import { pairView } from "./pair-view.js";
import { pageHead, reportPage } from "./report-page.js";

export const bar = ["funnel", "range"];
export const title = state => `Experiments, ${state.funnel ?? "funnel"}`;

const NOTE = "“p (safe to watch)” is valid however often you look at it. “p (one look)” is valid for one planned look. "
  + "Both are corrected for the number of variants. “Chance to win” is the chance that the variant converts better than the control.";

/** Parameters of one property, removed when another one is chosen. */
const OF_PROPERTY = { control: null, expected: null, exposure: null };

/** The rules that assign a user to a variant. */
const EXPOSURES = [["", "the first variant they saw"], ["attempt", "the variant of the counted attempt"]];

/** Compares the variants of a property with a control, or two funnels over the same users. */
export function show(main, state) {
  const more = h("div", { class: "row" });
  const controls = h("div", { class: "stack" }, choosers(state), more);
  if (state.variant) {
    const variants = { property: state.variant };
    if (state.control !== undefined) variants.control = state.control;
    if (state.expected && typeof state.expected === "object") variants.expected = state.expected;
    if (state.exposure === "attempt") variants.exposure = "attempt";
    put(more, exposure(state));
    return ask(basis(state), variants, report => {
      put(more, exposure(state), control(report), split(report, state));
      return variantsView(report, state);
    });
  }
  if (state.against && state.funnel && !state.def) {
    const { funnel_id: own, ...rest } = basis(state);
    return ask(rest, { funnels: [own, state.against].map(id => ({ name: id, funnel_id: id })) }, report => pairView(report, state));
  }
  main.removeAttribute("aria-busy");
  put(main, h("div", { class: "page" }, pageHead("Experiments", state), controls,
    notice("empty", "Which property holds the variant?",
      "Send the property with the event of step 1, for example variant = control. Users are grouped by its value there.")));
  return {};

  function ask(body, variants, view) {
    return reportPage(main, state, {
      title: "Experiments", controls, kind: "table", draw: answer => view(answer.variants), fault,
      ask: signal => post("/v1/query", { ...body, times: "none", variants }, signal).catch(error => counted(error, state, signal)),
    });
  }

  /** The title of an error, and buttons that undo choices which may have caused it. */
  function fault() {
    const undo = (key, label) => state[key] && button(label, () => patch({ [key]: null }));
    const actions = [undo("control", "Use the default control"), undo("expected", "Remove the planned split")].filter(Boolean);
    return { title: "These variants can't be compared", actions };
  }
}

/** If the error is that a property has too many values, adds their number. @throws the error */
async function counted(error, state, signal) {
  const wrong = error.errors?.find(({ field }) => pathOf(field) === "variants.property");
  const [whole, most] = /has more than (\d+) values/.exec(wrong?.reason) ?? [];
  if (whole) {
    const step = definitionOf(state)?.steps[0];
    const [event] = step?.events ?? [step?.name ?? step];
    const scope = event && event !== "*" ? `&event=${encodeURIComponent(event)}` : "";
    const address = `/v1/properties/${encodeURIComponent(state.variant)}/values?limit=1&allow_partial=true${scope}`;
    const found = await get(address, signal).catch(() => null);
    // This counts the values of all events. A number within the limit would contradict the error.
    if (found && !found.truncated && found.total > Number(most)) {
      wrong.reason = `“${state.variant}” has ${number(found.total)} values; an experiment takes up to ${most}`;
    }
  }
  throw error;
}

function choosers(state) {
  const none = ["", "Choose a property"];
  const property = select([none], "", variant => patch({ variant: variant || null, ...OF_PROPERTY, against: null }),
    { "data-field": "variants.property" });
  setOptions(property, [none], state.variant);
  getCached("/v1/properties?allow_partial=1").then(({ properties }) => setOptions(property,
    [none, ...properties.map(one => [one.property, isolate(one.property)])], state.variant), () => {});
  const others = funnels().filter(one => one.funnel_id !== state.funnel).map(one => [one.funnel_id, one.funnel_id]);
  return h("div", { class: "row" }, field("Variant property", property), !state.def && others.length > 0
    && field("Or compare with another funnel (same users)", select([["", "None"], ...others], state.against,
      against => patch({ against: against || null, variant: null, ...OF_PROPERTY }))));
}

const exposure = state => field("Assign users to", select(EXPOSURES, state.exposure === "attempt" ? "attempt" : "",
  value => patch({ exposure: value || null }), { "data-field": "variants.exposure" }));

function control({ groups, control: chosen }) {
  const options = groups.map(({ value }, i) => [String(i), isolate(valueText(value))]);
  const at = groups.findIndex(({ value }) => isSame(value, chosen));
  return field("Control", select(options, String(at), i => patch({ control: groups[i].value })));
}

/** The planned shares, in the order of the table. Unequal groups without a plan are reported as a mismatch. */
function split({ groups }, state) {
  const planned = ({ value }) => Object.hasOwn(state.expected, String(value)) ? state.expected[String(value)] : "";
  const shown = state.expected ? groups.map(planned).join(" : ") : "";
  const example = groups.map((_, i) => i ? 10 : 90).join(" : ");
  const plan = input(shown, take, { placeholder: `equal, or ${example}` });
  return field("Planned split", plan);

  function take(text) {
    const shares = text.split(/[^0-9.]+/).filter(Boolean).map(Number);
    const isWhole = shares.length === groups.length && shares.every(share => share > 0);
    setFault(plan, text.trim() && !isWhole ? `Enter a share for each of the ${groups.length} variants, such as ${example}` : null);
    if (isWhole) patch({ expected: Object.fromEntries(groups.map((group, i) => [String(group.value), shares[i]])) });
    else if (!text.trim()) patch({ expected: null });
  }
}

function variantsView(report, state) {
  const without = report.without_value.entered;
  return [
    ratio(report.sample_ratio, Boolean(state.expected)),
    report.immature && h("div", { class: "strip warn" }, h("strong", {}, "Not final. "),
      "Some users can still convert, so the tests are not valid yet. Wait until the conversion window has passed."),
    several(report),
    tableCard("Variants", variantTable(report), () => fileName(state.funnel, "variants")),
    h("p", { class: "fine" }, without ? `${plural(without, "user")} entered without a value and are not compared. ` : "", NOTE),
  ];
}

/** Says which variant counts for users who saw several. */
function several({ several_values: users, exposure }) {
  if (!users) return null;
  const which = exposure === "attempt" ? "the variant of the counted attempt" : "the first one";
  return h("div", { class: "strip" }, `${plural(users, "user")} saw more than one variant. Each is assigned to ${which}.`);
}

/** Whether users were split as planned. If not, the comparison is not valid. */
function ratio(split, isPlanned) {
  if (split.mismatch === null) return null;
  const p = `p ${pValue(split.p_value)}`;
  return split.mismatch
    ? h("div", { class: "strip warn", role: "alert" }, h("strong", {}, "Sample ratio mismatch. "),
      `Users were not split ${isPlanned ? "as planned" : "evenly"} (${p}). Check the assignment and the events; do not trust the comparison.`,
      !isPlanned && " No plan was entered, so equal groups are assumed. If the plan was another, enter it under Planned split: 60 : 40, for example.")
    : h("div", { class: "strip" }, h("strong", {}, isPlanned ? "Split as planned. " : "Split evenly. "),
      `Sample ratio check passed, ${p}.`);
}

function variantTable(report) {
  const versus = key => ({ comparison }) => comparison?.[key] ?? null;
  const [difference, sequential, single] = ["difference", "adjusted_sequential_p_value", "adjusted_p_value"].map(versus);
  const range = rangeOf(report.groups);
  return table("Conversion by variant", [
    { label: "Variant", cell: group => name(valueText(group.value)), csv: group => valueText(group.value) },
    count("Users", group => group.entered), count("Converted", group => group.converted),
    share("Conversion", group => group.conversion, { digits: 2, ci: group => group.conversion_ci }),
    { label: "95% confidence", cell: group => whisker(group, range), file: [] },
    { label: "Verdict", cell: group => verdict(group, report.immature), csv: group => verdict(group, report.immature).textContent },
    {
      ...share("Difference", difference, { fileCI: versus("difference_ci") }),
      cell: group => [points(difference(group)), bounds(group.comparison)],
    },
    share("Lift", versus("lift"), { digits: 1, fileCI: versus("lift_ci") }), share("Chance to win", versus("chance_to_win"), { digits: 1 }),
    { ...count("p (safe to watch)", sequential), cell: group => pValue(sequential(group)) },
    { ...count("p (one look)", single), cell: group => pValue(single(group)) },
    share("Chance to be best", group => group.chance_to_be_best, { digits: 1 }),
  ], report.groups);
}

const bounds = comparison => comparison?.difference_ci && h("small", { class: "ci" }, comparison.difference_ci.map(points).join(" to "));

/** The range that all intervals span; null if there is none. */
function rangeOf(groups) {
  const cis = groups.map(group => group.conversion_ci).filter(Boolean);
  return cis.length ? [Math.min(...cis.map(ci => ci[0])), Math.max(...cis.map(ci => ci[1]))] : null;
}

function whisker({ conversion, conversion_ci: ci }, range) {
  if (!ci) return null;
  const place = x => (x - range[0]) / (range[1] - range[0] || 1);
  return h("span", {
    class: "whisker", role: "img", "aria-label": `95% confidence: ${interval(ci)}`,
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
