/** Tells screen readers; what changes often is told once in a while only. */
const place = () => document.getElementById("say");
let waiting = null;
let at = 0;

export function say(text) {
  place().textContent = "";
  requestAnimationFrame(() => { place().textContent = text; });
}

export function sayNowAndThen(text, pause = 8000) {
  if (waiting !== null) clearTimeout(waiting);
  waiting = setTimeout(() => { waiting = null; at = Date.now(); say(text); }, Math.max(300, at + pause - Date.now()));
}
