import { button, h, isolate, put } from "../parts/dom.js";
import { dialog } from "../parts/dialog.js";
import { field, setFault } from "../parts/field.js";
import { conditionsEditor } from "../parts/conditions.js";
import { textInput } from "../parts/value.js";
import { lacksValues } from "../state/draft.js";
import { copy } from "../state/json.js";
import { patch } from "../state/url.js";
import { segments } from "../state/query.js";

const SEGMENTS_MAX = 10;

/** @param cohort `{reached: {funnel_id, step}}` or `{dropped: …}` */
function cohortText({ reached, dropped }) {
  const { funnel_id: funnel, step } = reached ?? dropped ?? {};
  return funnel ? `Users who ${reached ? "reached" : "dropped off before"} step ${step} of ${isolate(String(funnel))}.` : "Users of a cohort.";
}

/** The dialog of the segments: named filters on step 1, whose funnels are shown side by side. */
export function segmentsDialog(state) {
  let list = copy(segments(state));
  if (!list.length) list = [{ name: "Segment 1", where: [] }];
  const box = dialog("Compare segments");
  const rows = h("div", { class: "stack" });
  const more = button("Add a segment", () => { list.push({ name: `Segment ${list.length + 1}`, where: [] }); draw(list.length - 1); });
  const words = "Each segment is the funnel of users whose step 1 meets its conditions. A user can be in several segments.";
  box.body.append(h("p", { class: "muted" }, words), rows, more,
    h("div", { class: "actions" }, button("Apply", apply, { class: "button primary" }), button("Remove all", () => done([]))));
  draw();

  function draw(focus) {
    put(rows, list.map((segment, i) => h("fieldset", { class: "box" }, h("legend", { class: "unseen" }, `Segment ${i + 1}`),
      h("div", { class: "box-head" }, field("Name", textInput(segment.name, value => { segment.name = value; }, { maxlength: 100 })),
        button("Remove", () => { list.splice(i, 1); draw(); more.focus(); }, { "aria-label": `Remove segment ${i + 1}` })),
      segment.cohort ? h("p", { class: "muted" }, cohortText(segment.cohort)) : conditionsEditor(segment.where ??= [], () => {}))));
    more.disabled = list.length >= SEGMENTS_MAX;
    if (focus !== undefined) rows.children[focus].querySelector("input").focus();
  }

  function apply() {
    const filled = segment => ({ name: segment.name, where: segment.where.filter(condition => condition.property) });
    const next = list.map(segment => segment.cohort ? segment : filled(segment));
    const faults = next.map((segment, i) => mark(rows.children[i], segment, next.slice(0, i)));
    if (!faults.some(Boolean)) done(next);
  }

  /** Shows what is missing at a segment. @returns the error, or null */
  function mark(node, segment, earlier) {
    const isTaken = earlier.some(({ name }) => name === segment.name);
    const nameFault = !segment.name ? "Enter a name for the segment" : isTaken ? "Another segment has this name" : null;
    const whereFault = segment.cohort ? null : !segment.where.length ? "Add at least one condition"
      : lacksValues(segment.where) ? "A condition has no values yet" : null;
    setFault(node.querySelector("input"), nameFault);
    setFault(node, whereFault);
    return nameFault ?? whereFault;
  }

  function done(next) {
    box.close();
    patch({ seg: next.length ? next : null, by: next.length ? null : state.by, step: null });
  }
}
