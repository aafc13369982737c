import { h, name } from "./dom.js";
import { instant, interval, number, percent, span } from "./format.js";

/**
 * Table columns by kind of value. `get(row)` returns the bare value. CSV files contain it, under a heading with its unit.
 * `more` may have `group`, the heading above. For a share it may also have `ci(row)`, an interval shown below the value, or
 * `fileCI(row)`, an interval for files only.
 */
const column = (draw, isNumber, unit = "") => (label, get, more) =>
  ({ label, number: isNumber, cell: row => draw(get(row), row, more), file: [{ unit, get }], ...more });

export const text = column(value => name(value), false);
export const count = column(number, true);
export const time = column(span, true, " (s)");

/** A share: a percentage on the page, a fraction from 0 to 1 in files. */
export function share(label, get, more = {}) {
  const ci = more.ci ?? more.fileCI;
  const bound = i => row => (ci(row) || null)?.[i] ?? null;
  const draw = row => {
    const shown = more.ci?.(row);
    return [percent(get(row), more.digits), shown && h("small", { class: "ci" }, interval(shown))];
  };
  const bounds = ci ? [{ unit: ", low (fraction)", get: bound(0) }, { unit: ", high (fraction)", get: bound(1) }] : [];
  return { label, number: true, cell: draw, file: [{ unit: " (fraction)", get }, ...bounds], ...more };
}

export const moment = (label, get, zone) => ({ label, cell: row => instant(get(row), zone), csv: get });
