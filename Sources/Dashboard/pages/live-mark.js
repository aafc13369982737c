import { h } from "../parts/dom.js";

const WORDS = {
  connecting: ["Connecting", "Asking for the numbers"], live: ["Live", "Numbers follow new events within seconds"],
  reconnecting: ["Reconnecting", "The connection was lost; numbers may be old"], paused: ["Paused", "Paused while the tab is hidden"],
  ended: ["Signed out", "The session has ended"], failed: ["Stopped", "This query can't be answered"],
};

/** Whether the numbers follow events. */
export function liveMark() {
  const text = h("span");
  const node = h("span", { class: "live", role: "status" }, h("span", { class: "live-dot", "aria-hidden": "true" }), text);
  const set = word => {
    node.dataset.state = word;
    text.textContent = WORDS[word][0];
    node.title = WORDS[word][1];
  };
  set("connecting");
  return { node, set };
}
