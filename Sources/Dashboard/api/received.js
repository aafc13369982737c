import { parse, stringify } from "../state/json.js";
import { getCached } from "./fetch.js";

/** Event names, properties and values received so far. */
const EVENTS_MAX = 10_000;
/** The events that set user properties, and the prefix of these properties in conditions. */
const USER_EVENTS = ["$identify", "$set"];
const USER = "user.";

/** Not `URLSearchParams`: it writes a blank as `+`, which the server reads as a plus sign. */
const ask = (path, parameters) => getCached(`${path}?${Object.entries({ ...parameters, allow_partial: "1" })
  .map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&")}`);
const scope = event => event ? { event } : {};

export const getEvents = (prefix = "") => ask("/v1/events", { limit: EVENTS_MAX, ...(prefix && { prefix }) });

/** If a shard did not answer, a name that is not listed may still exist. */
const has = (answer, isIt) => answer.completeness?.exact === false || isIt;

/** `*` matches any event. */
export async function isEventReceived(event) {
  if (event === "*") return true;
  const all = await getEvents();
  const isListed = ({ events }) => events.some(one => one.event === event);
  if (isListed(all) || all.total <= all.events.length) return has(all, isListed(all));
  const found = await getEvents(event);
  return has(found, isListed(found));
}

const getUserProperties = () => Promise.all(USER_EVENTS.map(event => ask("/v1/properties", { event })));
const named = ({ properties }, property) => properties.find(one => one.property === property);

/** Properties of an event, followed by user properties. */
export async function getPropertyNames(event) {
  const [own, ...ofUsers] = await Promise.all([ask("/v1/properties", scope(event)), getUserProperties()]).then(lists => lists.flat());
  const names = ofUsers.flatMap(({ properties }) => properties.map(({ property }) => USER + property));
  return [...own.properties.map(({ property }) => property), ...new Set(names)];
}

/** Where to find a property: its name there, the lists that may contain it, and the events that carry it. */
async function sources(property, event) {
  if (property.startsWith(USER)) return { name: property.slice(USER.length), lists: await getUserProperties(), events: USER_EVENTS };
  return { name: property, lists: [await ask("/v1/properties", scope(event))], events: [event] };
}

export async function isPropertyReceived(property) {
  const { name, lists } = await sources(property);
  return lists.some(list => has(list, Boolean(named(list, name))));
}

/** The number of values of each kind that a property has. */
export async function getKinds(property, event) {
  const { name, lists } = await sources(property, event);
  const sum = { text: 0, number: 0, boolean: 0 };
  for (const { kinds } of lists.map(list => named(list, name)).filter(Boolean)) {
    sum.text += kinds.string ?? 0;
    sum.number += kinds.number ?? 0;
    sum.boolean += kinds.boolean ?? 0;
  }
  return sum;
}

/** The most frequent values of a property. */
export async function getValues(property, event) {
  const { name, events } = await sources(property, event);
  const lists = await Promise.all(events.map(one => ask(`/v1/properties/${encodeURIComponent(name)}/values`, scope(one))));
  return [...new Set(lists.flatMap(({ values }) => values.map(({ value }) => stringify(value))))].map(text => parse(text));
}
