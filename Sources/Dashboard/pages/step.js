import { post } from "../api/fetch.js";
import { sayNowAndThen } from "../parts/announce.js";
import { h, isolate, name, put } from "../parts/dom.js";
import { field, select } from "../parts/field.js";
import { number, plural, valueText } from "../parts/format.js";
import { dialog, tabs } from "../parts/dialog.js";
import { failed } from "../parts/states.js";
import { isNumber, isSame } from "../state/json.js";
import { basis, countedText } from "../state/query.js";
import { carry, href, patch } from "../state/url.js";
import { pathsView } from "./paths-view.js";
import { predictorsView } from "./predictors-view.js";
import { stepDetail } from "./step-detail.js";
import { userList } from "./user-list.js";

/** The panel of a step: who reached it, who dropped off before it, what they did next, what predicts reaching it. */
export function stepPanel(report, state, index, definition, onclose) {
  const step = report.steps[index - 1];
  const unit = countedText(report.funnel);
  const box = dialog(h("span", {}, `Step ${index}: `, name(step.step)), { side: true, onclose });
  const place = h("div", { class: "tab-place", role: "tabpanel", tabindex: "0" });
  const ofUsers = unit === "users";
  const hasDropped = index > 1 && step.dropoff !== null;
  const list = [
    ofUsers && ["reached", "Reached"], ofUsers && hasDropped && ["dropped", "Dropped off"],
    ofUsers && hasDropped && step.open > 0 && ["open", "Still open"], ofUsers && hasDropped && ["next", "What they did next"],
    ofUsers && index > 1 && ["why", "What predicts it"], ["numbers", "Details"],
  ].filter(Boolean);
  const isWorst = hasDropped && report.biggest_dropoff?.index === index;
  const has = wanted => list.some(([key]) => key === wanted);
  const first = has(state.tab) ? state.tab : isWorst && has("dropped") ? "dropped" : list[0][0];
  let stopped = new AbortController();
  /** `{value}`: the value null is the row of users without one. */
  let group = state.group && Object.hasOwn(state.group, "value") ? state.group : null;
  box.body.append(tabs("About this step", list, first, key => { patch({ tab: key }, { replace: true }); draw(key); }), place);
  draw(first);

  function draw(key) {
    stopped.abort();
    stopped = new AbortController();
    place.setAttribute("aria-label", list.find(([k]) => k === key)[1]);
    const views = {
      reached: () => people("reached"), dropped: () => people("dropped"), open: () => people("open"), next: paths, why: predictors, numbers,
    };
    views[key]();
  }

  function people(outcome) {
    const total = { reached: step.count, dropped: step.dropoff, open: step.open }[outcome];
    const words = {
      reached: `${plural(total, "user")} reached this step.`, dropped: droppedWords(),
      open: `${plural(total, "user")} dropped off before this step and can still convert: their conversion window has not passed.`,
    }[outcome];
    const signal = stopped.signal;
    const list = h("div");
    const body = { ...basis(state), as_of: report.as_of, step: index, outcome };
    const show = () => {
      const of = report.breakdown && group;
      put(list, userList({ ...body, ...(of && { group: ofGroup() }) }, state,
        { file: `step-${index}-${outcome}`, total: of ? null : total, signal }));
    };
    put(place, h("p", { class: "muted" }, words), report.breakdown && groups(show), list);
    show();
    sayNowAndThen(words, 0);
  }

  function droppedWords() {
    const { dropoff, open } = step;
    const words = `${plural(dropoff, "user")} dropped off before this step.`;
    return isNumber(open) ? `${words} ${open ? number(open) : "None"} of them can still convert.` : words;
  }

  function ofGroup() {
    const { property, touch } = report.breakdown;
    return { property, touch, value: group.value };
  }

  /** Chooses one row of the breakdown. The row in the address may no longer be in the report. */
  function groups(show) {
    const values = report.breakdown.rows.map(row => row.value);
    if (group && !values.some(value => isSame(value, group.value))) values.push(group.value);
    const options = values.map((value, i) => [String(i), `${isolate(report.breakdown.property)} = ${isolate(valueText(value))}`]);
    const chosen = group ? String(values.findIndex(value => isSame(value, group.value))) : "";
    return field("Show", select([["", "all users"], ...options], chosen, at => {
      group = at === "" ? null : { value: values[Number(at)] };
      patch({ group }, { replace: true });
      show();
    }));
  }

  function ask(path, body, view) {
    const signal = stopped.signal;
    put(place, h("div", { class: "bone bone-table", "aria-hidden": "true" }));
    post(path, body, signal).then(answer => put(place, view(answer)), error => {
      if (error.name !== "AbortError") put(place, failed(error, () => ask(path, body, view)));
    });
  }

  function paths() {
    ask("/v1/query/paths", { ...basis(state), as_of: report.as_of, from: { dropped: index }, length: 3, k: 20 }, answer => [
      h("p", { class: "muted" }, `The next events of the ${plural(answer.users, "user")} who dropped off before this step. `,
        h("a", { href: href(carry(state, "paths", { from: String(index) })) }, "Open in Paths")), pathsView(answer)]);
  }

  function predictors() {
    ask("/v1/query/predictors", { ...basis(state), as_of: report.as_of, step: index, k: 20 }, predictorsView);
  }

  function numbers() {
    put(place, !ofUsers && h("p", { class: "muted" }, `User lists need a funnel that counts users; this one counts ${unit}.`),
      stepDetail(report, state, index, unit), ofUsers && index > 1 && h("p", {},
      h("a", { href: href(carry(state, "times", { from: String(index - 1), to: String(index) })) }, "See times for this step")));
  }

  return { index, close: box.close };
}
