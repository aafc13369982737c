import { post } from "../api/fetch.js";
import { card, pngButton, tableCard } from "../parts/card.js";
import { count, share } from "../parts/columns.js";
import { h, name, put } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { choice, select } from "../parts/field.js";
import { bucketLabels, day, instant, number, percent } from "../parts/format.js";
import { chart, token, tone } from "../parts/graph.js";
import { framed, paint } from "../parts/picture.js";
import { failedQuery, ready, waitFor } from "../parts/states.js";
import { table } from "../parts/table.js";
import { basis } from "../state/query.js";
import { addDays, isBounded, periodEnd, rangeOf, rangeText, zoneOf } from "../state/range.js";
import { patch } from "../state/url.js";
import { annotationsOn } from "./annotations.js";
import { follow } from "./follow.js";
import { answerText, funnelTitle, noFunnel, pageHead, partialStrip } from "./report-page.js";

export const bar = ["funnel", "range", "compare"];
export const title = state => `Trends, ${state.funnel ?? "funnel"}`;

const UNITS = [["hour", "By hour"], ["day", "By day"], ["week", "By week"], ["month", "By month"]];
const DAY = 86_400_000;

/** The chosen unit, or one that gives a readable number of points. */
function unitOf(state) {
  if (UNITS.some(([unit]) => unit === state.unit)) return state.unit;
  const { start, end } = rangeOf(state);
  if (!start || !end) return "day";
  const days = (Date.parse(end) - Date.parse(start)) / DAY + 1;
  return days <= 2 ? "hour" : days <= 93 ? "day" : days <= 400 ? "week" : "month";
}

/** The previous period: the same number of days before; null for an open range. */
function before(state) {
  const { start, end } = rangeOf(state);
  if (!state.compare || !isBounded(state) || start.length !== 10 || end.length !== 10) return null;
  const days = Math.round((Date.parse(end) - Date.parse(start)) / DAY) + 1;
  return { start: addDays(start, -days), end: addDays(start, -1) };
}

