import { isNumberText, stringify } from "../state/json.js";

/** Formats of numbers, shares, durations and instants. */
const whole = new Intl.NumberFormat("en-US");
const one = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const rates = [0, 1, 2, 3].map(n => new Intl.NumberFormat("en-US", { style: "percent", minimumFractionDigits: n, maximumFractionDigits: n }));
const NONE = "–";

const isNone = x => x === null || x === undefined;

export const number = n => isNone(n) ? NONE : whole.format(n);
export const decimal = n => isNone(n) ? NONE : one.format(n);
export const signed = n => isNone(n) ? NONE : (n > 0 ? "+" : n < 0 ? "−" : "±") + whole.format(Math.abs(n));

/** Small shares get more digits, so that 0 % means none. */
export function percent(x, digits) {
  if (isNone(x)) return NONE;
  const size = Math.abs(x);
  const text = rates[digits ?? (size !== 0 && size < 0.001 ? 3 : size !== 0 && size < 0.01 ? 2 : size === 1 ? 0 : 1)].format(size);
  return x < 0 ? "−" + text : text;
}

/** The growth of a count, as a fraction of its earlier value; null if that was 0. */
export const growth = (now, before) => before ? now / before - 1 : null;
export const signedPercent = x => isNone(x) ? NONE : (x > 0 ? "+" : x === 0 ? "±" : "") + percent(x);

/** A difference of shares, in percentage points. */
export function points(x) {
  if (isNone(x)) return NONE;
  const text = Math.abs(100 * x).toFixed(Math.abs(x) < 0.001 ? 2 : 1);
  return (Number(text) === 0 ? "±" : x > 0 ? "+" : "−") + text + " pp";
}

export const interval = ci => ci ? `${percent(ci[0], 1)} to ${percent(ci[1], 1)}` : NONE;

/** Below 0.001 the digits do not matter. */
export const pValue = x => isNone(x) ? NONE : x < 0.001 ? "< 0.001" : x.toFixed(3);

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** A duration in its two largest units. */
export function span(seconds) {
  if (isNone(seconds)) return NONE;
  if (seconds === 0) return "0 s";
  if (seconds < 1) return seconds < 0.001 ? `${one.format(seconds * 1e6)} µs` : `${one.format(seconds * 1000)} ms`;
  if (seconds < 60) return `${one.format(seconds)} s`;
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  const [unit, size] = UNITS[at];
  const [lower, small] = UNITS[at + 1];
  let big = Math.floor(seconds / size);
  let rest = Math.round((seconds - big * size) / small);
  if (rest * small === size) [big, rest] = [big + 1, 0];
  return rest ? `${big} ${unit} ${rest} ${lower}` : `${big} ${unit}`;
}

const WINDOW = { us: "µs", ms: "ms", s: "second", m: "minute", h: "hour", d: "day" };

/** `30d` before a noun: "30-day". */
export function windowText(text) {
  const [, n, unit] = /^(\d+)(us|ms|s|m|h|d)$/.exec(text ?? "") ?? [];
  if (!n) return text ?? "";
  return `${n}${unit === "us" || unit === "ms" ? " " : "-"}${WINDOW[unit]}`;
}

const formats = new Map();

function formatter(zone, options) {
  const key = zone + stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }));
  return formats.get(key);
}

const DATE = { year: "numeric", month: "short", day: "numeric" };
const CLOCK = { ...DATE, hour: "2-digit", minute: "2-digit", second: "2-digit" };

const HALF_HOUR = 1_800_000;

/** Adds the UTC offset to a time that occurs twice, because clocks go back. */
function unmistakable(at, zone, options) {
  const text = formatter(zone, options).format(at);
  const isTwice = [-2, -1, 1, 2].some(n => formatter(zone, options).format(at.getTime() + n * HALF_HOUR) === text);
  return isTwice ? formatter(zone, { ...options, timeZoneName: "shortOffset" }).format(at) : text;
}

export const instant = (text, zone = "UTC") => isNone(text) ? NONE : unmistakable(new Date(text), zone, CLOCK);
export const day = (text, zone = "UTC") => isNone(text) ? NONE : formatter(zone, DATE).format(new Date(text));

const SHORT = { day: "numeric", month: "short" };
const SHORT_HOUR = { ...SHORT, hour: "2-digit", minute: "2-digit" };

/** Labels of the points of a trend: short ones if these are unique, else full dates. */
export function bucketLabels(starts, zone, by) {
  if (by === "month") return starts.map(start => formatter(zone, { month: "short", year: "numeric" }).format(new Date(start)));
  const short = starts.map(start => new Date(start))
    .map(at => by === "hour" ? unmistakable(at, zone, SHORT_HOUR) : formatter(zone, SHORT).format(at));
  return new Set(short).size === short.length ? short : starts.map(start => (by === "hour" ? instant : day)(start, zone));
}

const MINUTES = { ...DATE, hour: "2-digit", minute: "2-digit" };
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit" };

export const minute = (text, zone = "UTC") => isNone(text) ? NONE : unmistakable(new Date(text), zone, MINUTES);

/** From one minute to another; the date is said once if it is the same. */
export function period(start, end, zone = "UTC") {
  const last = minute(end, zone);
  return `${minute(start, zone)} to ${day(start, zone) === day(end, zone) ? last.slice(day(end, zone).length + 2) : last}`;
}

const PERIOD = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) to (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)(?=\.)/g;
/** A sentence of an alert rule, with its period in the form of the page. */
export const withPeriod = text => text.replace(PERIOD, (_, start, end) => period(start, end));

/** The time of day, with the date if that is not today. */
export function clock(text, zone = "UTC") {
  return day(text, zone) === day(Date.now(), zone) ? unmistakable(new Date(text), zone, TIME) : instant(text, zone);
}

/** `["1", "2", "3"]` as "1, 2 and 3". */
export const listed = parts => parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;

/** "shards 1 and 2", from their numbers or from names such as `shard-1`. */
export function shardsText(shards) {
  const numbers = shards.map(shard => String(shard).replace(/^shard-/, ""));
  return `${numbers.length === 1 ? "shard" : "shards"} ${listed(numbers)}`;
}

export const plural = (n, word, many = word + "s") => `${number(n)} ${n === 1 ? word : many}`;

/** Characters that are invisible or change the direction of text. */
const UNSEEN = /[\p{Cc}\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/u;
export const hasControls = text => UNSEEN.test(text);
export const hasUnseen = text => hasControls(text) || /^\s|\s$/.test(text);

/** The text as a JSON string, with invisible characters escaped. */
export const quoted = text => stringify(text).replaceAll(new RegExp(`${UNSEEN.source}|[^\\S ]`, "gu"),
  unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Texts that the page shows for something else, so that a value with this text is quoted. */
const RESERVED = /^(true|false|null|no value|.* other values?|\(.*\)|)$/s;

/**
 * A property's value as text. No two values have the same text: text is quoted if it looks like a value of another kind, is one of
 * the page's own words, is empty, or contains invisible characters.
 */
export function valueText(value) {
  if (value === null || value === undefined) return "no value";
  if (typeof value !== "string") return String(value);
  return value.startsWith('"') || hasUnseen(value) || isNumberText(value) || RESERVED.test(value) ? quoted(value) : value;
}
