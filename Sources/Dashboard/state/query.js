import { isBounded, rangeOf, zoneOf } from "./range.js";

/** Request bodies, from the state in the address. */
export const subject = state => state.def ? { funnel: withoutID(state.def) } : { funnel_id: state.funnel };

export function withoutID(definition) {
  const { funnel_id, default: isDefault, ...rest } = definition;
  return rest;
}

/** The fields that every report takes. */
export function basis(state) {
  const body = { ...subject(state), ...rangeOf(state) };
  const zone = zoneOf(state);
  if (zone !== "UTC") body.time_zone = zone;
  if (state.partial) body.allow_partial = true;
  return body;
}

/** The query of the funnel page: `basis` with breakdown, segments and comparison. */
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

/** In any order, row i counts users who did any i + 1 of the steps, so the name of one step would be wrong. */
const placeName = (i, n) => `Any ${i + 1} of ${n}`;

/** Names of the rows of a report. */
export function rowNames(definition) {
  const names = stepNames(definition);
  return definition?.conversion_order === "any" ? names.map((_, i) => placeName(i, names.length)) : names;
}

/** The report, its rows named after what they count. */
export function withRowNames(report) {
  if (report.order !== "any") return report;
  return { ...report, steps: report.steps.map((step, i, { length }) => ({ ...step, step: placeName(i, length) })) };
}

export function orderText(definition) {
  const order = definition.conversion_order ?? "sequential";
  if (order?.flexible) return `in order, tolerance ${order.flexible.limit}`;
  return { sequential: "in order", strict: "strict order", any: "any order" }[order] ?? String(order);
}

export function countedText(definition) {
  const by = definition?.count_by ?? "users";
  return by.startsWith?.("property:") ? `${by.slice(9)} values` : by;
}
