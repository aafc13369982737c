import { post } from "../api/fetch.js";
import { chart, tone } from "../parts/graph.js";
import { button, h } from "../parts/dom.js";
import { downloadPNG, fileName } from "../parts/export.js";
import { field, select } from "../parts/field.js";
import { number, percent, span } from "../parts/format.js";
import { table } from "../parts/table.js";
import { basis, stepNames } from "../state/query.js";
import { definitionOf } from "../state/catalogue.js";
import { patch } from "../state/url.js";
import { tableCard } from "./funnel-view.js";
import { pageHead, partialStrip, reportPage } from "./report-page.js";
import { isolate } from "../parts/dom.js";

export const bar = ["funnel", "range"];
export const title = state => `Time to convert, ${state.funnel ?? "funnel"}`;

export function show(main, state) {
  const names = stepNames(definitionOf(state));
  const last = Math.max(2, names.length);
  const from = Math.min(Math.max(1, Number(state.from) || 1), last - 1);
  const to = Math.min(Math.max(from + 1, Number(state.to) || last), last);
  let drawing = null;
  const page = reportPage(main, state, "chart", signal => post("/v1/query/times", { ...basis(state), from, to, bins: 24 }, signal), draw);
  return { stop() { page.stop(); drawing?.stop(); } };

  function draw(answer) {
    const rows = answer.histogram.map(row => ({ ...row, share: answer.users ? row.users / answer.users : null }));
    const label = row => row.to_seconds === null ? `${span(row.from_seconds)} or more` : `${span(row.from_seconds)} to ${span(row.to_seconds)}`;
    const option = (step, i) => [String(i + 1), `${i + 1}. ${isolate(step)}`];
    drawing = chart("Histogram of times; the table has its numbers", () => ({
      type: "bar", data: { labels: rows.map(row => span(row.from_seconds)), datasets: [{ data: rows.map(row => row.users), backgroundColor: tone(0), borderRadius: 3, categoryPercentage: 1, barPercentage: 0.94 }] },
      options: { scales: { y: { ticks: { precision: 0, callback: number } } }, plugins: { tooltip: { callbacks: { title: items => label(rows[items[0].dataIndex]), label: item => ` ${number(item.raw)} users · ${percent(rows[item.dataIndex].share)}` } } } },
    }));
    requestAnimationFrame(() => drawing.draw());
    const file = () => fileName(state.funnel, "times", from, to);
    const figure = (name, value) => h("div", { class: "figure" }, h("dt", {}, name), h("dd", { class: "figure-value" }, value));
    const shown = table("Users by time between the two steps", [
      { label: "Time", cell: label, csv: label }, { label: "From, seconds", number: true, cell: row => number(row.from_seconds), csv: row => row.from_seconds },
      { label: "Users", number: true, cell: row => number(row.users), csv: row => row.users }, { label: "Share", number: true, cell: row => percent(row.share), csv: row => row.share }], rows);
    return h("div", { class: "page" }, pageHead("Time to convert", state), partialStrip(answer.completeness),
      h("div", { class: "row" }, field("From step", select(names.slice(0, -1).map(option), String(from), value => patch({ from: value, to: Number(value) >= to ? null : String(to) }))),
        field("To step", select(names.map(option).slice(from), String(to), value => patch({ from: String(from), to: value })))),
      h("dl", { class: "figures" }, figure("Users", number(answer.users)), figure("Median", span(answer.median_seconds)), figure("Average", span(answer.average_seconds)), figure("p90", span(answer.p90_seconds)), figure("p99", span(answer.p99_seconds))),
      h("section", { class: "card", "aria-labelledby": "times-title" }, h("div", { class: "card-head" }, h("h2", { id: "times-title" }, `Time from step ${answer.from} to step ${answer.to}`), h("div", { class: "actions" }, drawing.canvas && button("PNG", () => downloadPNG(drawing.canvas, file()), { "aria-label": "Download the chart as PNG" }))),
        answer.users ? drawing.node : h("p", { class: "muted" }, "Nobody got from the one step to the other."),
        h("p", { class: "fine" }, answer.users ? `Shortest ${span(answer.min)}, longest ${span(answer.max)}. ` : "", answer.scale === "log" ? "Bars widen to the right: each edge is the next round duration. " : "", answer.approximate ? "More values than are kept one by one: figures are within 1%. " : "Exact. ", answer.skipped ? `${number(answer.skipped)} users skipped an optional step and are left out.` : "")),
      tableCard("Table", shown, file));
  }
}
