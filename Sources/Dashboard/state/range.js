/** Date ranges. A preset is a range of days in a time zone, computed at each use. */
export const PRESETS = [
  ["all", "All time"], ["today", "Today"], ["7d", "Last 7 days"], ["30d", "Last 30 days"], ["90d", "Last 90 days"],
  ["month", "This month"], ["custom", "Custom range"],
];
const LENGTHS = { today: 1, "7d": 7, "30d": 30, "90d": 90 };

export const isZone = zone => {
  try { new Intl.DateTimeFormat("en", { timeZone: zone }); return true; } catch { return false; }
};

export const zoneOf = state => state.tz && isZone(state.tz) ? state.tz : "UTC";
const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** The time zones of a `select`: UTC and that of the browser first. */
export function zoneOptions() {
  const own = ownZone();
  const all = Intl.supportedValuesOf("timeZone");
  const first = own === "UTC" ? [["UTC", "UTC"]] : [["UTC", "UTC"], [own, `${own} (yours)`]];
  return [...first, { label: "All", options: all.filter(zone => zone !== "UTC" && zone !== own).map(zone => [zone, zone.replaceAll("_", " ")]) }];
}

/** Today as `YYYY-MM-DD`. */
export const today = zone => new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" })
  .format(new Date());

const CLOCK = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** A time in a zone as `YYYY-MM-DDTHH:MM`, without its seconds. */
export function localTime(at, zone) {
  const parts = new Intl.DateTimeFormat("en", { timeZone: zone, ...CLOCK }).formatToParts(new Date(at));
  const { year, month, day, hour, minute } = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  return `${year}-${month}-${day}T${hour}:${minute}`;
}

/** The milliseconds of such a time. Of one that occurs twice, because clocks go back, it is one of the two. */
export function timeIn(zone, local) {
  const wanted = Date.parse(local + "Z");
  let at = wanted;
  // The second round is for a zone whose offset changes between the first guess and the time.
  for (let round = 0; round < 2; round++) at += wanted - Date.parse(localTime(at, zone) + "Z");
  return at;
}

/** Where a period of a trend ends, in milliseconds. */
export function periodEnd(start, unit, zone) {
  if (unit === "hour") return Date.parse(start) + 3_600_000;
  const date = localTime(start, zone).slice(0, 10);
  const next = unit === "month" ? addDays(date.slice(0, 8) + "28", 4).slice(0, 8) + "01" : addDays(date, unit === "week" ? 7 : 1);
  return timeIn(zone, next + "T00:00");
}

export function addDays(date, days) {
  const at = new Date(date + "T00:00:00Z");
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

/** `{start, end}` in days, both inclusive; empty for all time. */
export function rangeOf(state) {
  const preset = state.range ?? "all";
  const now = today(zoneOf(state));
  if (preset in LENGTHS) return { start: addDays(now, 1 - LENGTHS[preset]), end: now };
  if (preset === "month") return { start: now.slice(0, 8) + "01", end: now };
  if (preset === "custom") {
    const range = {};
    if (/^\d{4}-\d\d-\d\d/.test(state.start ?? "")) range.start = state.start;
    if (/^\d{4}-\d\d-\d\d/.test(state.end ?? "")) range.end = state.end;
    return range;
  }
  return {};
}

export const isBounded = state => {
  const range = rangeOf(state);
  return range.start !== undefined && range.end !== undefined;
};

export function rangeText(state) {
  const { start, end } = rangeOf(state);
  const preset = PRESETS.find(([key]) => key === (state.range ?? "all"));
  if (start === undefined && end === undefined) return "all time";
  const days = start === end ? start : start === undefined ? `up to ${end}` : end === undefined ? `from ${start}` : `${start} to ${end}`;
  return state.range === "custom" || !preset ? days : `${preset[1].toLowerCase()} (${days})`;
}
