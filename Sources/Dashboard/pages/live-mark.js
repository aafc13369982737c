import { h } from "../parts/dom.js";

const WORDS = {
  connecting: ["Loading", "Asking for the numbers"], live: ["Live", "Numbers follow new events within seconds"],
  partial: ["Incomplete", "Numbers follow new events, but users of a missing shard are not counted"],
  stale: ["No answer yet", "The server could not answer; it is asked again"],
  reconnecting: ["Connecting", "The connection was lost; it is tried again"], paused: ["Paused", "Paused while the tab is hidden"],
  ended: ["Signed out", "The session has ended"], failed: ["Error", "This can't be calculated; the page says why"],
};

/** Whether the numbers follow events. */
export function liveMark() {
  const text = h("span");
  const node = h("span", { class: "live", role: "status" }, h("span", { class: "live-dot", "aria-hidden": "true" }), text);

  /** @param since of numbers that are shown, but follow no longer: the time of the clock */
  function set(word, since) {
    const [label, title] = since ? [`Stale since ${since}`, "The numbers no longer follow new events"] : WORDS[word];
    node.dataset.state = since ? "stale" : word;
    if (text.textContent !== label) text.textContent = label;
    node.title = title;
  }
  set("connecting");
  return { node, set };
}
