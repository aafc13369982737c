import { post } from "../api/fetch.js";
import { live } from "../api/live.js";
import { chart, tone } from "../parts/graph.js";
import { button, h, name, put } from "../parts/dom.js";
import { downloadPNG, fileName } from "../parts/export.js";
import { choice, select } from "../parts/field.js";
import { day, instant, number, percent, shortDay } from "../parts/format.js";
import { failedQuery, notice, ready, wait } from "../parts/states.js";
import { table } from "../parts/table.js";
import { basis } from "../state/query.js";
import { addDays, isBounded, rangeOf, rangeText, zoneOf } from "../state/range.js";
import { patch } from "../state/url.js";
import { liveMark } from "./live-mark.js";
import { tableCard } from "./funnel-view.js";

export const bar = ["funnel", "range", "compare"];
export const title = state => `Trends, ${state.funnel ?? "funnel"}`;

/** A unit that makes a readable number of points. */
function unitOf(state) {
  if (state.unit) return state.unit;
  const { start, end } = rangeOf(state);
  if (!start || !end) return "day";
  const days = (Date.parse(end) - Date.parse(start)) / 86_400_000 + 1;
  return days <= 2 ? "hour" : days <= 93 ? "day" : days <= 400 ? "week" : "month";
}

/** The same number of days before; null for an open range. */
function before(state) {
  const { start, end } = rangeOf(state);
  if (!state.compare || !isBounded(state) || start.length !== 10 || end.length !== 10) return null;
  const days = Math.round((Date.parse(end) - Date.parse(start)) / 86_400_000) + 1;
  return { start: addDays(start, -days), end: addDays(start, -1) };
}

