import { count, share } from "../parts/columns.js";
import { h, name } from "../parts/dom.js";
import { number, percent } from "../parts/format.js";
import { table } from "../parts/table.js";

export const NO_EVENT = "no further event";
const part = (users, answer) => answer.users ? users / answer.users : null;

/** Next events as bars, and whole paths as a table. */
export function pathsView(answer) {
  const { next, next_other: other } = answer;
  const most = Math.max(1, ...next.map(row => row.users), other?.users ?? 0);
  const bar = (label, users, of) => h("li", {},
    h("span", { class: "hbar-head" }, label, h("span", { class: "num" }, `${number(users)} · ${percent(of)}`)),
    h("span", { class: "hbar", vars: { "--share": users / most } }));
  return [
    h("h3", {}, "Next event"),
    h("ol", { class: "hbars" }, next.map(row => bar(row.event === null ? h("em", {}, NO_EVENT) : name(row.event), row.users, row.share)),
      other && bar(h("em", {}, `${number(other.events)} other events`), other.users, part(other.users, answer))),
    h("h3", {}, "Paths"), pathsTable(answer).node,
  ];
}

/** @param none the text of a path without events */
export function pathsTable(answer, none = NO_EVENT) {
  const rows = [...answer.paths];
  const { other } = answer;
  if (other) rows.push({ label: `${number(other.paths)} other paths`, users: other.users, share: part(other.users, answer) });
  const draw = ({ label, events }) => label || !events.length ? h("em", {}, label ?? none)
    : h("span", { class: "path" }, events.map((event, i) => [i > 0 && " → ", name(event)]));
  return table("Paths by users", [
    { label: "Path", cell: draw, csv: row => row.label ?? (row.events.join(" > ") || "(nothing)") },
    count("Users", row => row.users), share("Share", row => row.share),
  ], rows);
}
