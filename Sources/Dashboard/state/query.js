import { isBounded, rangeOf, zoneOf } from "./range.js";

/** Bodies of queries, from the state of the address. */
export const subject = state => state.def ? { funnel: withoutID(state.def) } : { funnel_id: state.funnel };

export function withoutID(definition) {
  const { funnel_id, default: standing, ...rest } = definition;
  return rest;
}

/** The part that every report takes. */
export function basis(state) {
  const body = { ...subject(state), ...rangeOf(state) };
  const zone = zoneOf(state);
  if (zone !== "UTC") body.time_zone = zone;
  if (state.partial) body.allow_partial = true;
  return body;
}

/** With what the funnel page shows side by side. */
export function report(state) {
  const body = basis(state);
  if (state.by) body.breakdown = breakdown(state);
  if (segments(state).length) body.segments = state.seg;
  if (state.compare && isBounded(state)) body.compare = "previous_period";
  return body;
}

export function breakdown(state) {
  const asked = { property: state.by };
  if (state.touch) asked.touch = state.touch;
  if (Number(state.k) > 0) asked.k = Number(state.k);
  return asked;
}

export const segments = state => Array.isArray(state.seg) ? state.seg : [];

export const stepName = step => typeof step === "string" ? step : step?.name ?? "";
export const stepNames = definition => (definition?.steps ?? []).map(stepName);

/** A row of any order counts users who did so many of the steps, whichever: a step's own name would be wrong for it. */
const placeName = (i, n) => `Any ${i + 1} of ${n}`;

/** Names of the rows of a report. */
export function rowNames(definition) {
  const names = stepNames(definition);
  return definition?.conversion_order === "any" ? names.map((_, i) => placeName(i, names.length)) : names;
}

/** A report with its rows named for what they count. */
export function withRowNames(report) {
  if (report.order !== "any") return report;
  return { ...report, steps: report.steps.map((step, i, { length }) => ({ ...step, step: placeName(i, length) })) };
}

export function orderText(definition) {
  const order = definition.conversion_order ?? "sequential";
  if (order?.flexible) return `flexible by ${order.flexible.limit}`;
  return { sequential: "in order", strict: "strict order", any: "any order" }[order] ?? String(order);
}

export function countedText(definition) {
  const by = definition?.count_by ?? "users";
  return by.startsWith?.("property:") ? `${by.slice(9)} values` : by;
}
