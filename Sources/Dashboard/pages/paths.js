import { post } from "../api/fetch.js";
import { card, tableCard } from "../parts/card.js";
import { flow } from "../parts/flow.js";
import { h, isolate, name } from "../parts/dom.js";
import { fileName } from "../parts/export.js";
import { field, select } from "../parts/field.js";
import { number, plural } from "../parts/format.js";
import { notice } from "../parts/states.js";
import { basis, rowNames } from "../state/query.js";
import { definitionOf } from "../state/funnels.js";
import { patch } from "../state/url.js";
import { NO_EVENT, pathsTable } from "./paths-view.js";
import { reportPage } from "./report-page.js";

export const bar = ["funnel", "range"];
export const title = state => `Paths, ${state.funnel ?? "funnel"}`;

const KINDS = [["dropped", "dropped off before a step"], ["between", "went from one step to another"]];

export function show(main, state) {
  const definition = definitionOf(state);
  const names = rowNames(definition);
  const isBetween = Boolean(state.to);
  const lossy = names.map((_, i) => i + 1).filter(i => i > 1 && !definition?.steps[i - 1]?.optional);
  const from = Number(state.from) || (isBetween ? 1 : lossy.at(0) ?? 2);
  const length = Math.min(5, Math.max(1, Number(state.len) || 3));
  const k = Math.min(100, Number(state.k) || 30);
  if (definition && names.length < 2) {
    main.replaceChildren(notice("empty", "This funnel has one step", "Paths need at least two steps."));
    return {};
  }
  const origin = isBetween ? { between: [from, Number(state.to)] } : { dropped: from };
  const ask = signal => post("/v1/query/paths", { ...basis(state), from: origin, length, k }, signal);
  return reportPage(main, state, { title: "Paths", controls: controls(), kind: "chart", ask, draw });

  function draw(answer) {
    const first = isBetween ? names[from - 1] : names[(definition ? previousOf(definition, from) : from - 1) - 1];
    const shown = answer.paths.reduce((sum, path) => sum + path.users, 0);
    const rows = pathsTable(answer, isBetween ? "no event between" : NO_EVENT);
    const heading = isBetween ? ["From ", name(first), " to ", name(names[Number(state.to) - 1])]
      : ["After ", name(first), ", without reaching ", name(names[from - 1])];
    const extent = answer.other ? `The ${answer.paths.length} most common paths (${number(shown)} users); `
      + `${number(answer.other.paths)} rarer ones are not shown.` : "All paths are shown.";
    return [
      card(heading, [], h("p", { class: "muted" }, `${number(answer.users)} users. `, extent),
        answer.users ? flow(answer, first ?? "start", isBetween ? `step ${state.to} reached` : NO_EVENT)
          : h("p", { class: "muted" }, "No users.")),
      tableCard("Paths", rows, () => fileName(state.funnel, "paths")),
    ];
  }

  function controls() {
    const option = i => [String(i), `${i}. ${isolate(names[i - 1] ?? "")}`];
    const all = names.map((_, i) => i + 1);
    return h("div", { class: "row" },
      field("Users who", select(KINDS, isBetween ? "between" : "dropped", value => patch(value === "between"
        ? { from: String(Math.max(1, from - 1)), to: String(Math.max(2, from)) } : { from: String(Number(state.to) || 2), to: null }))),
      field(isBetween ? "From step" : "Step", select((isBetween ? all.slice(0, -1) : lossy).map(option), String(from), value =>
        patch({ from: value, to: isBetween ? String(Math.max(Number(value) + 1, Number(state.to))) : null }))),
      isBetween && field("To step", select(all.filter(i => i > from).map(option), state.to, value => patch({ from: String(from), to: value }))),
      field("Path length", select([1, 2, 3, 4, 5].map(n => [String(n), `up to ${plural(n, "event")}`]), String(length),
        value => patch({ len: value }))),
      field("Number of paths", select([["10", "10"], ["30", "30"], ["100", "100"]], String(k), value => patch({ k: value }))));
  }
}

function previousOf(definition, index) {
  let at = index - 1;
  while (at > 1 && definition.steps[at - 1]?.optional) at--;
  return at;
}
