import { call, get } from "../api/fetch.js";
import { mayWrite, session } from "../api/session.js";
import { say } from "../parts/announce.js";
import { card } from "../parts/card.js";
import { confirm } from "../parts/dialog.js";
import { button, h, name, put } from "../parts/dom.js";
import { select } from "../parts/field.js";
import { instant, plural } from "../parts/format.js";
import { failed, notice } from "../parts/states.js";
import { stringify } from "../state/json.js";
import { editAlert } from "./alert-edit.js";
import { poll } from "./poll.js";

export const bar = [];
export const title = () => "Alerts";

const EVERY = 10_000;
const STATES = { ok: "OK", pending: "Pending", firing: "Firing", resolved: "Resolved", invalid: "Not evaluated" };
const ORDER = ["invalid", "firing", "pending", "resolved", "ok"];
const mayChange = () => !session.keys_needed || mayWrite();
const address = id => "/v1/alerts/" + encodeURIComponent(id);

/** The alert rules and their states; a rule is made and changed in a dialog. */
export const show = main => poll(main, EVERY, () => get("/v1/alerts"), make);

function make(again) {
  const status = h("p", { class: "muted", role: "status" });
  const list = h("div", { class: "alert-rules" });
  const add = mayChange() && button("New alert rule", () => editAlert(null, again), { class: "button primary" });
  const head = h("header", { class: "page-head" }, h("div", {}, h("h1", {}, "Alerts"), status), h("div", { class: "actions" }, add || null));
  const foot = h("p", { class: "fine" }, "A rule watches one number of a saved funnel, and notifies channels when its condition is met. "
    + "Channels are made with “sluice channels apply FILE”. Times in UTC.");
  const node = h("div", { class: "page" }, head, list, foot);
  const open = new Set();
  let shown = "";

  function update({ alerts: rules }) {
    const counts = ORDER.map(state => [state, rules.filter(rule => rule.state.status === state).length]).filter(([, n]) => n);
    const text = rules.length ? `${plural(rules.length, "rule")}: ` + counts.map(([state, n]) => `${n} ${STATES[state].toLowerCase()}`).join(", ") : "No rules";
    if (status.textContent !== text) status.textContent = text;
    const now = stringify(rules);
    if (now === shown) return;
    shown = now;
    const rank = rule => ORDER.indexOf(rule.state.status);
    put(list, rules.length === 0 && notice("empty", "No alert rules", ["A rule notifies you when conversion falls, an event vanishes or traffic stops."]),
      [...rules].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1)).map(rule => ruleCard(rule, again, open)));
  }
  return { node, update };
}

function ruleCard(rule, again, open) {
  const { state } = rule;
  const isBad = ["firing", "invalid"].includes(state.status);
  const muted = rule.mute_until && Date.parse(rule.mute_until) > Date.now();
  const values = state.groups.filter(group => group.status !== "ok" || state.groups.length === 1);
  const lines = values.map(group => h("li", {}, h("strong", {}, STATES[group.status]), " since ", instant(group.since), ". ",
    h("bdi", { dir: "auto", class: "wrap" }, group.text)));
  const past = h("div", {});
  const history = button("History", toggle, { "aria-expanded": "false" });
  const actions = [history, mayChange() && muteChoice(rule, muted, again), mayChange() && button("Edit", () => editAlert(rule, again)),
    mayChange() && button("Delete", () => remove(rule, again))];
  if (open.has(rule.id)) toggle();
  const box = card(rule.id, actions,
    h("p", {}, h("span", { class: `state ${isBad ? "unreachable" : "ready"}` }, STATES[state.status]), " · ", what(rule),
      muted && ` · muted until ${instant(rule.mute_until)}`),
    state.reason && h("p", { class: "wrap" }, `It ${state.reason}.`),
    lines.length > 0 && h("ul", { class: "alert-values" }, lines),
    h("p", { class: "fine" }, state.evaluated_until ? `Evaluated up to ${instant(state.evaluated_until)}.` : "Not evaluated yet."), past);
  box.classList.add("alert-rule");
  return box;

  async function toggle() {
    const isOpen = history.getAttribute("aria-expanded") === "true";
    history.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) {
      open.delete(rule.id);
      put(past);
      return;
    }
    open.add(rule.id);
    try {
      const entries = [...(await get(address(rule.id) + "/history")).history].reverse();
      put(past, entries.length ? h("ul", { class: "alert-values" }, entries.slice(0, 50).map(entry => h("li", {}, instant(entry.at), ": ",
        h("strong", {}, STATES[entry.kind]), ". ", h("bdi", { dir: "auto", class: "wrap" }, entry.text)))) : h("p", { class: "fine" }, "Nothing happened in the last 90 days."));
    } catch (error) {
      put(past, failed(error));
    }
  }
}

const KINDS = { count: "users", conversion: "conversion", drop_off: "drop-off", median_time: "median time" };

/** What a rule watches, in words. */
function what(rule) {
  const { step } = rule.metric;
  const at = step === undefined ? "the last step" : typeof step === "string" ? ["step ", name(step)] : `step ${step}`;
  return [KINDS[rule.metric.kind], rule.metric.kind === "count" ? " at " : " to ", at, " of ", name(rule.funnel_id),
    rule.breakdown && [", for each ", name(rule.breakdown.property)]].filter(Boolean);
}

function muteChoice(rule, muted, again) {
  const options = [["", muted ? "Muted" : "Mute"], ["1", "for 1 hour"], ["4", "for 4 hours"], ["24", "for a day"], ["168", "for a week"]];
  if (muted) options.push(["0", "no longer"]);
  return select(options, "", async hours => {
    if (hours === "") return;
    try {
      const { data, tag } = await call(address(rule.id));
      const { state, mute_until, ...rest } = data;
      const until = Number(hours) && new Date(Date.now() + Number(hours) * 3_600_000).toISOString();
      await call(address(rule.id), { method: "PUT", body: until ? { ...rest, mute_until: until } : rest, headers: { "if-match": tag } });
      say(until ? `${rule.id} is muted` : `${rule.id} is no longer muted`);
    } catch (error) {
      say(`Not changed: ${error.message}`);
    }
    again();
  }, { "aria-label": `Mute ${rule.id}`, class: "quiet" });
}

async function remove(rule, again) {
  const sure = await confirm(`Delete the alert rule ${rule.id}?`, "Its state and history are deleted too. What fires is resolved.",
    [["delete", "Delete", "danger"]]);
  if (!sure) return;
  try {
    await call(address(rule.id), { method: "DELETE" });
    say(`${rule.id} is deleted`);
  } catch (error) {
    say(`Not deleted: ${error.message}`);
  }
  again();
}
