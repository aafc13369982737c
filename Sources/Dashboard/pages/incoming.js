import { get } from "../api/fetch.js";
import { card } from "../parts/card.js";
import { say } from "../parts/announce.js";
import { button, h, name, put } from "../parts/dom.js";
import { choice, field, input } from "../parts/field.js";
import { instant, plural } from "../parts/format.js";
import { reasonText } from "../parts/reasons.js";
import { failed, noEvents, notice, ready, wait } from "../parts/states.js";
import { table } from "../parts/table.js";
import { note, read } from "../state/url.js";

export const bar = [];
export const title = () => "Incoming";
/** The filters change within the page. */
export const key = () => "incoming";

const EVERY = 2000;
/** Events that are shown; an ingest keeps as many of each outcome. */
const MOST = 200;
/** The clocks of ingests differ, so each question reaches back a little. */
const OVERLAP = 10_000;
const KINDS = [["all", "All"], ["rejected", "Rejected"], ["taken", "Taken"]];

const keyOf = event => [event.ingest, event.time, event.outcome].join(" ");

/** The last events that ingests took and rejected, as they come. */
export function show(main, state) {
  let timer = null;
  let gone = false;
  let paused = false;
  let view = null;
  let turn = 0;
  let filter = filterOf(state);
  const events = new Map();
  wait(main, "table");
  look();
  return { stop() { gone = true; clearTimeout(timer); }, update: next => use(filterOf(next)) };

  function use(next) {
    if (next.kind === filter.kind && next.part === filter.part) return;
    filter = next;
    events.clear();
    view?.choose(filter);
    paused = false;
    view?.pause(paused);
    look();
  }

  function change(next) {
    note({ ...read(), name: next.part || undefined, outcome: next.kind === "all" ? undefined : next.kind });
    use(next);
  }

  async function look() {
    clearTimeout(timer);
    const mine = ++turn;
    try {
      if (!document.hidden && !paused) {
        const answer = await get(address());
        if (gone || mine !== turn) return;
        if (!view || !main.contains(view.node)) {
          view = make({ filter, change, pause: toggle });
          ready(main, view.node);
        }
        take(answer.events);
        view.update(answer, newest(), filter);
      }
    } catch (error) {
      if (gone || mine !== turn) return;
      view = null;
      if (!main.querySelector(".notice.bad")) ready(main, failed(error, look));
    }
    timer = setTimeout(look, EVERY);
  }

  function address() {
    const parameters = [["kind", filter.kind], ["limit", MOST]];
    if (filter.part) parameters.push(["event", filter.part]);
    const times = newest().map(event => Date.parse(event.time));
    if (times.length) parameters.push(["after", new Date(times[0] - OVERLAP).toISOString()]);
    // Not `URLSearchParams`: it writes a blank as `+`, which the server reads as a plus sign.
    return "/v1/rejected?" + parameters.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
  }

  function take(found) {
    for (const event of found) if (!events.has(keyOf(event))) events.set(keyOf(event), event);
    for (const event of newest().slice(MOST)) events.delete(keyOf(event));
  }

  function newest() {
    return [...events.values()].sort((a, b) => Date.parse(b.time) - Date.parse(a.time) || (a.time < b.time ? 1 : -1));
  }

  function toggle() {
    paused = !paused;
    view.pause(paused);
    say(paused ? "Paused" : "Live");
    if (!paused) look();
  }
}

const filterOf = state => ({ kind: KINDS.some(([kind]) => kind === state.outcome) ? state.outcome : "all", part: state.name ?? "" });

