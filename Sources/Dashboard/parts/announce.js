/** Tells screen readers; what changes often is told once in a while only, and not over what was just said. */
const QUIET = 3000;
const place = () => document.getElementById("say");
let pending = null;
let timer = null;
let at = 0;
let said = 0;

export function say(text) {
  said = Date.now();
  if (pending) schedule();
  write(text);
}

export function sayNowAndThen(text, pause = 8000) {
  pending = { text, pause };
  schedule();
}

function schedule() {
  clearTimeout(timer);
  const now = Date.now();
  timer = setTimeout(() => {
    write(pending.text);
    pending = null;
    at = Date.now();
  }, Math.max(300, at + pending.pause - now, said + QUIET - now));
}

function write(text) {
  place().textContent = "";
  requestAnimationFrame(() => { place().textContent = text; });
}
