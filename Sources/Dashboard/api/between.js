import { post } from "./fetch.js";
import { stringify } from "../state/json.js";
import { basis } from "../state/query.js";

const cache = new Map();

/** Times between two steps, cached until the counts of the report change. */
export function getTimes(state, from, to, report) {
  const body = { ...basis(state), from, to };
  const key = stringify([body, report.steps[to - 1].count, report.completeness.newest_event]);
  if (!cache.has(key)) {
    if (cache.size > 100) cache.clear();
    const answer = post("/v1/query/times", body);
    cache.set(key, answer);
    answer.catch(() => cache.delete(key));
  }
  return cache.get(key);
}
