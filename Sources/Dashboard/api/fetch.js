import { parse, stringify } from "../state/json.js";

/** Calls of the coordinator. The session is a cookie, so no key passes through here but at sign-in. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || `The server answered ${status}`);
    this.status = status;
    this.title = body?.title || "";
    this.errors = body?.errors ?? [];
    this.shards = body?.shards ?? [];
  }
}

const watchers = new Set();
/** Called where a call finds that nobody is signed in. */
export const onSignedOut = watcher => watchers.add(watcher);
export function tellSignedOut() {
  for (const watcher of watchers) watcher();
}

export async function problemOf(answer) {
  let body = null;
  try { body = parse(await answer.text()); } catch { /* not every proxy answers in JSON */ }
  if (answer.status === 401) tellSignedOut();
  return new Problem(answer.status, body);
}

export async function call(path, { method = "GET", body, headers = {}, signal } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method, signal, credentials: "same-origin", cache: "no-store",
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      body: body === undefined ? undefined : stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: "No connection", detail: "The coordinator could not be reached." });
  }
  if (!answer.ok) throw await problemOf(answer);
  return { data: answer.status === 204 ? null : parse(await answer.text()), tag: answer.headers.get("etag"), status: answer.status };
}

export const get = async (path, signal) => (await call(path, { signal })).data;
export const post = async (path, body, signal) => (await call(path, { method: "POST", body, signal })).data;

/** Answers that pickers ask for again and again, kept for a short while. */
const kept = new Map();

export function getKept(path, forMilliseconds = 15000) {
  const found = kept.get(path);
  if (found && found.until > Date.now()) return found.answer;
  const answer = get(path);
  kept.set(path, { answer, until: Date.now() + forMilliseconds });
  answer.catch(() => kept.delete(path));
  return answer;
}
