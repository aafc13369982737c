import { post } from "../api/fetch.js";
import { card, pngButton, tableCard } from "../parts/card.js";
import { count, share } from "../parts/columns.js";
import { h, isolate } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { field, select } from "../parts/field.js";
import { number, percent, plural, span } from "../parts/format.js";
import { chart, tone } from "../parts/graph.js";
import { framed, paint } from "../parts/picture.js";
import { table } from "../parts/table.js";
import { definitionOf } from "../state/funnels.js";
import { basis, rowNames } from "../state/query.js";
import { rangeText, zoneOf } from "../state/range.js";
import { patch } from "../state/url.js";
import { answerText, funnelTitle, reportPage } from "./report-page.js";

export const bar = ["funnel", "range"];
export const title = state => `Time to convert, ${state.funnel ?? "funnel"}`;

export function show(main, state) {
  const names = rowNames(definitionOf(state));
  const last = Math.max(2, names.length);
  const from = Math.min(Math.max(1, Number(state.from) || 1), last - 1);
  const to = Math.min(Math.max(from + 1, Number(state.to) || last), last);
  let drawing = null;
  const ask = signal => post("/v1/query/times", { ...basis(state), from, to, bins: 24 }, signal);
  const page = reportPage(main, state, { title: "Time to convert", controls: controls(), kind: "chart", ask, draw });
  return { stop() { page.stop(); drawing?.stop(); } };

  function draw(answer) {
    drawing = histogram(answer);
    requestAnimationFrame(drawing.draw);
    const file = () => fileName(state.funnel, "times", from, to);
    const heading = `Time from step ${answer.from} to step ${answer.to}`;
    const picture = () => paint(framed(drawing.canvas, {
      title: `${funnelTitle(state)}: ${heading.toLowerCase()}`,
      subtitle: [`${names[answer.from - 1]} → ${names[answer.to - 1]}`, rangeText(state)].join(" · "),
      foot: [`${number(answer.users)} users`, `median ${span(answer.median_seconds)}`, answerText(answer, zoneOf(state))].join(" · "),
    }));
    return [
      figures(answer), card(heading, [pngButton(drawing.canvas && answer.users > 0 && picture, file)],
        answer.users ? drawing.node : h("p", { class: "muted" }, `No user went from step ${answer.from} to step ${answer.to}.`),
        h("p", { class: "fine" }, notes(answer).join(" "))),
      tableCard("Numbers", timesTable(answer), file),
    ];
  }

  function controls() {
    const options = names.map((step, i) => [String(i + 1), `${i + 1}. ${isolate(step)}`]);
    return h("div", { class: "row" },
      field("From step", select(options.slice(0, -1), String(from), value => patch({ from: value, to: Number(value) >= to ? null : String(to) }))),
      field("To step", select(options.slice(from), String(to), value => patch({ from: String(from), to: value }))));
  }
}

const label = row => row.to_seconds === null ? `${span(row.from_seconds)} or more` : `${span(row.from_seconds)} to ${span(row.to_seconds)}`;
const part = (row, answer) => answer.users ? row.users / answer.users : null;

function histogram(answer) {
  const rows = answer.histogram;
  return chart("Histogram of times. The table below has the same numbers.", () => ({
    type: "bar",
    data: {
      labels: rows.map(row => span(row.from_seconds)),
      datasets: [{ data: rows.map(row => row.users), backgroundColor: tone(0), borderRadius: 3, categoryPercentage: 1, barPercentage: 0.94 }],
    },
    options: {
      scales: { y: { ticks: { precision: 0, callback: number } } },
      plugins: { tooltip: { callbacks: {
        title: items => label(rows[items[0].dataIndex]),
        label: item => ` ${number(item.raw)} users · ${percent(part(rows[item.dataIndex], answer))}`,
      } } },
    },
  }));
}

function figures(answer) {
  const figure = (name, value) => h("div", { class: "figure" }, h("dt", {}, name), h("dd", { class: "figure-value" }, value));
  return h("dl", { class: "figures" }, figure("Users", number(answer.users)),
    [["median", "Median"], ["average", "Average"], ["p90", "90% within"], ["p99", "99% within"]]
      .map(([key, name]) => figure(name, span(answer[`${key}_seconds`]))));
}

const notes = answer => [
  answer.users && `Shortest ${span(answer.min)}, longest ${span(answer.max)}.`,
  answer.scale === "log" && "Each bar covers a longer span than the one before.",
  answer.approximate ? "Rounded: within 1% of the exact value." : "The times are exact.",
  answer.skipped && `${plural(answer.skipped, "user")} skipped one of the two steps and ${answer.skipped === 1 ? "is" : "are"} not counted.`,
].filter(Boolean);

const timesTable = answer => table("Users by time between the two steps", [
  { label: "Time", cell: label, csv: label }, count("From (s)", row => row.from_seconds), count("To (s)", row => row.to_seconds),
  count("Users", row => row.users), share("Share", row => part(row, answer)),
], answer.histogram);
