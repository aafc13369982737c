import { parse, stringify } from "./json.js";

/** The address contains the whole state of the page: it can be shared and reloaded, and Back restores it. */
const JSON_KEYS = new Set(["def", "seg", "expected", "group", "control"]);
const KEYS = [
  "page", "funnel", "def", "range", "start", "end", "tz", "by", "touch", "k", "seg", "compare", "partial", "step", "tab", "group",
  "unit", "rate", "from", "to", "len", "variant", "control", "against", "expected", "user",
  "exposure", "name", "outcome", "rule",
];
/** The parameters that links to other pages keep. */
const COMMON = ["funnel", "def", "range", "start", "end", "tz", "partial"];

const changed = new Set();

export function read(search = location.search) {
  const parameters = new URLSearchParams(search);
  const state = {};
  for (const key of KEYS) {
    const text = parameters.get(key);
    if (text === null) continue;
    if (!JSON_KEYS.has(key)) state[key] = text;
    else {
      // A damaged parameter is ignored. In older links, `control` is plain text.
      try { state[key] = parse(text) ?? undefined; } catch { if (key === "control") state[key] = text; }
    }
  }
  state.page ??= "funnel";
  return state;
}

export function href(state) {
  const parameters = new URLSearchParams();
  for (const key of KEYS) {
    const value = state[key];
    if (value === undefined || value === null) continue;
    if (JSON_KEYS.has(key)) parameters.set(key, stringify(value));
    else if (value !== "" && value !== false) parameters.set(key, value === true ? "1" : String(value));
  }
  return "/?" + parameters;
}

/** The state of another page, with the common parameters. */
export function carry(state, page, more = {}) {
  const next = { page };
  for (const key of COMMON) next[key] = state[key];
  return { ...next, ...more };
}

export const onChange = watcher => changed.add(watcher);

export function go(state, { replace = false } = {}) {
  const address = href(state);
  if (address === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  for (const watcher of changed) watcher(read());
}

export const patch = (change, options) => go({ ...read(), ...change }, options);

/** Replaces the address and updates the links, without redrawing the page. */
export function note(state) {
  history.replaceState(null, "", href(state));
  dispatchEvent(new Event("noted"));
}

addEventListener("popstate", () => { for (const watcher of changed) watcher(read()); });

// Links within the dashboard do not reload the page.
document.addEventListener("click", event => {
  const link = event.target.closest?.("a[href^='/?'], a[href='/']");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(read(new URL(link.href).search));
});