export function show(main, state) {
  const zone = zoneOf(state);
  const unit = unitOf(state);
  const isCount = state.rate === "count";
  const mark = liveMark();
  const hidden = new Set();
  let buckets = [];
  let names = [];
  let earlier = null;
  let view = null;
  const value = (bucket, i) => isCount ? bucket.steps[i].count : bucket.entered ? bucket.steps[i].count / bucket.entered : null;
  const format = isCount ? number : percent;
  const first = isCount ? 0 : 1;
  const drawing = chart("Line chart of the steps over time; the table has its numbers", config);
  const body = { ...basis(state), trend: { by: unit }, times: "none" };

  if (!state.funnel && !state.def) {
    ready(main, notice("empty", "No funnel yet", "Build one first."));
    return {};
  }
  wait(main, "chart");
  const previous = before(state);
  if (previous) post("/v1/query", { ...body, ...previous }).then(answer => { earlier = answer.trend.buckets; view?.draw(); }, () => {});
  let stop = null;
  start();

  function start() {
    stop?.();
    stop = live(body, { report: take, status: mark.set, problem: error => ready(main, h("div", { class: "page" }, failedQuery(error, start, () => patch({ partial: "1" })))) });
  }

  function take(report) {
    buckets = report.trend.buckets;
    names = report.steps.map(step => step.step);
    if (!view || !main.contains(view.node)) {
      view = make(report);
      ready(main, view.node);
    }
    view.draw();
  }

  function make(report) {
    const file = () => fileName(state.funnel, "trend", unit);
    const note = h("p", { class: "fine" });
    const columns = [{ label: unit[0].toUpperCase() + unit.slice(1), cell: row => shortDay(row.start, zone, unit), csv: row => row.start },
      { label: "Still open", number: true, cell: row => row.immature ? "yes" : "no", csv: row => row.immature ? "yes" : "no" },
      ...names.flatMap((step, i) => [{ label: "Users", number: true, group: `${i + 1}. ${step}`, cell: row => number(row.steps[i].count), csv: row => row.steps[i].count },
        i > 0 && { label: "Of step 1", number: true, group: `${i + 1}. ${step}`, cell: row => percent(row.entered ? row.steps[i].count / row.entered : null), csv: row => row.entered ? row.steps[i].count / row.entered : null }].filter(Boolean))];
    const rows = table("Every step over time", columns);
    const node = h("div", { class: "page" },
      h("header", { class: "page-head" }, h("div", {}, h("h1", {}, "Trends"), h("p", { class: "muted" }, name(state.funnel ?? "unsaved funnel"), ` · ${rangeText(state)} · by the time of step 1`)), h("div", { class: "actions" }, mark.node)),
      h("section", { class: "card", "aria-labelledby": "trend-title" },
        h("div", { class: "card-head" }, h("h2", { id: "trend-title" }, isCount ? "Users by step" : "Conversion from step 1"),
          h("div", { class: "actions" }, choice("Measure", [["", "Conversion"], ["count", "Users"]], isCount ? "count" : "", rate => patch({ rate })),
            select([["hour", "Hours"], ["day", "Days"], ["week", "Weeks"], ["month", "Months"]], unit, by => patch({ unit: by }), { "aria-label": "Unit of time" }),
            drawing.canvas && button("PNG", () => downloadPNG(drawing.canvas, file()), { "aria-label": "Download the chart as PNG" }))),
        lines(), drawing.node, note),
      tableCard("Table", rows, file));
    return { node, draw() {
      drawing.draw();
      rows.update([...buckets].reverse());
      const open = buckets.filter(bucket => bucket.immature).length;
      put(note, open ? `Dashed: the conversion window of ${open} of ${buckets.length} points has not passed yet, so they can still rise. ` : "",
        "Each point is a funnel of its own; points need not add up. ", previous && (earlier?.some(bucket => bucket.entered) ? "Dotted: the period before, last step." : "Nobody entered in the period before."));
    } };
  }

  /** The legend: each line can be switched off. */
  function lines() {
    return h("fieldset", { class: "legend" }, h("legend", { class: "unseen" }, "Lines shown"), names.map((step, i) => i >= first && h("label", { class: "check" },
      h("input", { type: "checkbox", checked: true, onchange: event => { hidden[event.target.checked ? "delete" : "add"](i); drawing.draw(); } }), h("span", { class: `swatch tone-${i % 8}` }), name(step))));
  }

  function config() {
    const dash = ctx => buckets[ctx.p1DataIndex]?.immature ? [5, 4] : undefined;
    const sets = names.map((step, i) => ({
      label: `${i + 1}. ${step}`, data: buckets.map(bucket => value(bucket, i)), hidden: hidden.has(i), borderColor: tone(i), backgroundColor: tone(i),
      borderWidth: 2, tension: 0, spanGaps: false, segment: { borderDash: dash }, pointRadius: buckets.length > 60 ? 0 : 2.5, pointHoverRadius: 5,
      pointBackgroundColor: ctx => buckets[ctx.dataIndex]?.immature ? getComputedStyle(document.documentElement).getPropertyValue("--surface").trim() : tone(i),
    })).filter((_, i) => i >= first);
    if (earlier) {
      const last = names.length - 1;
      sets.push({ label: `${names[last]}, period before`, data: buckets.map((_, b) => earlier[b] ? value(earlier[b], last) : null), borderColor: getComputedStyle(document.documentElement).getPropertyValue("--before").trim(), borderDash: [1, 4], borderWidth: 2, pointRadius: 0, borderCapStyle: "round" });
    }
    return {
      type: "line", data: { labels: buckets.map(bucket => shortDay(bucket.start, zone, unit)), datasets: sets },
      options: { scales: { y: { ticks: { callback: v => isCount ? number(v) : percent(v, 0) } } }, plugins: { tooltip: { callbacks: {
        title: items => unit === "hour" ? instant(buckets[items[0].dataIndex].start, zone) : day(buckets[items[0].dataIndex].start, zone),
        label: item => ` ${item.dataset.label}: ${format(item.raw)}`,
        footer: items => buckets[items[0].dataIndex]?.immature ? "still open: may rise" : "",
      } } } },
    };
  }

  return { stop() { stop(); drawing.stop(); } };
}
