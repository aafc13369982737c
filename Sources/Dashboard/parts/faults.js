/** Field errors of the API, `{field, reason}`, in the words of the page. */
const UNITS = { us: "microsecond", ms: "millisecond", s: "second", m: "minute", h: "hour", d: "day" };
const FIELDS = {
  window_duration: "Conversion window", window_anchor: "Window starts at", session_gap: "New session after a pause of",
  conversion_order: "Order", "conversion_order.flexible.limit": "Tolerance", count_by: "Count",
  entry: "If a user tries several times, use", clock: "Time precision", preset: "Count like",
  steps: "Steps", exclude: "Exclusions", hold_constant: "Same value in every step", probability: "Forecast", event_types: "Joined events",
  funnel_id: "Funnel", start: "From", end: "To", time_zone: "Time zone", "trend.by": "Unit of time", compare: "Compare", cohort: "Cohort",
  "breakdown.property": "Break down by", "breakdown.touch": "Use the value from", "breakdown.k": "Values shown",
  "variants.property": "Variant property", "variants.control": "Control", "variants.expected": "Planned split",
  "variants.exposure": "Assign users to", user_id: "User id",
  step: "Step", from: "From step", to: "To step", group: "Group", length: "Path length", properties: "Properties",
  id: "Id", kind: "Kind", url: "URL", secret: "Secret", authorization: "Authorization", file: "File",
};
const LISTS = {
  steps: "Step", exclude: "Exclusion", segments: "Segment", where: "condition", hold_constant: "Same-value property", events: "event", to: "Address",
};
const PARTS = {
  window_duration: "time limit", name: "name", events: "events", optional: "optional", where: "conditions", value: "value",
  property: "property", op: "comparison", after: "after", before: "before", effect: "effect",
};

/** The path of a field within a definition, or within the settings of a channel. */
export const pathOf = field => field.replace(/^(funnel|settings)\./, "");

/** The name that the page has for a field: `steps[1].window_duration` is "Step 2, time limit". */
function placeOf(field) {
  const path = pathOf(field);
  if (FIELDS[path]) return FIELDS[path];
  const parts = path.split(".").map(part => {
    const [, list, i] = /^(\w+)\[(\d+)\]$/.exec(part) ?? [];
    return list ? `${LISTS[list] ?? list} ${Number(i) + 1}` : PARTS[part] ?? FIELDS[part] ?? part;
  });
  return parts.join(", ");
}

/** `2h` as "2 hours". */
export const lengthText = text => text.replace(/^(\d+)(us|ms|s|m|h|d)$/, (_, n, unit) => `${n} ${UNITS[unit]}${n === "1" ? "" : "s"}`);

const REASONS = [
  [/^must be <integer><unit>.*$/s, () => "write a time such as 30m, 2h or 7d"],
  [/^must be (\w+) to (\w+) in whole ticks of the clock \((\w+)\)$/, (_, min, max, tick) =>
    `${lengthText(min)} to ${lengthText(max)}${tick === "1s" ? ", in whole seconds" : ""}`],
  [/^must be in whole ticks of the clock \(1s\)$/, () => "whole seconds only"],
  [/^"(.*)" has more than (\d+) values.*$/s, (_, property, max) =>
    `“${property}” has more than ${max} values; an experiment takes up to ${max}`],
  [/^has no share for "(.*)"$/s, (_, value) => `no share is planned for “${value}”; enter one for each variant`],
];

/** `{place, text}` of a field error. */
export function describeFault({ field, reason }) {
  const known = REASONS.find(([pattern]) => pattern.test(reason));
  return { place: placeOf(field), text: known ? reason.replace(...known) : reason };
}
