import { parse, stringify } from "../state/json.js";

/** A failed HTTP call to the coordinator. The session is a cookie: an API key is sent only to sign in. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || `The server returned HTTP status ${status}`);
    this.status = status;
    this.title = body?.title || "";
    this.errors = body?.errors ?? [];
    this.shards = body?.shards ?? [];
  }
}

const watchers = new Set();
/** Registers a function that runs when a call gets status 401. */
export const onSignedOut = watcher => watchers.add(watcher);
export function notifySignedOut() {
  for (const watcher of watchers) watcher();
}

export async function problemOf(answer) {
  let body = null;
  try { body = parse(await answer.text()); } catch { /* a proxy may answer without JSON */ }
  if (answer.status === 401) notifySignedOut();
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
    throw new Problem(0, { title: "No connection", detail: "The browser can't reach the coordinator. Check the network, then try again." });
  }
  if (!answer.ok) throw await problemOf(answer);
  return { data: answer.status === 204 ? null : parse(await answer.text()), tag: answer.headers.get("etag"), status: answer.status };
}

export const get = async (path, signal) => (await call(path, { signal })).data;
export const post = async (path, body, signal) => (await call(path, { method: "POST", body, signal })).data;

/** A short-lived cache of answers that pickers request repeatedly. */
const cache = new Map();

export function getCached(path, forMilliseconds = 15000) {
  const found = cache.get(path);
  if (found && found.until > Date.now()) return found.answer;
  const answer = get(path);
  cache.set(path, { answer, until: Date.now() + forMilliseconds });
  answer.catch(() => cache.delete(path));
  return answer;
}
