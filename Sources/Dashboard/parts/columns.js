import { h, name } from "./dom.js";
import { instant, interval, number, percent, span } from "./format.js";

/**
 * Columns of tables by what they hold. `get(row)` gives the bare value, which is what files get.
 * `more` holds `group`, the heading above, and `ci(row)`, an interval to be shown below a share.
 */
const column = (draw, isNumber) => (label, get, more) => ({ label, number: isNumber, cell: row => draw(get(row), row, more), csv: get, ...more });

export const text = column(value => name(value), false);
export const count = column(number, true);
export const time = column(span, true);
export const share = column((value, row, more) => {
  const ci = more?.ci?.(row);
  return [percent(value, more?.digits), ci && h("small", { class: "ci" }, interval(ci))];
}, true);
export const moment = (label, get, zone) => ({ label, cell: row => instant(get(row), zone), csv: get });
