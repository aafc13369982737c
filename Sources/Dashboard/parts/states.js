import { button, h, name } from "./dom.js";
import { session } from "../api/session.js";

/** What stands in place of a report: nothing yet, no right to it, at fault. */
export function failed(error, retry) {
  if (error.status === 403) return notice("warn", "No permission", ["Your key can read, but this needs an admin key."]);
  const faults = (error.errors ?? []).map(fault => h("li", {}, h("code", {}, name(fault.field)), " ", name(fault.reason)));
  const shards = error.shards ?? [];
  return notice("bad", error.title || "This did not work", [
    h("span", {}, error.message), faults.length > 0 && h("ul", {}, faults),
    shards.length > 0 && h("p", {}, "Without answer: ", shards.join(", "), "."),
  ], retry && [button("Try again", retry)]);
}

/** A query that failed for want of a shard can be asked again without it. */
export function failedQuery(error, retry, partial) {
  const box = failed(error, retry);
  if (error.status === 503 && error.shards?.length && partial) {
    box.querySelector(".notice-actions")?.append(button("Show what is there", partial));
  }
  return box;
}

export function notice(kind, title, text, actions) {
  return h("section", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null },
    h("h2", {}, title), h("div", { class: "notice-text" }, text), actions && h("div", { class: "notice-actions" }, actions));
}

/** Nothing was sent yet: how to send the first event. */
export function noEvents() {
  const line = "curl -X POST http://INGEST_HOST:8080/v1/events \\\n  -H 'content-type: application/json' \\\n"
    + (session.keys_needed ? "  -H 'authorization: Bearer WRITE_KEY' \\\n" : "")
    + `  -d '[{"user_id":"u1","event":"Visit","timestamp":"${new Date().toISOString()}"}]'`;
  return notice("empty", "No events yet", [
    h("p", {}, "Send the first one to the ingest service. It shows here within seconds."),
    h("pre", { tabindex: "0", "aria-label": "Command that sends an event" }, h("code", {}, line)),
  ]);
}

/** Grey shapes of the size of what comes. */
export function skeleton(kind) {
  const block = (cls, n = 1) => Array.from({ length: n }, () => h("div", { class: `bone ${cls}` }));
  return h("div", { class: "skeleton", "aria-hidden": "true" },
    block("bone-title"), h("div", { class: "figures" }, block("bone-figure", 4)), block(kind === "table" ? "bone-table" : "bone-chart"));
}

/** Marks a place as waiting; the skeleton is shown only where there is nothing to keep. */
export function wait(main, kind) {
  main.setAttribute("aria-busy", "true");
  if (!main.firstElementChild || main.querySelector(".notice")) main.replaceChildren(skeleton(kind));
}

export function ready(main, ...nodes) {
  main.removeAttribute("aria-busy");
  main.replaceChildren(...nodes.flat().filter(Boolean));
}
