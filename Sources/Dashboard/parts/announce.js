/** Announces to screen readers; frequent changes are throttled and wait for earlier announcements. */
const HEARD = 3000;
const place = () => document.getElementById("say");
/** The pending announcement: `{text, pause, timer}`. */
let waiting = null;
let spokenAt = 0;
let heardAt = 0;

function speak(text) {
  place().textContent = "";
  requestAnimationFrame(() => { place().textContent = text; });
}

export function say(text) {
  heardAt = Date.now() + HEARD;
  if (waiting) sayNowAndThen(waiting.text, waiting.pause);
  speak(text);
}

export function sayNowAndThen(text, pause = 8000) {
  clearTimeout(waiting?.timer);
  const timer = setTimeout(() => {
    waiting = null;
    spokenAt = Date.now();
    speak(text);
  }, Math.max(300, Math.max(spokenAt + pause, heardAt) - Date.now()));
  waiting = { text, pause, timer };
}
