import { call, get } from "../api/fetch.js";

/** The saved funnels, as last loaded. */
let known = null;

export async function loadFunnels(again = false) {
  if (again || !known) known = (await get("/v1/funnels")).funnels;
  return known;
}

export const funnels = () => known ?? [];
export const forget = () => { known = null; };

export const definitionOf = state => state.def ?? funnels().find(funnel => funnel.funnel_id === state.funnel) ?? null;

const address = id => "/v1/funnels/" + encodeURIComponent(id);

/** `{data, tag}`; the tag is the revision that `save` must name. */
export const load = id => call(address(id));

/** @param tag the revision that was seen; null for a new funnel; "*" to overwrite any revision */
export async function save(id, definition, tag) {
  const headers = tag === null ? { "if-none-match": "*" } : tag === "*" ? {} : { "if-match": tag };
  const answer = await call(address(id), { method: "PUT", body: definition, headers });
  forget();
  return answer;
}

export async function remove(id, tag) {
  await call(address(id), { method: "DELETE", headers: tag ? { "if-match": tag } : {} });
  forget();
}
