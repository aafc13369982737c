import { call, get } from "../api/fetch.js";
import { address, removeAfterAsking } from "../api/saved.js";
import { mayWrite } from "../api/session.js";
import { say } from "../parts/announce.js";
import { card } from "../parts/card.js";
import { button, h, name, put, redraw } from "../parts/dom.js";
import { instant, listed, plural } from "../parts/format.js";
import { notice } from "../parts/states.js";
import { stringify } from "../state/json.js";
import { KINDS, editChannel, receiver } from "./channel-edit.js";
import { poll } from "./poll.js";
import { cohortList, outcome, reportList } from "./sendings.js";

export const bar = [];
export const title = () => "Channels";

const EVERY = 10_000;

/** The channels, and what is sent to them by schedule. Channels need an admin key. */
export const show = main => poll(main, EVERY, ask, make);

async function ask() {
  const [channels, reports, cohorts] = await Promise.all([mayWrite() ? get("/v1/channels") : null, get("/v1/reports"), get("/v1/cohorts")]);
  return { channels: channels?.channels ?? null, reports: reports.reports, cohorts: cohorts.cohorts };
}

function make(again) {
  const status = h("p", { class: "muted", role: "status" });
  const add = mayWrite() && button("New channel", () => editChannel(null, again), { class: "button primary" });
  const head = h("header", { class: "page-head" }, h("div", {}, h("h1", {}, "Channels"), status), h("div", { class: "actions" }, add || null));
  const list = h("div", { class: "page" });
  const foot = h("p", { class: "fine" }, "A channel is a place where alerts, reports and cohorts go. Deliveries are those since the coordinator started. Times in UTC.");
  const node = h("div", { class: "page" }, head, list, foot);
  /** What became of the last action on a row, by the row's key. */
  const said = new Map();
  let last = null;
  let shown = "";

  function update(answer) {
    const { channels, reports, cohorts } = last = answer;
    const text = channels ? channelsText(channels) : "Your key is read-only. Channels are shown to admin keys.";
    if (status.textContent !== text) status.textContent = text;
    const now = stringify([channels, reports, cohorts, [...said]]);
    if (now === shown) return;
    shown = now;
    const use = { said, act, again };
    redraw(list, () => put(list,
      channels?.length === 0 && notice("empty", "No channels", ["A channel takes alerts and reports to a webhook, a chat, Alertmanager, a mailbox or a file."]),
      channels?.length > 0 && h("div", { class: "channels" }, channels.map(channel => channelCard(channel, reports, cohorts, use))),
      reportList(reports, use), cohortList(cohorts, use)));
  }

  /** Runs an action of a row and keeps what became of it. @param words returns it from the answer */
  async function act(key, path, words) {
    if (said.get(key)?.isRunning) return;
    said.set(key, { text: "Sending…", isRunning: true });
    update(last);
    try {
      said.set(key, words((await call(path, { method: "POST" })).data));
    } catch (error) {
      said.set(key, { isBad: true, text: `Not sent: ${error.message}` });
    }
    say(said.get(key).text);
    update(last);
    again();
  }
  return { node, update };
}

/** Whether the last delivery failed. */
const isFailing = ({ delivered_at, failed_at }) => failed_at !== null && (delivered_at === null || Date.parse(failed_at) > Date.parse(delivered_at));

function channelsText(channels) {
  const failing = channels.filter(channel => isFailing(channel.delivery)).length;
  return channels.length ? `${plural(channels.length, "channel")}, ${failing || "none"} of them failing` : "No channels";
}

function channelCard(channel, reports, cohorts, { said, act, again }) {
  const { delivery } = channel;
  const key = `channel ${channel.id}`;
  const bad = isFailing(delivery);
  const state = bad ? "Failing" : delivery.delivered_at ? "Delivered" : "Nothing delivered yet";
  const test = button("Test", () => act(key, address("channels", channel.id, "/test"), testWords), { "aria-label": `Test ${channel.id}`, "data-key": `${key} test` });
  const edit = button("Edit", () => editChannel(channel, again), { "aria-label": `Edit ${channel.id}`, "data-key": `${key} edit` });
  const drop = button("Delete", async () => {
    await removeAfterAsking("channels", channel.id, "channel", await whoLoses(channel.id, reports, cohorts));
    again();
  }, { "aria-label": `Delete ${channel.id}`, "data-key": `${key} delete` });
  const facts = [delivery.delivered_at && `Last delivered ${instant(delivery.delivered_at)}.`,
    delivery.waiting > 0 && `${plural(delivery.waiting, "notice")} waiting.`, signs(channel)].filter(Boolean).join(" ");
  const box = card(name(channel.id), [test, edit, drop],
    h("p", {}, h("span", { class: `state ${bad ? "unreachable" : delivery.delivered_at ? "ready" : "idle"}` }, state), " · ", KINDS[channel.kind] ?? channel.kind, " ",
      h("bdi", { dir: "auto", class: "wrap" }, receiver(channel))),
    facts && h("p", { class: "fine" }, facts),
    delivery.failed_at && h("p", { class: "wrap" }, `Last failure ${instant(delivery.failed_at)}: `, h("bdi", { dir: "auto" }, delivery.reason)),
    outcome(said.get(key)));
  box.classList.add("channel");
  return box;
}

const signs = ({ kind, settings: { secrets = [] } }) => secrets.includes("secret") ? "Signed."
  : secrets.includes("authorization") ? "With an Authorization header." : kind === "webhook" && "Not signed: it has no secret.";

const testWords = ({ delivered, reason }) => delivered
  ? { text: "The test was delivered. Look whether it arrived." } : { isBad: true, text: `The test was not delivered: ${reason}.` };

/** What the deletion of a channel means for those that use it. */
async function whoLoses(id, reports, cohorts) {
  const names = list => listed(list.map(one => one.id));
  const uses = list => list.filter(one => one.channels?.includes(id) || one.channel === id);
  let rules = "Alert rules that use it are not evaluated any more.";
  try {
    const used = uses((await get("/v1/alerts")).alerts);
    rules = used.length > 0 && `Not evaluated any more without it: the alert ${used.length === 1 ? "rule" : "rules"} ${names(used)}.`;
  } catch { /* the general words are right, too */ }
  const [sent, synced] = [uses(reports), uses(cohorts)];
  return ["Notices that wait for it are lost.", rules,
    sent.length > 0 && `No longer sent there: the ${sent.length === 1 ? "report" : "reports"} ${names(sent)}.`,
    synced.length > 0 && `No longer sent at all: the ${synced.length === 1 ? "cohort" : "cohorts"} ${names(synced)}.`].filter(Boolean).join(" ");
}
