import { get } from "./fetch.js";

/** Between two looks at the shards, while something waits for them. */
const EVERY = 2000;
/** The status itself takes a second where a shard hangs, so the first word comes after two. */
const PATIENCE = 1000;

/** Numbers of the shards that do not answer now. */
async function missingShards() {
  const { shards } = await get("/v1/status");
  return shards.filter(shard => shard.state !== "ready").map(shard => shard.id);
}

/** Looks again and again. @returns a function that ends that */
function look(every, see) {
  let stopped = false;
  let timer = setTimeout(once, every);

  async function once() {
    const missing = await missingShards().catch(() => null);
    if (stopped) return;
    see(missing);
    if (!stopped) timer = setTimeout(once, every);
  }

  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Calls `whole` at each look at which all shards answer, else `lacking`. */
export const whileIncomplete = (whole, lacking) => look(EVERY, missing => { if (missing) (missing.length ? lacking : whole)?.(); });

/** Says after a while of waiting which shards are awaited: `say(numbers)`, none where all of them are up. */
export const whileAwaited = say => look(PATIENCE, missing => say(missing ?? []));
