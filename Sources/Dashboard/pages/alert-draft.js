import { funnels } from "../state/funnels.js";
import { stepNames } from "../state/query.js";

/** What the API takes if a rule has no `min_sample`; null: any number of users. */
export const SAMPLES = { threshold: 1, change: 1, significant_change: 100, no_data: null };

/** The values of the form, as texts. */
export function draftOf(rule) {
  const definition = rule ? funnels().find(funnel => funnel.funnel_id === rule.funnel_id) : funnels()[0];
  const names = stepNames(definition);
  const [condition, members] = Object.entries(rule?.condition ?? { significant_change: { direction: "down" } })[0];
  const step = rule?.metric.step;
  const text = value => value === undefined || value === null ? "" : String(value);
  return {
    id: rule?.id ?? "", funnel: rule?.funnel_id ?? definition?.funnel_id ?? "", kind: rule?.metric.kind ?? "conversion", condition,
    // A name stays if the funnel has no such step, so that it can be seen.
    step: String(typeof step === "string" ? names.indexOf(step) + 1 || step : step ?? names.length), direction: members.direction ?? "down",
    below: text(members.below), above: text(members.above), relative: text(members.relative ?? (condition === "change" ? undefined : 0.2)),
    minChange: text(members.min_change ?? 0.1), period: rule?.period ?? "1h", zone: rule?.time_zone ?? "UTC", hold: rule?.for ?? "0s",
    within: rule?.within ?? "", by: rule?.breakdown?.property ?? "", channels: rule?.channels ?? [],
    minSample: text(members.min_sample ?? SAMPLES[condition]), delay: rule?.delay ?? "2m", keep: rule?.keep_firing_for ?? "0s",
    coolDown: rule?.cool_down ?? "0s", quietFrom: rule?.quiet_hours?.from ?? "", quietTo: rule?.quiet_hours?.to ?? "",
  };
}

/** A text that is no number is sent as it is, so that the error names it. */
function quantity(text) {
  if (text === "") return undefined;
  const found = Number(text.replace(",", "."));
  return Number.isNaN(found) ? text : found;
}

/** The rule of a draft. What the form does not show stays as it was. */
export function ruleOf(draft, old) {
  const { state, breakdown, ...rest } = old ?? {};
  const before = old?.condition[draft.condition] ?? {};
  const sample = quantity(draft.minSample);
  const members = {
    threshold: { below: quantity(draft.below), above: quantity(draft.above) },
    change: { direction: draft.direction, relative: before.absolute === undefined ? quantity(draft.relative) : undefined },
    significant_change: { direction: draft.direction, min_change: quantity(draft.minChange) },
    no_data: sample === undefined ? { weeks: undefined } : {},
  }[draft.condition];
  const first = old && draftOf(old);
  // A rule that names its step follows the name when steps are inserted.
  const isSameStep = old && draft.step === first.step && draft.funnel === first.funnel;
  return {
    ...rest, id: draft.id, funnel_id: draft.funnel,
    metric: { ...(old?.metric.kind === draft.kind ? old.metric : {}), kind: draft.kind, step: isSameStep ? old.metric.step : Number(draft.step) || draft.step },
    condition: { [draft.condition]: { ...before, ...members, min_sample: sample } }, period: draft.period, time_zone: draft.zone,
    for: draft.hold || "0s", within: draft.within || undefined, delay: draft.delay || undefined, keep_firing_for: draft.keep || undefined,
    cool_down: draft.coolDown || undefined,
    quiet_hours: draft.quietFrom || draft.quietTo ? { from: draft.quietFrom || undefined, to: draft.quietTo || undefined } : undefined,
    breakdown: draft.by && draft.kind !== "median_time" ? { ...breakdown, property: draft.by } : undefined,
    channels: draft.channels,
  };
}

/** The limits of a threshold, `[value, word]`. */
export function limitsOf(draft) {
  if (draft.condition !== "threshold") return [];
  return ["below", "above"].map(key => [quantity(draft[key]), key]).filter(([value]) => Number.isFinite(value));
}
