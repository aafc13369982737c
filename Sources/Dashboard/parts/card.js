import { button, h, newID } from "./dom.js";
import { downloadCSV, downloadPNG } from "./export.js";

/** A box with a title and buttons at the top. */
export function card(title, actions, ...content) {
  const id = newID("card");
  const buttons = actions.filter(Boolean);
  return h("section", { class: "card", "aria-labelledby": id },
    h("div", { class: "card-head" }, h("h2", { id }, title), buttons.length > 0 && h("div", { class: "actions" }, buttons)), content);
}

export const tableCard = (title, table, file) => card(title,
  [button("CSV", () => downloadCSV(table.csv(), file()), { "aria-label": `Download "${title}" as CSV`, class: "button csv" })], table.node);

/** @param canvas returns the picture; falsy if there is no chart */
export const pngButton = (canvas, file) => canvas
  && button("PNG", () => downloadPNG(canvas(), file()), { "aria-label": "Download the chart as PNG" });
