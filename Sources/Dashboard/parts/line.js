import { h, svg } from "./dom.js";
import { percent } from "./format.js";
import { tip } from "./tip.js";

const [WIDTH, HEIGHT, EDGE] = [240, 48, 4];

/** How far above the lower edge a share of the highest value is, as a share of the picture's height. */
export const heightOf = share => (EDGE + share * (HEIGHT - 2 * EDGE)) / HEIGHT;

/**
 * A small line without axes, from 0 to its highest value. Screen readers get its first, last, lowest and highest value.
 * @param values numbers; null where there is none
 * @param marks indexes of points that are marked
 * @param top the value at the upper edge, if no value is higher
 * @param annotations `{from, to, text}`, with the indexes of the first and the last point; texts are shown on hover, and read
 */
export function line(values, label, { marks = [], annotations = [], format = percent, tall = false, top = 0 } = {}) {
  const known = values.filter(value => value !== null && value !== undefined);
  if (!known.length) return h("p", { class: "fine" }, "No data");
  const most = Math.max(top, ...known) || 1;
  const x = i => EDGE + (values.length < 2 ? 0 : i * (WIDTH - 2 * EDGE) / (values.length - 1));
  const y = value => HEIGHT - EDGE - value / most * (HEIGHT - 2 * EDGE);
  const runs = [];
  values.forEach((value, i) => {
    if (value === null || value === undefined) runs.push([]);
    else {
      if (!runs.length) runs.push([]);
      runs.at(-1).push([x(i), y(value)]);
    }
  });
  const at = points => points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ");
  const first = values.find(value => value !== null && value !== undefined);
  const words = `${label}: from ${format(first)} to ${format(known.at(-1))}, lowest ${format(Math.min(...known))}, highest ${format(Math.max(...known))}${annotations.map(({ text }) => `. ${text}`).join("")}`;
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: tall ? "line tall" : "line", role: "img", "aria-label": words, preserveAspectRatio: "none" },
    annotations.map(drawAnnotation),
    runs.filter(run => run.length > 1).map(run => svg("polyline", { points: at(run), "vector-effect": "non-scaling-stroke" })),
    runs.filter(run => run.length === 1).map(([[a, b]]) => svg("path", { d: `M${a.toFixed(1)} ${b.toFixed(1)}h0`, "vector-effect": "non-scaling-stroke" })),
    marks.filter(i => values[i] !== null && values[i] !== undefined).map(i => svg("path", { class: "mark", d: `M${x(i).toFixed(1)} ${y(values[i]).toFixed(1)}h0`, "vector-effect": "non-scaling-stroke" })));

  function drawAnnotation({ from, to, text }) {
    const path = cls => svg("path", { class: cls, d: `M${x(from).toFixed(1)} 0V${HEIGHT}`, "vector-effect": "non-scaling-stroke" });
    return [to > from && svg("rect", { class: "annotation-span", x: x(from), y: 0, width: x(to) - x(from), height: HEIGHT }),
      path("annotation"), tip(path("annotation-area"), () => h("bdi", { dir: "auto" }, text))];
  }
}
