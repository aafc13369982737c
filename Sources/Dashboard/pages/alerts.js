import { get } from "../api/fetch.js";
import { address, load, removeAfterAsking, save } from "../api/saved.js";
import { mayWrite } from "../api/session.js";
import { say } from "../parts/announce.js";
import { card } from "../parts/card.js";
import { button, h, name, put, redraw } from "../parts/dom.js";
import { select } from "../parts/field.js";
import { minute, plural, withPeriod } from "../parts/format.js";
import { failed, notice } from "../parts/states.js";
import { stringify } from "../state/json.js";
import { href } from "../state/url.js";
import { editAlert } from "./alert-edit.js";
import { quietValues, what } from "./alert-words.js";
import { poll } from "./poll.js";

export const bar = [];
export const title = () => "Alerts";

const EVERY = 10_000;
const STATES = { ok: "OK", pending: "Pending", firing: "Firing", resolved: "Resolved", invalid: "Not evaluated" };
const ORDER = ["invalid", "firing", "pending", "resolved", "ok"];

/** The alert rules and their states; a rule is made and changed in a dialog. Links in notices name a rule. */
export const show = (main, state) => poll(main, EVERY, () => get("/v1/alerts"), again => make(again, state.rule));

/** @param aim id of the rule that the page is opened for; undefined: none */
function make(again, aim) {
  const status = h("p", { class: "muted", role: "status" });
  const list = h("div", { class: "alert-rules" });
  const add = mayWrite() && button("New alert rule", () => editAlert(null, again), { class: "button primary" });
  const head = h("header", { class: "page-head" }, h("div", {}, h("h1", {}, "Alerts"), status), h("div", { class: "actions" }, add || null));
  const foot = h("p", { class: "fine" }, "A rule watches one number of a saved funnel, and notifies ", h("a", { href: href({ page: "channels" }) }, "channels"),
    " when its condition is met. Times in UTC.");
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
    const isFirst = !list.hasChildNodes();
    redraw(list, () => put(list, aim !== undefined && !rules.some(rule => rule.id === aim) && notice("warn", ["There is no alert rule ", name(aim)], ["It may have been deleted."]),
      rules.length === 0 && notice("empty", "No alert rules", ["A rule notifies you when conversion falls, an event vanishes or traffic stops."]),
      [...rules].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1)).map(rule => ruleCard(rule, again, open, rule.id === aim))));
    if (isFirst) goTo(list.querySelector(".aimed"));
  }
  return { node, update };
}

/** Brings the rule that a link names into view. Its heading gets the focus, so that screen readers begin there. */
function goTo(box) {
  if (!box) return;
  box.querySelector("h2").tabIndex = -1;
  box.querySelector("h2").focus({ preventScroll: true });
  box.scrollIntoView({ block: "center" });
}

function ruleCard(rule, again, open, isAimed) {
  const { state } = rule;
  const isBad = ["firing", "invalid"].includes(state.status);
  const muted = rule.mute_until && Date.parse(rule.mute_until) > Date.now();
  const isListed = group => group.status !== "ok" || state.groups.length === 1;
  const quiet = state.groups.filter(group => !isListed(group));
  const lines = state.groups.filter(isListed).map(group => h("li", {}, h("strong", {}, STATES[group.status]), " since ", minute(group.since), ". ",
    sentence(group.text)));
  const past = h("div", {});
  const history = button("History", toggle, { "aria-expanded": "false", "data-key": `${rule.id} history` });
  const actions = [history, ...mayWrite() ? [muteChoice(rule, muted, again), button("Edit", () => editAlert(rule, again), { "data-key": `${rule.id} edit` }),
    button("Delete", () => remove(rule, again), { "data-key": `${rule.id} delete` })] : []];
  if (open.has(rule.id)) toggle();
  const box = card(rule.id, actions,
    h("p", {}, h("span", { class: `state ${isBad ? "unreachable" : "ready"}` }, STATES[state.status]), " · ", what(rule),
      muted && ` · muted until ${minute(rule.mute_until)}`),
    state.reason && h("p", { class: "wrap" }, `It ${state.reason}.`),
    lines.length > 0 && h("ul", { class: "alert-values" }, lines),
    quiet.length > 0 && h("p", {}, quietValues(quiet, rule.metric.kind, lines.length > 0)),
    h("p", { class: "fine" }, state.evaluated_until ? `Evaluated up to ${minute(state.evaluated_until)}.` : "Not evaluated yet."), past);
  box.classList.add("alert-rule");
  box.classList.toggle("aimed", isAimed);
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
      const entries = [...(await get(address("alerts", rule.id, "/history"))).history].reverse();
      put(past, entries.length ? h("ul", { class: "alert-values" }, entries.slice(0, 50).map(entry => h("li", {}, minute(entry.at), ": ",
        h("strong", {}, STATES[entry.kind]), ". ", sentence(entry.text)))) : h("p", { class: "fine" }, "Nothing happened in the last 90 days."));
    } catch (error) {
      put(past, failed(error));
    }
  }
}

const sentence = text => h("bdi", { dir: "auto", class: "wrap" }, withPeriod(text));

function muteChoice(rule, muted, again) {
  const options = [["", muted ? "Muted" : "Mute"], ["1", "for 1 hour"], ["4", "for 4 hours"], ["24", "for a day"], ["168", "for a week"]];
  if (muted) options.push(["0", "no longer"]);
  return select(options, "", async hours => {
    if (hours === "") return;
    try {
      const { data, tag } = await load("alerts", rule.id);
      const { state, mute_until, ...rest } = data;
      const until = Number(hours) && new Date(Date.now() + Number(hours) * 3_600_000).toISOString();
      await save("alerts", rule.id, until ? { ...rest, mute_until: until } : rest, tag);
      say(until ? `${rule.id} is muted` : `${rule.id} is no longer muted`);
    } catch (error) {
      say(`Not changed: ${error.message}`);
    }
    again();
  }, { "aria-label": `Mute ${rule.id}`, class: "quiet", "data-key": `${rule.id} mute` });
}

async function remove(rule, again) {
  await removeAfterAsking("alerts", rule.id, "alert rule", "Its state and history are deleted too. What fires is resolved.");
  again();
}
