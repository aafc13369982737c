import { get } from "./fetch.js";

/** Milliseconds between two polls of the shards' state. */
const EVERY = 2000;
/** Milliseconds before the first report. The status call takes another second if a shard hangs. */
const PATIENCE = 1000;

/** Ids of the shards that do not answer. */
async function missingShards() {
  const { shards } = await get("/v1/status");
  return shards.filter(shard => shard.state !== "ready").map(shard => shard.id);
}

/** Polls until it is stopped. @returns a function that stops it */
function poll(every, report) {
  let stopped = false;
  let timer = setTimeout(once, every);

  async function once() {
    const missing = await missingShards().catch(() => null);
    if (stopped) return;
    report(missing);
    if (!stopped) timer = setTimeout(once, every);
  }

  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** At each poll, calls `complete` if all shards answer, else `incomplete`. */
export const whileIncomplete = (complete, incomplete) =>
  poll(EVERY, missing => { if (missing) (missing.length ? incomplete : complete)?.(); });

/** While a query waits, calls `say(ids)` with the shards that do not answer; empty if all of them are up. */
export const whileAwaited = say => poll(PATIENCE, missing => say(missing ?? []));
