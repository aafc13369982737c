import { h } from "../parts/dom.js";

const WORDS = {
  connecting: ["Loading", "Waiting for the first numbers"], live: ["Live", "The numbers update within seconds of a new event"],
  partial: ["Incomplete", "The numbers update, but the users of a missing shard are not counted"],
  stale: ["No answer yet", "The server could not answer. The page tries again."],
  reconnecting: ["Reconnecting", "The connection was lost. The page tries again."],
  paused: ["Paused", "The numbers do not update while this tab is hidden"],
  ended: ["Signed out", "Your session has ended. Sign in again."],
  failed: ["Error", "This can't be calculated. The reason is on this page."],
};

/** The mark that says whether the numbers are live. */
export function liveMark() {
  const text = h("span");
  const node = h("span", { class: "live", role: "status" }, h("span", { class: "live-dot", "aria-hidden": "true" }), text);

  /** @param since the time of day since when shown numbers are stale */
  function set(word, since) {
    const [label, title] = since ? [`Stale since ${since}`, "The numbers no longer update"] : WORDS[word];
    node.dataset.state = since ? "stale" : word;
    if (text.textContent !== label) text.textContent = label;
    node.title = title;
  }
  set("connecting");
  return { node, set };
}
