import { h, name } from "../parts/dom.js";
import { number, percent, plural, span, valueText } from "../parts/format.js";
import { parse } from "../state/json.js";
import { href } from "../state/url.js";

const KINDS = { count: "users", conversion: "conversion", drop_off: "drop-off", median_time: "median time" };
const FORMATS = { count: number, median_time: span };

/** The format of the number that a rule watches. */
export const formatOf = kind => FORMATS[kind] ?? percent;

/** What a rule watches, in words. */
export function what(rule) {
  const { step } = rule.metric;
  const at = step === undefined ? "the last step" : typeof step === "string" ? ["step ", name(step)] : `step ${step}`;
  return [KINDS[rule.metric.kind], rule.metric.kind === "count" ? " at " : " to ", at, " of ",
    h("a", { href: href({ page: "funnel", funnel: rule.funnel_id }) }, name(rule.funnel_id)),
    rule.breakdown && [", for each ", name(rule.breakdown.property)]].filter(Boolean);
}

/** A value of a breakdown from its JSON text. A long value is shortened, and is no JSON then. */
export function groupText(text) {
  try { return valueText(parse(text)); } catch { return text; }
}

/**
 * The values of a breakdown that are not listed one by one, with the lowest and the highest number.
 * @param others whether there are listed ones, too
 */
export function quietValues(groups, kind, others) {
  const known = groups.filter(group => group.value !== null).sort((a, b) => a.value - b.value);
  const words = `${plural(groups.length, others ? "other value" : "value")} OK`;
  const shown = group => [formatOf(kind)(group.value), " (", name(groupText(group.group)), ")"];
  if (known.length < 2) return [words, known.length ? [": ", shown(known[0])] : "", "."];
  return [words, ": lowest ", shown(known[0]), ", highest ", shown(known.at(-1)), "."];
}