export function show(main, state) {
  if (!state.funnel && !state.def) {
    ready(main, noFunnel());
    return {};
  }
  const zone = zoneOf(state);
  const unit = unitOf(state);
  const isCount = state.rate === "count";
  const hidden = new Set();
  let report = null;
  /** The labels of the points, by their start. */
  let labels = null;
  let earlier = null;
  let view = null;
  const body = { ...basis(state), trend: { by: unit }, times: "none" };
  const previous = before(state);
  const shareOf = (bucket, i) => bucket.entered ? bucket.steps[i].count / bucket.entered : null;
  const value = (bucket, i) => isCount ? bucket.steps[i].count : shareOf(bucket, i);
  const format = isCount ? number : percent;
  // Conversion at step 1 is always 100 %, so its line is not drawn.
  const first = isCount ? 0 : 1;
  const drawing = chart("Line chart of the steps over time. The table below has the same numbers.", config);
  const annotations = annotationsOn(state, zone, () => view?.draw());
  if (drawing.canvas) drawing.node.append(annotations.marks.node);
  const file = () => fileName(state.funnel, "trend", unit);
  const following = follow(main, state, () => body, { report: take, fault });
  const controls = h("div", { class: "row" },
    choice("Measure", [["", "Conversion"], ["count", "Users"]], isCount ? "count" : "", rate => patch({ rate })),
    select(UNITS, unit, by => patch({ unit: by }), { "aria-label": "Unit of time" }));
  // The controls stay above every error: another unit may solve it.
  const page = content => ready(main, h("div", { class: "page" },
    pageHead("Trends", state, h("div", { class: "actions" }, following.mark)), controls, content));
  waitFor(main, "chart", page);
  if (previous) post("/v1/query", { ...body, ...previous }).then(answer => { earlier = answer.trend.buckets; view?.draw(); }, () => {});

  function fault(error) {
    view = null;
    page(failedQuery(error, following.start, () => patch({ partial: "1" }), { title: "This trend can't be calculated" }));
  }

  function take(next) {
    report = next;
    const starts = next.trend.buckets.map(bucket => bucket.start);
    labels = new Map(bucketLabels(starts, zone, unit).map((label, i) => [starts[i], label]));
    if (!view) {
      view = make();
      page(view.nodes);
    }
    view.draw();
  }

  function make() {
    const note = h("p", { class: "fine" });
    const partial = h("div", { class: "notices" });
    const rows = table("Every step over time", columns());
    const heading = isCount ? "Users by step" : "Conversion from step 1";
    const chartCard = card(heading, [pngButton(drawing.canvas && picture, file)], lines(), drawing.node, note);
    const nodes = [partial, chartCard, annotations.node, tableCard("Numbers", rows, file)];

    function picture() {
      const shown = drawing.shown().map(({ label, borderColor }) => ({ label, colour: borderColor }));
      return paint(framed(drawing.canvas, {
        title: `${funnelTitle(state)}: ${heading.toLowerCase()}, by ${unit}`, subtitle: rangeText(state), legend: shown,
        foot: [note.textContent, annotations.words(), answerText(report, zone)].filter(Boolean).join(" "),
      }));
    }

    function draw() {
      const { buckets } = report.trend;
      annotations.place(buckets.map(({ start }) => Date.parse(start)), buckets.length && periodEnd(buckets.at(-1).start, unit, zone));
      drawing.draw();
      rows.update([...buckets].reverse());
      put(partial, partialStrip(report.completeness));
      const open = buckets.filter(bucket => bucket.immature).length;
      note.textContent = [
        open && `Dashed: not final. Users in ${open} of ${buckets.length} points can still convert.`,
        `Each point: users who did step 1 ${unit === "day" ? "on" : "in"} that ${unit}. A user can be in several points.`,
        previous && (earlier?.some(bucket => bucket.entered)
          ? "Dotted: the last step in the previous period." : "Nobody entered in the previous period."),
      ].filter(Boolean).join(" ");
    }
    return { nodes, draw };
  }

  function columns() {
    const ofStep = (step, i) => {
      const group = { group: `${i + 1}. ${step.step}` };
      return [count("Users", row => row.steps[i].count, group), i > 0 && share("From step 1", row => shareOf(row, i), group)];
    };
    const final = row => row.immature ? "not yet" : "yes";
    return [
      { label: unit[0].toUpperCase() + unit.slice(1), cell: row => labels.get(row.start), csv: row => row.start },
      { label: "Final", cell: final, csv: final }, ...report.steps.flatMap(ofStep).filter(Boolean),
    ];
  }

  /** The legend; a checkbox hides each line. */
  function lines() {
    const line = ({ step }, i) => i >= first && h("label", { class: "check" },
      h("input", { type: "checkbox", checked: true, onchange: event => toggle(i, event.target.checked) }),
      h("span", { class: `swatch tone-${i % 8}` }), name(step));
    return h("fieldset", { class: "legend" }, h("legend", { class: "unseen" }, "Lines shown"), report.steps.map(line));
  }

  function toggle(i, on) {
    if (on) hidden.delete(i);
    else hidden.add(i);
    drawing.draw();
  }

  function config() {
    const { steps, trend: { buckets } } = report;
    const isOpen = i => buckets[i]?.immature;
    const sets = steps.map(({ step }, i) => ({
      label: `${i + 1}. ${step}`, data: buckets.map(bucket => value(bucket, i)), hidden: hidden.has(i), borderWidth: 2, borderColor: tone(i),
      backgroundColor: tone(i), segment: { borderDash: ctx => isOpen(ctx.p1DataIndex) ? [5, 4] : undefined },
      pointRadius: buckets.length > 60 ? 0 : 2.5, pointHoverRadius: 5,
      pointBackgroundColor: ctx => isOpen(ctx.dataIndex) ? token("--surface") : tone(i),
    })).slice(first);
    if (earlier) {
      const last = steps.length - 1;
      sets.push({
        label: `${steps[last].step}, previous period`, data: buckets.map((_, b) => earlier[b] ? value(earlier[b], last) : null),
        borderColor: token("--before"), borderDash: [1, 4], borderCapStyle: "round", borderWidth: 2, pointRadius: 0,
      });
    }
    const at = items => buckets[items[0].dataIndex];
    return {
      type: "line", data: { labels: buckets.map(bucket => labels.get(bucket.start)), datasets: sets }, plugins: [annotations.marks.plugin],
      options: {
        layout: { padding: { top: annotations.marks.room() } },
        scales: { y: { ticks: { callback: v => isCount ? number(v) : percent(v, 0) } } },
        plugins: { tooltip: { callbacks: {
          title: items => (unit === "hour" ? instant : day)(at(items).start, zone),
          label: item => ` ${item.dataset.label}: ${format(item.raw)}`,
          footer: items => at(items).immature ? "not final: users can still convert" : "",
        } } },
      },
    };
  }

  return { stop() { following.stop(); annotations.stop(); drawing.stop(); } };
}
