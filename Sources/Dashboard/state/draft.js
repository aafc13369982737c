import { copy, isNumber } from "./json.js";

/** The editable form of a definition: every step has all its fields, the rest is as it will be saved. */
export function draftOf(definition) {
  const { steps = [], funnel_id, ...rest } = copy(definition ?? {});
  return { ...rest, steps: steps.map(stepOf) };
}

const stepOf = step => {
  const { name, events, where = [], optional = false, window_duration: within = "" } = typeof step === "string" ? { name: step } : step;
  return { name, events: events ?? [name], where, optional, within };
};

export const emptyStep = () => ({ name: "", events: [], where: [], optional: false, within: "" });

/** The definition to query and save. Steps without an event are left out. */
export function definitionFrom(draft) {
  const { steps, ...rest } = draft;
  const definition = { steps: steps.filter(step => step.events.length || step.name).map(plainStep) };
  for (const [key, value] of Object.entries(rest)) {
    if (!isEmpty(value)) definition[key] = value;
  }
  if (Array.isArray(definition.exclude)) {
    const n = definition.steps.length;
    const within = rule => ({ ...rule, after: Math.min(rule.after, n - 1), before: Math.min(rule.before, n) });
    definition.exclude = definition.exclude.filter(rule => rule.events.length).map(within);
    if (!definition.exclude.length || n < 2) delete definition.exclude;
  }
  return definition;
}

const isEmpty = value => value === undefined || value === null || value === ""
  || (typeof value === "object" && !isNumber(value) && Object.keys(value).length === 0);

/** Whether a condition has an empty list of values, which the server rejects. */
export const lacksValues = where => (where ?? []).some(({ value }) => Array.isArray(value) && value.length === 0);

function plainStep(step) {
  const name = step.name || step.events[0];
  const where = step.where.filter(condition => condition.property);
  const isPlain = step.events.length === 1 && step.events[0] === name;
  if (isPlain && !where.length && !step.optional && !step.within) return name;
  const object = { name };
  if (!isPlain && step.events.length) object.events = step.events;
  if (where.length) object.where = where;
  if (step.optional) object.optional = true;
  if (step.within) object.window_duration = step.within;
  return object;
}

/** The fields that a preset sets. Choosing a preset removes them from the draft. */
export const PRESET_FIELDS = ["conversion_order", "clock", "entry", "count_by", "session_gap", "exclude"];
export const PRESETS = [
  ["", "Sluice (default)"], ["mparticle-sequential/1", "mParticle, sequential"], ["mparticle-flexible/1", "mParticle, flexible"],
  ["mixpanel-unique/1", "Mixpanel, uniques"], ["mixpanel-totals/1", "Mixpanel, totals"], ["amplitude/1", "Amplitude"], ["posthog/1", "PostHog"],
  ["clickhouse-default/1", "ClickHouse windowFunnel"], ["clickhouse-strict_increase/1", "ClickHouse, strict_increase"],
];
