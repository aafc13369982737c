import { h } from "./dom.js";
import { minute } from "./format.js";
import { heightOf, line } from "./line.js";

/**
 * A line with its scale: numbers at the side, times below, and limits as dashed lines with their values.
 * @param points `{start, end, value}` in order of time; the value is null where there is none
 * @param limits `[value, word]`, such as `[0.2, "below"]`
 * @param more the options of `line`
 */
export function scaledLine(points, label, { limits = [], format, ...more }) {
  const values = points.map(point => point.value);
  const known = values.filter(value => value !== null && value !== undefined);
  const top = Math.max(...known, ...limits.map(([value]) => value)) || 1;
  const words = [label, ...limits.map(([value, word]) => `limit ${word} ${format(value)}`)].join(", ");
  const picture = line(values, words, { ...more, format, tall: true, top });
  if (!known.length) return picture;
  const at = value => ({ "--at": heightOf(value / top) });
  // On the side of the limit where fewer values are, if there is room.
  const isUnder = (value, word) => word === "below" && value / top > 0.2;
  return h("div", { class: "scaled-line" },
    h("div", { class: "scale", "aria-hidden": "true" }, [top, 0].map(value => h("span", { vars: at(value) }, format(value)))),
    h("div", { class: "plot" }, picture,
      limits.map(([value, word]) => h("span", { class: `limit ${isUnder(value, word) ? "under" : ""}`, vars: at(value), "aria-hidden": "true" }, h("span", {}, `${word} ${format(value)}`)))),
    h("div", { class: "times" }, h("time", { datetime: points[0].start }, minute(points[0].start)), h("time", { datetime: points.at(-1).end }, minute(points.at(-1).end))));
}
