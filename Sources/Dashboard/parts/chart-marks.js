import { stringify } from "../state/json.js";
import { h, put } from "./dom.js";
import { token } from "./graph.js";
import { tip } from "./tip.js";

/** In pixels: the height of a button, the room for it above the plot, and the min distance of two. */
const HEIGHT = 24;
const ROOM = 32;
const APART = 36;

/**
 * Marks on a chart over time: a line where each begins, a band to where it ends, and above them a numbered button that keys reach. Marks
 * whose buttons would overlap share one. A mark is `{number, from, to}`, with the indexes of its first and last point.
 * @param words returns the name of a button from its marks
 * @param details returns the tooltip from the marks
 * @param onchoose called with the marks of a button
 * @returns `{node, plugin, room(), set(marks)}`: the buttons, to lay over the chart, and a plugin of Chart.js
 */
export function chartMarks({ words, details, onchoose }) {
  const node = h("div", { class: "chart-marks" });
  let list = [];
  /** Which marks share a button, and the buttons. */
  let shared = "";
  let buttons = [];

  /** `{at, marks}`, from left to right. */
  function groups(x) {
    const found = [];
    for (const mark of list) {
      const at = x.getPixelForValue(mark.from);
      if (found.length && at - found.at(-1).at < APART) found.at(-1).marks.push(mark);
      else found.push({ at, marks: [mark] });
    }
    return found;
  }

  /** Under the lines of the chart. The numbers are on the canvas, too, for pictures of it. */
  function drawLines({ ctx, chartArea, scales: { x } }) {
    if (!list.length) return;
    ctx.save();
    for (const { from, to } of list) {
      const [left, right] = [x.getPixelForValue(from), x.getPixelForValue(to)];
      ctx.fillStyle = token("--accent-soft");
      ctx.fillRect(left, chartArea.top, right - left, chartArea.bottom - chartArea.top);
    }
    ctx.fillStyle = token("--line-strong");
    for (const { from } of list) ctx.fillRect(Math.round(x.getPixelForValue(from)), HEIGHT, 1, chartArea.bottom - HEIGHT);
    ctx.fillStyle = token("--text");
    ctx.font = `600 11px ${token("--font")}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    for (const { at, marks } of groups(x)) ctx.fillText(numbers(marks), at, HEIGHT / 2);
    ctx.restore();
  }

  function placeButtons({ scales: { x } }) {
    const found = groups(x);
    const now = stringify(found.map(({ marks }) => marks.map(mark => mark.number)));
    if (now !== shared) {
      shared = now;
      buttons = found.map(({ marks }) => tip(
        h("button", { type: "button", class: "chart-mark", "aria-label": words(marks), onclick: () => onchoose(marks) }, numbers(marks)),
        () => details(marks)));
      put(node, buttons);
    }
    found.forEach(({ at }, i) => buttons[i].style.setProperty("--at", `${Math.round(at)}px`));
  }

  return {
    node, plugin: { id: "marks", beforeDraw: drawLines, afterDraw: placeButtons }, room: () => list.length ? ROOM : 0,
    set(marks) {
      list = marks;
      shared = "";
    },
  };
}

/** "3", or "3–5". */
const numbers = marks => marks.length === 1 ? String(marks[0].number) : `${marks[0].number}–${marks.at(-1).number}`;
