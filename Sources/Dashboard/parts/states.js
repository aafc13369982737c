import { button, h } from "./dom.js";
import { describeFault } from "./faults.js";
import { clock, shardsText } from "./format.js";
import { session } from "../api/session.js";

/** Headings for the error titles of the API. */
const TITLES = {
  "invalid query": "This can't be calculated", "invalid message": "This can't be calculated",
  "unknown funnel": "There is no such funnel", overloaded: "The server is busy", "not ready": "The server is starting",
  "deadline exceeded": "The query took too long", "work budget": "This query needs too much work",
  "too large": "The answer is too large",
  internal: "Something went wrong on the server", conflict: "Changed by someone else", "storage failed": "The server could not save",
  "storage full": "The server's disk is full", forbidden: "No permission", "not authenticated": "Not signed in",
};
/** Errors inside the server. Their message is shown only under "Details". */
const INNER = new Set([
  "internal", "connection lost", "truncated answer", "wrong epoch", "storage failed", "unreachable", "damaged compression",
]);

const capital = text => text && text[0].toUpperCase() + text.slice(1);

/** The notice in place of a report that failed. */
export function failed(error, retry, { title, actions = [] } = {}) {
  const buttons = [retry && button("Try again", retry), ...actions].filter(Boolean);
  if (error.status === 403) return notice("warn", "No permission", ["Your key is read-only. This needs an admin key."], buttons);
  if (error.shards?.length) {
    const whose = error.shards.length === 1 ? "its" : "their";
    return missing(error, `A complete answer needs ${whose} users.`, buttons);
  }
  if (error.title === "unknown funnel") {
    const [, funnel] = /"(.*)"/s.exec(error.errors?.[0]?.reason ?? error.message) ?? [];
    const words = funnel ? `There is no funnel “${funnel}”` : TITLES[error.title];
    return notice("bad", words, [h("p", {}, "It may have been deleted.")], buttons);
  }
  const faults = error.errors ?? [];
  // The caller's title describes a rejected query. The API's title describes a failing server.
  const own = error.status >= 400 && error.status < 500 && title;
  return notice("bad", own || TITLES[error.title] || capital(error.title) || "The request failed", faults.length ? [faultList(faults)]
    : INNER.has(error.title) ? [h("p", {}, "Try again in a moment. If the error persists, the server's log has the cause."), details(error.message)]
      : [h("p", { class: "wrap" }, sentence(error.message))], buttons);
}

/** The notice about shards that do not answer. @param words the consequence */
function missing(error, words, buttons) {
  return notice("bad", `${capital(shardsText(error.shards))} ${error.shards.length === 1 ? "does" : "do"} not answer`,
    [h("p", {}, words), details(error.message)], buttons);
}

const sentence = text => /[.!?]$/.test(text) ? capital(text) : capital(text) + ".";

/** The server's message, for operators. */
const details = text => h("details", { class: "more" }, h("summary", {}, "Details"), h("code", { class: "wrap" }, text));

const faultList = faults => h("ul", {}, faults.map(describeFault).map(({ place, text }) =>
  h("li", { class: "wrap" }, h("strong", {}, place), ": ", h("bdi", { dir: "auto" }, text))));

/** The same for a query. If a shard did not answer, offers to ask without it. */
export function failedQuery(error, retry, partial, more = {}) {
  const without = error.shards?.length && partial && button(`Show without ${shardsText(error.shards)}`, partial);
  return failed(error, retry, { ...more, actions: [without, ...more.actions ?? []] });
}

/**
 * The notice above numbers that no longer update.
 * @param error the cause; null if the connection was lost
 * @param asOf when the numbers were calculated
 */
export function staleNotice(error, asOf, zone, retry, partial) {
  const from = `The numbers below are from ${clock(asOf, zone)}.`;
  const box = !error ? notice("warn", "No connection to the server", [`${from} They update again as soon as the server answers.`])
    : error.shards?.length ? missing(error, from, [button("Try again", retry),
      partial && button(`Show without ${shardsText(error.shards)}`, partial)].filter(Boolean))
      : failed(error, retry);
  if (error && !error.shards?.length) box.querySelector(".notice-text").append(h("p", {}, from));
  box.classList.add("stale-notice");
  return box;
}

export function notice(kind, title, text, actions) {
  return h("section", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null },
    h("h2", {}, title), h("div", { class: "notice-text" }, text), actions?.length > 0 && h("div", { class: "notice-actions" }, actions));
}

/** Says how to send the first event. */
export function noEvents(title = "No events yet") {
  const line = "curl -X POST http://INGEST_HOST:8080/v1/events \\\n  -H 'content-type: application/json' \\\n"
    + (session.keys_needed ? "  -H 'authorization: Bearer WRITE_KEY' \\\n" : "")
    + `  -d '[{"user_id":"u1","event":"Visit","timestamp":"${new Date().toISOString()}"}]'`;
  return notice("empty", title, [
    h("p", {}, `Send a first event to the ingest service. Replace INGEST_HOST with its host name${
      session.keys_needed ? " and WRITE_KEY with a write key" : ""}. The event appears here within seconds.`),
    h("pre", { tabindex: "0", "aria-label": "Command that sends an event" }, h("code", {}, line)),
  ]);
}

/** Grey placeholders with about the size of the content. */
function skeleton(kind) {
  const block = (cls, n = 1) => Array.from({ length: n }, () => h("div", { class: `bone ${cls}` }));
  return h("div", { class: "skeleton", "aria-hidden": "true" },
    block("bone-title"), h("div", { class: "figures" }, block("bone-figure", 4)), block(kind === "table" ? "bone-table" : "bone-chart"));
}

/**
 * Marks a place as loading. Shows placeholders unless an earlier report is shown.
 * @param page lays out a page around the placeholders
 */
export function waitFor(main, kind, page) {
  if (!main.querySelector(".page") || main.querySelector(".notice")) page(skeleton(kind));
  main.setAttribute("aria-busy", "true");
}

/** The same for a page without a head and controls of its own. */
export const wait = (main, kind) => waitFor(main, kind, content => main.replaceChildren(content));

export function ready(main, ...nodes) {
  main.removeAttribute("aria-busy");
  main.replaceChildren(...nodes.flat().filter(Boolean));
}
