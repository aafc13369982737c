import { address, removeAfterAsking } from "../api/saved.js";
import { mayWrite } from "../api/session.js";
import { card } from "../parts/card.js";
import { button, h, name } from "../parts/dom.js";
import { lengthText } from "../parts/faults.js";
import { instant, listed, minute, number, plural } from "../parts/format.js";

/** What is sent by schedule: reports and cohorts. They are made by commands. */
export const reportList = (reports, use) => card("Scheduled reports", [], reports.length
  ? h("ul", { class: "sendings" }, reports.map(report => sending("reports", "report", report, reportWords(report), use))) : null,
  made("A report sends the answer of a saved funnel each day or week. ", "sluice reports apply FILE"));

export const cohortList = (cohorts, use) => card("Cohorts", [], cohorts.length
  ? h("ul", { class: "sendings" }, cohorts.map(cohort => sending("cohorts", "cohort", cohort, cohortWords(cohort), use))) : null,
  made("A cohort keeps a list of users up to date in another system. ", "sluice cohorts apply FILE"));

const made = (what, command) => h("p", { class: "fine" }, what, "It is made and changed by ", h("code", {}, command), ".");

/** What became of an action. */
export const outcome = done => done ? h("p", { class: done.isBad ? "fault wrap" : "wrap" }, h("bdi", { dir: "auto" }, done.text)) : null;

/** One of the list, with its buttons. */
function sending(kind, noun, one, { what, past, action, path, words, deleted }, { said, act, again }) {
  const key = `${noun} ${one.id}`;
  const buttons = mayWrite() && [
    button(action, () => act(key, address(kind, one.id, path), words), { "aria-label": `${action}: ${one.id}`, "data-key": `${key} ${action}` }),
    button("Delete", async () => { await removeAfterAsking(kind, one.id, noun, deleted); again(); }, { "aria-label": `Delete ${one.id}`, "data-key": `${key} delete` }),
  ];
  const { problem } = one.state;
  return h("li", {},
    h("div", { class: "card-head" }, h("h3", {}, name(one.title)), buttons && h("div", { class: "actions" }, buttons)),
    h("p", {}, what), h("p", { class: "fine" }, one.title !== one.id && ["Id ", name(one.id), ". "], past),
    problem && h("p", { class: "fault wrap" }, "Problem: ", h("bdi", { dir: "auto" }, problem)), outcome(said.get(key)));
}

const days = n => n === 1 ? "1 day" : `${number(n)} days`;
const capital = text => text[0].toUpperCase() + text.slice(1);
const names = ids => ids.flatMap((id, i) => [i > 0 && ", ", name(id)]);

function reportWords({ schedule, days: n, funnel_id: funnel, channels, state }) {
  const when = schedule.every === "week" ? capital(schedule.weekday) : "day";
  return {
    what: [`Each ${when} at ${schedule.at}, ${schedule.time_zone}: ${days(n)} of `, name(funnel),
      channels.length ? [", to ", names(channels)] : ", to no channel", "."],
    past: [state.sent ? `Last sent ${instant(state.sent)}.` : "Not sent yet.", state.next && ` Next ${minute(state.next)}.`],
    action: "Send now", path: "/send", deleted: "Nothing is sent by this schedule any more.",
    words: answer => answer.channels.length ? { text: `Given to ${listed(answer.channels)}. The channel shows when it is delivered.` }
      : { isBad: true, text: "Not sent: none of its channels exists." },
  };
}

const OUTCOMES = {
  reached: step => ["who reached ", step], dropped: step => ["who stopped before ", step],
  open: step => ["who stopped before ", step, " and can still convert"], converted: step => ["who reached ", step, " and converted"],
};

function cohortWords(cohort) {
  const { state } = cohort;
  const step = typeof cohort.step === "string" ? name(cohort.step) : `step ${cohort.step}`;
  const sends = state.pages !== null && ` Being sent: ${plural(state.pages, "page")} so far.`;
  return {
    what: ["Users of ", name(cohort.funnel_id), " ", (OUTCOMES[cohort.outcome] ?? OUTCOMES.reached)(step), `, last ${days(cohort.days)} (${cohort.time_zone}), every ${
      lengthText(cohort.every).replace(/^1 /, "")}, to `, name(cohort.channel), "."],
    past: [state.members !== null && `${plural(state.members, "user")}. `, state.delivered ? `Last delivered ${instant(state.delivered)}.` : "Not delivered yet.",
      sends, state.next && ` Next ${instant(state.next)}.`],
    action: "Sync now", path: "/sync", deleted: "Nothing is sent any more. The receiver keeps its users.",
    words: () => ({ text: "It is read and sent now. The difference follows in pages." }),
  };
}
