import { post } from "../api/fetch.js";
import { h, name, put } from "../parts/dom.js";
import { field } from "../parts/field.js";
import { instant, number, plural, span } from "../parts/format.js";
import { table } from "../parts/table.js";
import { basis, stepNames } from "../state/query.js";
import { definitionOf } from "../state/catalogue.js";
import { zoneOf } from "../state/range.js";
import { patch } from "../state/url.js";
import { tableCard } from "./funnel-view.js";
import { pageHead, partialStrip, reportPage } from "./report-page.js";

export const bar = ["funnel", "range"];
export const title = state => state.user ? `User ${state.user}` : "Users";

const WORDS = { converted: "Converted", dropped: "Dropped", not_entered: "Did not enter" };

/** One user: what became of them in the funnel, and why. */
export function show(main, state) {
  const zone = zoneOf(state);
  if (!state.user) {
    main.removeAttribute("aria-busy");
    put(main, h("div", { class: "page" }, pageHead("Users", state), search(), h("p", { class: "muted" }, "Enter the id of a user to see what became of them in this funnel, event by event. Ids are also listed behind each step of the funnel.")));
    return {};
  }
  return reportPage(main, state, "table", signal => post("/v1/query/explain", { ...basis(state), user_id: state.user }, signal), draw);

  function search() {
    const id = h("input", { type: "search", name: "user", value: state.user ?? "", autocomplete: "off", spellcheck: "false", dir: "auto", maxlength: 512 });
    return h("form", { class: "row", role: "search", onsubmit: event => { event.preventDefault(); if (id.value.trim()) patch({ user: id.value.trim() }); } },
      field("User id", id), h("button", { class: "button primary", type: "submit" }, "Look up"));
  }

  function draw(answer) {
    const head = [pageHead(["User ", name(answer.user_id)], state), search(), partialStrip(answer.completeness)];
    if (!answer.found) return h("div", { class: "page" }, head, h("div", { class: "strip" }, "No events of this user were received."));
    const names = stepNames(definitionOf(state) ?? answer.funnel);
    return h("div", { class: "page" }, head,
      h("section", { class: "card", "aria-labelledby": "outcome" },
        h("h2", { id: "outcome" }, h("span", { class: `outcome ${answer.outcome}` }, WORDS[answer.outcome]), answer.outcome === "dropped" && ` after step ${answer.depth} of ${names.length}`),
        h("ol", { class: "timeline" }, answer.chosen.map(moment), stopped(answer), rest(answer, names))),
      others(answer), events(answer));
  }

  function moment(one) {
    const properties = Object.entries(one.properties ?? {});
    return h("li", { class: "done" }, h("div", { class: "moment" }, h("strong", {}, `${one.index}. `, name(one.step)), one.event !== one.step && ["by ", name(one.event)], h("time", { datetime: one.time }, instant(one.time, zone)),
      one.seconds_from_previous !== null && h("span", { class: "muted" }, `${span(one.seconds_from_previous)} later`)),
    properties.length > 0 && h("dl", { class: "properties" }, properties.map(([key, value]) => h("div", {}, h("dt", {}, name(key)), h("dd", {}, name(String(value)))))));
  }

  function stopped({ stopped: miss }) {
    return miss && h("li", { class: "stopped" }, h("div", { class: "moment" }, h("strong", {}, `${miss.index}. `, name(miss.step)), h("span", { class: "tag loss" }, "not reached")), h("p", {}, name(miss.text, { class: "wrap" })));
  }

  function rest(answer, names) {
    const from = answer.stopped ? answer.stopped.index : answer.depth;
    return answer.outcome !== "converted" && names.slice(from).map((step, i) => h("li", { class: "open" }, h("div", { class: "moment" }, `${from + i + 1}. `, name(step))));
  }

  function others(answer) {
    if (!answer.attempts.length) return null;
    const why = { less_deep: "less deep", longer: "took longer", later: "later", out_of_range: "out of the date range", excluded: "excluded" };
    return tableCard(`Other attempts (${number(answer.attempts_total)})`, table("Other attempts of this user", [
      { label: "Began", cell: row => instant(row.time, zone), csv: row => row.time }, { label: "Steps", number: true, cell: row => number(row.depth), csv: row => row.depth },
      { label: "Took", number: true, cell: row => span(row.seconds), csv: row => row.seconds }, { label: "Not counted because", cell: row => why[row.not_chosen] ?? String(row.not_chosen).replaceAll("_", " "), csv: row => row.not_chosen },
    ], answer.attempts), () => "attempts");
  }

  function events(answer) {
    const note = answer.events_total > answer.events.length ? `Events (${number(answer.events.length)} of ${number(answer.events_total)})` : `Events (${plural(answer.events_total, "event")})`;
    return tableCard(note, table("Events of this user", [
      { label: "Time", cell: row => instant(row.time, zone), csv: row => row.time }, { label: "Event", cell: row => name(row.event), csv: row => row.event },
      { label: "Can do step", cell: row => row.steps.join(", ") || "–", csv: row => row.steps.join(" ") }], answer.events), () => "events");
  }
}
