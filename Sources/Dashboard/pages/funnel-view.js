import { h, name, put } from "../parts/dom.js";
import { day, instant, plural, windowText } from "../parts/format.js";
import { funnelBars, legend } from "../parts/funnel-chart.js";
import { card, pngButton, tableCard } from "../parts/card.js";
import { fileName } from "../parts/export.js";
import { funnelPicture } from "../parts/funnel-picture.js";
import { paint } from "../parts/picture.js";
import { definitionOf } from "../state/funnels.js";
import { stringify } from "../state/json.js";
import { rangeText, zoneOf } from "../state/range.js";
import { countedText, orderText } from "../state/query.js";
import { carry, href } from "../state/url.js";
import { dropoffs } from "./dropoffs.js";
import { figures } from "./figures-view.js";
import { groupTable, stepTable } from "./funnel-tables.js";
import { funnelTitle, partialStrip } from "./report-page.js";
import { BARS_MAX, seriesOf } from "./series.js";
import { stepDetail } from "./step-detail.js";

/** Reports of the same shape are shown by the same nodes. */
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
    names: report.steps.map(step => step.step), optional: definition.steps.map(step => Boolean(step.optional)),
    unit, onstep, detail: index => stepDetail(report, state, index, unit),
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
    card(cardTitle(report), [pngButton(picture, file)],
      series.length > 1 && legend(series), h("div", { class: "funnel-box" }, bars && bars.node), groupNote(report)),
    groups && tableCard(`Numbers by ${report.breakdown?.property ?? "segment"}`, groups, () => file() + "-groups"),
    tableCard(isGrouped ? `All ${unit} by step` : "Numbers by step", steps, file), foot);

  function picture() {
    const by = report.breakdown ? ` by ${report.breakdown.property}` : report.segments ? " by segment" : "";
    const words = { title: funnelTitle(state) + by, subtitle: describe(definition, state), foot: footer(report, state) };
    return paint(funnelPicture(report, seriesOf(report), unit, words));
  }

  function update(next) {
    report = next;
    top.update(report);
    renew(callout, dropoffs(report, unit, state, onstep));
    renew(notices, partialStrip(report.completeness), immature(report), anyOrder(report, unit));
    bars?.update?.(seriesOf(report), report.steps, report.biggest_dropoff?.index);
    steps.update(stepTable.rows(report));
    groups?.update?.(groupTable.rows(report));
    put(foot, footer(report, state));
  }
  return { node, update };
}

/** Replaces the content only if its text changed: a button in it may have the focus. */
function renew(place, ...content) {
  const next = put(place.cloneNode(), content);
  if (next.textContent !== place.textContent) place.replaceChildren(...next.childNodes);
}

function describe(definition, state) {
  return [plural(definition.steps.length, "step"), `${windowText(definition.window_duration)} window`, orderText(definition),
    `counting ${countedText(definition)}`, rangeText(state)].join(" · ");
}

const cardTitle = report => report.segments ? "Conversion by segment"
  : report.breakdown ? `Conversion by ${report.breakdown.property}` : "Conversion by step";

function groupNote(report) {
  if (!report.segments && !report.breakdown) return null;
  const { rows, other } = report.breakdown ?? { rows: [] };
  return h("p", { class: "fine" }, [
    report.segments && "A user can be in several segments. Differences are not tested.",
    rows.length + (other ? 1 : 0) > BARS_MAX && `Bars: the ${BARS_MAX} largest values. Table: more values, and all others in one row.`,
    "Bar height: share of the group's step 1. Numbers below the bars: the whole funnel.",
  ].filter(Boolean).join(" "));
}

function immature(report) {
  if (!report.change?.immature) return null;
  return h("div", { class: "strip" }, h("strong", {}, "Not final. "),
    "Users can still enter or convert in this period, so it may look worse than the previous one.");
}

function anyOrder(report, unit) {
  if (report.order !== "any") return null;
  const n = report.steps.length;
  return h("div", { class: "strip" }, h("strong", {}, "Any order. "),
    `“Any 2 of ${n}” counts ${unit} with any two of the steps, in any order.`);
}

function footer(report, state) {
  const zone = zoneOf(state);
  const whole = report.completeness;
  const parts = [
    `${whole.exact ? "Complete" : "Incomplete"} (${whole.shards_answered} of ${plural(whole.shards_asked, "shard")})`,
    `calculated ${instant(report.as_of, zone)}`, `newest event ${instant(whole.newest_event, zone)}`, `times in ${zone}`,
    `counting rules ${report.rules}`,
  ];
  if (report.times === "histogram") parts.push("medians and percentiles within 1%");
  const { previous } = report;
  if (previous) parts.push(`previous period: ${day(previous.start, zone)} to ${day(Date.parse(previous.end) - 1, zone)}`);
  return parts.join(" · ");
}
