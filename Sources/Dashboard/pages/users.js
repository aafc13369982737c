import { post } from "../api/fetch.js";
import { tableCard } from "../parts/card.js";
import { count, moment, text, time } from "../parts/columns.js";
import { h, name, put } from "../parts/dom.js";
import { field } from "../parts/field.js";
import { instant, minute, number, plural, span, valueText } from "../parts/format.js";
import { table } from "../parts/table.js";
import { readText, typed } from "../parts/value.js";
import { definitionOf } from "../state/funnels.js";
import { basis, rowNames } from "../state/query.js";
import { zoneOf } from "../state/range.js";
import { patch } from "../state/url.js";
import { pageHead, reportPage } from "./report-page.js";

export const bar = ["funnel", "range"];
export const title = state => state.user ? `User ${state.user}` : "Find a user";

const OUTCOMES = { converted: "Converted", dropped: "Dropped off", not_entered: "Did not enter" };
const NOT_CHOSEN = {
  shallower: "another attempt got further", fewer_optional_steps: "another attempt did more optional steps",
  slower: "another attempt was faster", later: "another attempt came earlier", left_out: "an exclusion applies",
};

/** One user: the outcome in the funnel with its reasons, and the events. */
export function show(main, state) {
  const zone = zoneOf(state);
  if (state.user) {
    const ask = signal => post("/v1/query/explain", { ...basis(state), user_id: state.user }, signal);
    return reportPage(main, state, {
      title: ["User ", name(typed(state.user))], controls: search(state), kind: "table", takesPart: false, ask,
      draw: answer => answer.found ? found(answer) : h("div", { class: "strip" }, "No events from this id. Ids are case-sensitive."),
    });
  }
  main.removeAttribute("aria-busy");
  put(main, h("div", { class: "page" }, pageHead("Find a user", state), search(state), h("p", { class: "muted" },
    "Enter a user id to see their events and how they went through this funnel. Each step of the funnel lists its user ids.")));
  return {};

  function found(answer) {
    const names = rowNames(definitionOf(state) ?? answer.funnel);
    return [
      h("section", { class: "card", "aria-labelledby": "outcome" },
        h("h2", { id: "outcome" }, h("span", { class: `outcome ${answer.outcome}` }, OUTCOMES[answer.outcome]),
          answer.outcome === "dropped" && ` after step ${answer.depth} of ${names.length}`),
        answer.open_until && h("p", {}, `Still open: can convert until ${minute(answer.open_until, zone)}`),
        h("ol", { class: "timeline" }, answer.chosen.map(done), missed(answer.stopped), rest(answer, names))),
      attempts(answer), events(answer),
    ];
  }

  function done(one) {
    const properties = Object.entries(one.properties ?? {});
    return h("li", { class: "done" },
      h("div", { class: "moment" }, h("strong", {}, `${one.index}. `, name(one.step)), one.event !== one.step && ["via ", name(one.event)],
        h("time", { datetime: one.time }, instant(one.time, zone)),
        one.seconds_from_previous !== null && h("span", { class: "muted" }, `${span(one.seconds_from_previous)} later`)),
      properties.length > 0 && h("dl", { class: "properties" },
        properties.map(([key, value]) => h("div", {}, h("dt", {}, name(key)), h("dd", {}, name(valueText(value)))))));
  }

  function attempts({ attempts: list, attempts_total: total }) {
    if (!list.length) return null;
    const why = row => NOT_CHOSEN[row.not_chosen] ?? row.not_chosen;
    return tableCard(`Other attempts (${number(total)})`, table("Other attempts of this user", [
      moment("Began", row => row.time, zone), count("Steps", row => row.depth), time("Took", row => row.seconds),
      { label: "Not used because", fileLabel: "Does not count because", cell: why, csv: why },
    ], list), () => "attempts");
  }

  function events({ events: list, events_total: total }) {
    const heading = total > list.length ? `Events (${number(list.length)} of ${number(total)})` : plural(total, "event");
    return tableCard(heading, table("Events of this user", [
      moment("Time", row => row.time, zone), text("Event", row => row.event),
      { label: "Matches step", fileLabel: "Can do step", cell: row => row.steps.join(", ") || "–", csv: row => row.steps.join(" ") },
    ], list), () => "events");
  }
}

function search(state) {
  const id = h("input", {
    type: "search", name: "user", value: typed(state.user ?? ""), autocomplete: "off", spellcheck: "false", dir: "auto",
  });
  const look = event => {
    event.preventDefault();
    if (id.value) patch({ user: readText(id.value) });
  };
  return h("form", { class: "row", role: "search", onsubmit: look },
    field("User id", id), h("button", { class: "button primary", type: "submit" }, "Find"));
}

/** The step that was not reached, and why. */
const missed = miss => miss && h("li", { class: "stopped" },
  h("div", { class: "moment" }, h("strong", {}, `${miss.index}. `, name(miss.step)), h("span", { class: "tag loss" }, "not reached")),
  h("p", { class: "wrap" }, name(miss.text, { class: "wrap" })));

function rest(answer, names) {
  const isAny = answer.funnel.conversion_order === "any";
  const from = answer.stopped && !isAny ? answer.stopped.index : answer.depth + (answer.stopped ? 1 : 0);
  return answer.outcome !== "converted"
    && names.slice(from).map((step, i) => h("li", { class: "open" }, h("div", { class: "moment" }, `${from + i + 1}. `, name(step))));
}
