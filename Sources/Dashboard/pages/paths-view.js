import { h, name } from "../parts/dom.js";
import { number, percent } from "../parts/format.js";
import { table } from "../parts/table.js";

/** Next events as bars, and whole paths as a table. */
export function pathsView(answer) {
  const most = Math.max(1, ...answer.next.map(row => row.users), answer.next_other?.users ?? 0);
  const rows = [...answer.next];
  const bar = (label, users, share) => h("li", {}, h("span", { class: "hbar-head" }, label, h("span", { class: "num" }, `${number(users)} · ${percent(share)}`)),
    h("span", { class: "hbar", vars: { "--share": users / most } }));
  return [
    h("h3", {}, "Next event"),
    h("ol", { class: "hbars" }, rows.map(row => bar(row.event === null ? h("em", {}, "nothing at all") : name(row.event), row.users, row.share)),
      answer.next_other && bar(h("em", {}, `${number(answer.next_other.events)} other events`), answer.next_other.users, answer.users ? answer.next_other.users / answer.users : null)),
    h("h3", {}, "Paths"), pathsTable(answer).node,
  ];
}

export function pathsTable(answer) {
  const rows = answer.paths.map(path => ({ ...path }));
  if (answer.other) rows.push({ label: `${number(answer.other.paths)} other paths`, users: answer.other.users, share: answer.users ? answer.other.users / answer.users : null });
  return table("Paths by users", [
    { label: "Path", cell: row => row.label ? h("em", {}, row.label) : row.events.length ? h("span", { class: "path" }, row.events.map((event, i) => [i > 0 && " → ", name(event)])) : h("em", {}, "nothing at all"),
      csv: row => row.label ?? (row.events.join(" > ") || "(nothing)") },
    { label: "Users", number: true, cell: row => number(row.users), csv: row => row.users },
    { label: "Share", number: true, cell: row => percent(row.share), csv: row => row.share },
  ], rows);
}
