/** Why ingest rejected an event, in words. Its texts are `FIELD: REASON`; some begin with the name of a limit. */
const LIMITS = {
  event_names_max: "The project has as many event names as it may have",
  event_names_rate: "New event names come too fast",
  users_per_bucket_max: "The project has as many users as it may have",
};
const ADVICE = {
  user_id: "Each event needs user_id or anonymous_id, as text.",
  event: "Each event needs a name: event or event_type, as text.",
  event_type: "Each event needs a name: event or event_type, as text.",
  timestamp: "Send a time such as 2026-01-31T12:00:00Z, or seconds since 1970.",
  properties: "Properties are an object of texts, numbers and true or false.",
  body: "Each event is one JSON object.",
  event_names_max: "Look for ids or numbers within event names.",
  event_names_rate: "Send the event again later, or with an admin key.",
};

/** `{place, words, advice}`: the field or null, what is wrong with it, and what to do or null. */
export function reasonText(text) {
  const [, found, rest] = /^([^\s:]{1,256}):\s*([^]*)$/.exec(text) ?? [];
  if (!found) return { place: null, words: text, advice: null };
  const advice = Object.hasOwn(ADVICE, found) ? ADVICE[found] : null;
  if (Object.hasOwn(LIMITS, found)) return { place: null, words: `${LIMITS[found]}: ${rest}`, advice };
  return { place: found === "body" ? null : found, words: rest === "field required" ? "is missing" : rest, advice };
}
