/** Why ingest rejected an event, in words. Its texts are `FIELD: REASON`; some begin with the name of a limit. */
const LIMITS = {
  event_names_max: "The project has as many event names as it may have",
  event_names_rate: "New event names come too fast",
  users_per_bucket_max: "The project has as many users as it may have",
};
const MISSING = /^(field required|must be a string|must not be empty)/;
const NAMELESS = { of: MISSING, text: "Each event needs a name: event or event_type, as text." };
/** What to do about a fault of a field, for the faults that it explains. */
const ADVICE = {
  user_id: { of: MISSING, text: "Each event needs user_id or anonymous_id, as text." },
  event: NAMELESS,
  event_type: NAMELESS,
  timestamp: {
    of: /^(?!.*(ahead of|is before 1971|is out of range))/s, text: "Send a time such as 2026-01-31T12:00:00Z, or seconds since 1970.",
  },
  properties: { of: /^must be an object/, text: "Properties are an object of texts, numbers and true or false." },
  body: { of: /^an event must be an object/, text: "Each event is one JSON object." },
  event_names_max: { of: /^/, text: "Look for ids or numbers within event names." },
  event_names_rate: { of: /^/, text: "Send the event again later, or with an admin key." },
};

/** `{place, words, advice}`: the field or null, what is wrong with it, and what to do or null. */
export function reasonText(text) {
  const [, found, rest] = /^([^\s:]{1,256}):\s*([^]*)$/.exec(text) ?? [];
  if (!found) return { place: null, words: text, advice: null };
  const known = Object.hasOwn(ADVICE, found) ? ADVICE[found] : null;
  const advice = known?.of.test(rest) ? known.text : null;
  if (Object.hasOwn(LIMITS, found)) return { place: null, words: `${LIMITS[found]}: ${rest}`, advice };
  return { place: found === "body" ? null : found, words: rest === "field required" ? "is missing" : rest, advice };
}
