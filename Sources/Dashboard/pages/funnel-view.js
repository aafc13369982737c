import { button, h, name, put } from "../parts/dom.js";
import { day, instant, number, percent, plural, windowText } from "../parts/format.js";
import { funnelBars, legend, lostShare } from "../parts/bars.js";
import { card, pngButton, tableCard } from "../parts/card.js";
import { fileName } from "../parts/export.js";
import { drawFunnel } from "../parts/funnel-picture.js";
import { definitionOf } from "../state/catalogue.js";
import { stringify } from "../state/json.js";
import { rangeText, zoneOf } from "../state/range.js";
import { countedText, orderText } from "../state/query.js";
import { carry, href, patch } from "../state/url.js";
import { figures } from "./figures.js";
import { groupTable, stepTable } from "./funnel-tables.js";
import { BARS_MAX, seriesOf } from "./series.js";
import { stepDetail } from "./step-detail.js";

/** Reports of one shape are shown by the same nodes. */
export const shapeOf = report => stringify([report.steps.map(step => step.step), seriesOf(report).map(one => one.label),
  Boolean(report.breakdown), Boolean(report.previous)]);

export function funnelView(first, state, { mark, onstep }) {
  let report = first;
  const definition = report.funnel;
  const unit = countedText(definition);
  const series = seriesOf(report);
  const isGrouped = Boolean(report.segments || report.breakdown);
  const top = figures(report, unit);
  const callout = h("div", { class: "callout-place" });
  const notices = h("div", { class: "notices" });
  const bars = series.length > 0 && funnelBars(series, {
    unit, onstep, detail: index => stepDetail(report, state, index, unit), optional: definition.steps.map(step => Boolean(step.optional)),
  });
  const steps = stepTable(report, unit);
  const groups = isGrouped && groupTable(report, unit);
  const foot = h("p", { class: "fine" });
  const file = () => fileName(state.funnel ?? "funnel", state.by ?? "");
  const saved = definitionOf(state);

  const node = h("div", { class: "page" },
    h("header", { class: "page-head" },
      h("div", {}, h("h1", {}, state.def ? "Unsaved funnel" : name(state.funnel)), h("p", { class: "muted" }, describe(definition, state))),
      h("div", { class: "actions" }, mark,
        h("a", { class: "button", href: href(carry(state, "edit")) }, saved && !state.def ? "Edit" : "Edit steps"))),
    notices, top.node, callout,
    card(cardTitle(report), [pngButton(() => drawFunnel(seriesOf(report), unit), file)],
      series.length > 1 && legend(series), h("div", { class: "funnel-box" }, bars && bars.node), groupNote(report)),
    groups && tableCard(report.breakdown ? "By value" : "By segment", groups, () => file() + "-groups"),
    tableCard(isGrouped ? "All users, by step" : "By step", steps, file), foot);

  function update(next) {
    report = next;
    top.update(report);
    put(callout, biggest(report, unit, onstep));
    put(notices, partial(report), immature(report), anyOrder(report));
    bars?.update?.(seriesOf(report), report.steps, report.biggest_dropoff?.index);
    steps.update(stepTable.rows(report));
    groups?.update?.(groupTable.rows(report));
    put(foot, footer(report, state));
  }
  return { node, update };
}

function describe(definition, state) {
  return [plural(definition.steps.length, "step"), `${windowText(definition.window_duration)} window`, orderText(definition),
    `counts ${countedText(definition)}`, rangeText(state)].join(" · ");
}

const cardTitle = report => report.segments ? "Steps by segment" : report.breakdown ? "Steps by value" : "Steps";

function groupNote(report) {
  if (!report.segments && !report.breakdown) return null;
  const { rows, other } = report.breakdown ?? { rows: [] };
  return h("p", { class: "fine" }, [
    report.segments && "Segments may overlap; they are not tested against each other.",
    rows.length + (other ? 1 : 0) > BARS_MAX && `Bars show the ${BARS_MAX} largest groups; the table has all.`,
    "Heights are shares of each group's step 1; the numbers are those of all users.",
  ].filter(Boolean).join(" "));
}

/** The biggest drop-off in words; opens who it was. */
function biggest(report, unit, onstep) {
  const worst = report.biggest_dropoff;
  if (!worst) return report.entered > 0 ? h("p", { class: "callout calm" }, "Nobody was lost between steps.") : null;
  const at = report.steps[worst.index - 1];
  const before = previousRequired(report, worst.index - 1);
  const way = report.order === "any"
    ? [`from ${plural(worst.index - 1, "step")} done to ${worst.index}`]
    : [name(before.step), " → ", name(worst.step)];
  return h("div", { class: "callout" }, h("span", {}, h("strong", {}, "Biggest drop-off: "), way, ", ",
    h("strong", {}, percent(lostShare(at))), ` of ${number(before.count)} ${unit} leave`),
    button("See who", () => onstep(worst.index), { class: "button small" }));
}

export function previousRequired(report, i) {
  for (let at = i - 1; at > 0; at--) if (!report.funnel.steps[at]?.optional) return report.steps[at];
  return report.steps[0];
}

function partial(report) {
  const { exact, missing, shards_asked: asked, shards_answered: answered } = report.completeness;
  if (exact) return null;
  return h("div", { class: "strip warn", role: "status" }, h("strong", {}, "Partial answer. "),
    `${answered} of ${plural(asked, "shard")} answered; without ${missing.map(id => `shard ${id}`).join(", ")}. Users kept there are not counted. `,
    button("Ask for all", () => patch({ partial: null }), { class: "button small" }));
}

function immature(report) {
  if (!report.change?.immature) return null;
  // Without open attempts it is only that the period goes on.
  const isOpen = report.expected_conversions === null || report.expected_conversions > report.converted;
  return h("div", { class: "strip" }, h("strong", {}, isOpen ? "Still open. " : "Not over yet. "), isOpen
    ? "The conversion window of this period has not passed: some users may still convert, so it can look worse than the one before."
    : "More users may enter and convert, so this period can look worse than the one before.");
}

function anyOrder(report) {
  if (report.order !== "any") return null;
  return h("div", { class: "strip" }, h("strong", {}, "Any order. "),
    "Each bar counts users who did that many of the steps, whichever they were; names are only those of the definition.");
}

function footer(report, state) {
  const zone = zoneOf(state);
  const whole = report.completeness;
  const parts = [
    `${whole.exact ? "Exact" : "Partial"}: ${whole.shards_answered} of ${plural(whole.shards_asked, "shard")}`,
    `as of ${instant(report.as_of, zone)}`, `newest event ${instant(whole.newest_event, zone)}`, `times in ${zone}`, `rules ${report.rules}`,
  ];
  if (report.times === "histogram") parts.push("medians and percentiles within 1%");
  if (report.previous) parts.push(`period before: ${day(report.previous.start, zone)} to ${day(Date.parse(report.previous.end) - 1, zone)}`);
  return parts.join(" · ");
}
