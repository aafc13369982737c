import { parse, stringify } from "../state/json.js";
import { Problem, problemOf, notifySignedOut } from "./fetch.js";

/** Milliseconds without data after which a connection is dead; longer than the server's keep-alive interval. */
const SILENCE = 45_000;
const WAIT_MAX = 15_000;

/**
 * Streams the report of a query: once, then again whenever its numbers change.
 * @param body as for /v1/query
 * @param on callbacks `{report(answer), problem(problem), status(word)}`; a word is connecting, live, stale, reconnecting, paused,
 *   ended or failed
 * @returns a function that stops the stream
 */
export function live(body, on) {
  let stopped = false;
  let controller = null;
  let timer = null;
  let tries = 0;

  function stop() {
    stopped = true;
    document.removeEventListener("visibilitychange", look);
    drop();
  }

  function drop() {
    clearTimeout(timer);
    controller?.abort();
    controller = null;
  }

  function look() {
    if (document.hidden) {
      drop();
      on.status("paused");
    } else if (!controller) {
      tries = 0;
      connect();
    }
  }

  function again() {
    if (stopped || document.hidden) return;
    controller = null;
    on.status("reconnecting");
    const wait = Math.min(WAIT_MAX, 500 * 2 ** tries++) * (0.75 + Math.random() / 2);
    timer = setTimeout(connect, wait);
  }

  async function connect() {
    const mine = controller = new AbortController();
    if (tries === 0) on.status("connecting");
    try {
      const answer = await fetch("/v1/live", {
        method: "POST", credentials: "same-origin", cache: "no-store", signal: mine.signal,
        headers: { "content-type": "application/json", accept: "text/event-stream" }, body: stringify(body),
      });
      if (!answer.ok) throw await problemOf(answer);
      await readEvents(answer.body, mine, (event, data) => take(event, data));
      again();
    } catch (error) {
      if (stopped || mine !== controller) return;
      if (error instanceof Problem) {
        on.problem(error);
        if (isLasting(error.status)) {
          on.status("failed");
          return;
        }
      }
      again();
    }
  }

  function take(event, data) {
    if (stopped) return;
    if (event === "report") {
      tries = 0;
      on.status("live");
      const answer = parse(data);
      // An error while drawing must not end the connection.
      try { on.report(answer); } catch (error) { reportError(error); }
    } else if (event === "problem") {
      const problem = parse(data);
      on.problem(new Problem(problem.status, problem));
      on.status(isLasting(problem.status) ? "failed" : "stale");
    } else if (event === "end") {
      on.status("ended");
      stop();
      notifySignedOut();
    }
  }

  document.addEventListener("visibilitychange", look);
  if (document.hidden) on.status("paused");
  else connect();
  return stop;
}

/** Whether a retry is useless: an invalid query stays invalid, while a busy or failing server recovers. */
const isLasting = status => status < 500 && status !== 429;

/** Reads `text/event-stream`. EventSource cannot POST. */
async function readEvents(stream, controller, take) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let event = "message";
  let data = [];
  for (;;) {
    const alarm = setTimeout(() => controller.abort(), SILENCE);
    const { done, value } = await reader.read().finally(() => clearTimeout(alarm));
    if (done) return;
    buffer += value;
    const lines = buffer.split(/\r\n|\n|\r(?!$)/);
    buffer = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length || event === "end") take(event, data.join("\n"));
        [event, data] = ["message", []];
      } else if (line.startsWith("event:")) event = line.slice(6).trim();
      else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
  }
}
