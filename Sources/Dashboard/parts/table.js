import { h, put } from "./dom.js";

/**
 * A table with a caption. The first column names the row.
 * @param columns `{label, cell(row), csv(row), number, group, file, fileLabel, isLoss}`; `csv` returns the bare value for CSV files.
 *   `file` replaces it if a file needs several values or a unit: `[{unit, get(row)}]`. `fileLabel` replaces the label in files.
 *   A row may have `kind`, a class, and `below`, a row of its own that is shown under it.
 * @returns `{node, update(rows), csv()}`
 */
export function table(caption, columns, rows = []) {
  const body = h("tbody");
  const groups = groupsOf(columns);
  const head = h("thead", {},
    groups && h("tr", {}, groups.map(({ label, size }) => label
      ? h("th", { scope: "colgroup", colspan: size, class: "group" }, label) : h("td", { colspan: size }))),
    h("tr", {}, columns.map(column => h("th", { scope: "col", class: column.number ? "num" : null }, column.label))));
  const node = h("div", { class: "table-box", role: "region", tabindex: "0", "aria-label": caption },
    h("table", {}, h("caption", { class: "unseen" }, caption), head, body));
  let shown = rows;

  function update(next) {
    shown = next;
    const cell = (row, column, i) => h(i ? "td" : "th", { scope: i ? null : "row", class: classOf(column) }, column.cell(row));
    put(body, next.map(row => [h("tr", { class: row.kind ?? null }, columns.map((column, i) => cell(row, column, i))), row.below]));
  }

  update(rows);
  function csv() {
    const parts = columns.flatMap(({ group, label, fileLabel = label, cell, csv, file }) =>
      (file ?? [{ get: csv ?? cell }]).map(({ unit = "", get }) => ({ head: `${group ? `${group}: ` : ""}${fileLabel}${unit}`, get })));
    return [parts.map(part => part.head), ...shown.map(row => parts.map(part => part.get(row)))];
  }
  return { node, update, csv };
}

const classOf = column => [column.number && "num", column.isLoss && "loss-cell"].filter(Boolean).join(" ") || null;

/** Adjacent columns with the same group heading; null if no column has one. */
function groupsOf(columns) {
  if (!columns.some(column => column.group)) return null;
  const runs = [];
  for (const { group } of columns) {
    if (runs.length && runs.at(-1).label === group) runs.at(-1).size++;
    else runs.push({ label: group, size: 1 });
  }
  return runs;
}