function make({ filter, change, pause }) {
  let chosen = filter;
  let shown = "";
  let details = new Map();
  const status = h("p", { class: "muted", role: "status" });
  const text = input(filter.part, value => change({ ...chosen, part: value.trim() }), { type: "search", maxlength: 200 });
  const kinds = h("div", {});
  const stop = button("Pause", pause, { "aria-pressed": "false" });
  const notices = h("div", { role: "status" });
  const empty = h("div", {});
  const columns = [
    { label: "Time", cell: row => h("div", { class: "stamp" }, when(row.time), detail(row).button) },
    { label: "Outcome", cell: outcome }, { label: "Event", cell: row => value(row.event) },
    { label: "User", cell: row => h("span", { class: "short" }, value(row.user_id)) },
    { label: "Sent to", cell: row => h("code", {}, name(row.endpoint)) }, { label: "API key", cell: row => value(row.key) },
  ];
  const rows = table("Incoming events", columns);
  const list = card("Events", [], rows.node);
  const foot = h("p", { class: "fine" }, "Taken events are shown from the moment this page is opened. An ingest keeps the last "
    + `${MOST} of each outcome in memory, and rejected events in files (GET /v1/rejected, and “sluice load --retry-rejected”). `
    + "Events that normalisation rules drop are not shown. Times in UTC.");
  const head = h("header", { class: "page-head" }, h("div", {}, h("h1", {}, "Incoming"), status), h("div", { class: "actions" }, stop));
  const controls = h("div", { class: "row" }, field("Event name contains", text), kinds);
  const node = h("div", { class: "page" }, head, controls, notices, empty, list, foot);
  choose(filter);

  function choose(next) {
    chosen = next;
    if (text.value !== next.part) text.value = next.part;
    if (kinds.querySelector(":checked")?.value !== next.kind) {
      put(kinds, choice("Which events", KINDS, next.kind, kind => change({ ...chosen, kind })));
    }
  }

  /** The button that opens a row, and the row below it. Kept while the row is shown, so that what is open stays open. */
  function detail(row) {
    const id = keyOf(row);
    if (!details.has(id)) {
      const label = row.outcome === "taken" ? "As it is stored" : "As it came";
      const text = h("pre", { class: "as-it-came", tabindex: "0", "aria-label": label }, name(row.record));
      const inner = h("div", { class: "opened" }, h("p", { class: "fine" }, label), text);
      const below = h("tr", { class: "below" }, h("td", { colspan: columns.length }, inner));
      const open = button("Show", () => turn(id), { class: "button plain small", "aria-expanded": "false" });
      details.set(id, { button: open, below, isOpen: false });
    }
    return details.get(id);
  }

  function turn(id) {
    const one = details.get(id);
    one.isOpen = !one.isOpen;
    one.button.textContent = one.isOpen ? "Hide" : "Show";
    one.button.setAttribute("aria-expanded", String(one.isOpen));
    if (one.isOpen) one.button.closest("tr").after(one.below);
    else one.below.remove();
  }

  function update(answer, events, { kind, part }) {
    const rejected = events.filter(event => event.outcome === "rejected").length;
    setText(status, events.length ? `${plural(events.length, "event")} lately, ${rejected} of them rejected` : "Waiting for events");
    const silent = answer.silent.map(address => h("li", {}, name(address)));
    const warning = [answer.ingests, ...answer.silent].join(" ");
    if (notices.dataset.shown !== warning) {
      notices.dataset.shown = warning;
      const verb = silent.length === 1 ? "does" : "do";
      put(notices, silent.length > 0 && notice("warn", `${silent.length} of ${plural(answer.ingests, "ingest")} ${verb} not answer`,
        [h("p", {}, "What came there is missing here:"), h("ul", {}, silent)]),
        answer.ingests === 0 && notice("warn", "No ingest is known", ["Each ingest announces itself to the coordinator every 5 seconds."]));
    }
    const now = events.map(keyOf).join("\n");
    list.hidden = events.length === 0;
    const what = events.length ? "" : part || kind !== "all" ? "filtered" : "none";
    if (empty.dataset.shown !== what) {
      empty.dataset.shown = what;
      put(empty, what === "none" && noEvents("Waiting for events"),
        what === "filtered" && notice("empty", "No such event lately", ["Events appear here as they come. Change the filter to see others."]));
    }
    if (now === shown) return;
    shown = now;
    const kept = new Map();
    for (const event of events) if (details.has(keyOf(event))) kept.set(keyOf(event), details.get(keyOf(event)));
    details = kept;
    rows.update(events.map(event => ({ ...event, below: details.get(keyOf(event))?.isOpen && details.get(keyOf(event)).below })));
  }

  function pauseShown(paused) {
    stop.textContent = paused ? "Go on" : "Pause";
    stop.setAttribute("aria-pressed", String(paused));
    if (paused) setText(status, "Paused");
  }
  return { node, update, choose, pause: pauseShown };
}

const OUTCOMES = { taken: "Taken", rejected: "Rejected" };
const when = time => h("time", { datetime: time }, instant(time, "UTC"));
const value = text => text ? name(text) : "–";

/** Whether the event was taken; if it was not, why. */
function outcome(row) {
  const state = h("span", { class: `state ${row.outcome === "taken" ? "ready" : "unreachable"}` }, OUTCOMES[row.outcome]);
  return row.reason ? [state, reason(row.reason)] : state;
}

function reason(text) {
  const { place, words, advice } = reasonText(text);
  return h("div", { class: "reason" }, place && h("strong", {}, name(place), " "), h("bdi", { dir: "auto" }, words),
    advice && h("small", { class: "hint" }, advice));
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
