import { button, h, put } from "../parts/dom.js";
import { dialog } from "../parts/dialog.js";
import { field, setFault } from "../parts/field.js";
import { conditionsEditor } from "../parts/conditions.js";
import { textInput } from "../parts/value.js";
import { lacksValues } from "../state/draft.js";
import { copy } from "../state/json.js";
import { patch } from "../state/url.js";
import { segments } from "../state/query.js";

const MOST = 10;

/** Named filters on step 1, shown side by side. */
export function segmentsDialog(state) {
  let list = copy(segments(state));
  if (!list.length) list = [{ name: "Segment 1", where: [] }];
  const box = dialog("Segments");
  const rows = h("div", { class: "stack" });
  const more = button("Add a segment", () => { list.push({ name: `Segment ${list.length + 1}`, where: [] }); draw(list.length - 1); });
  const words = "Each segment is the funnel of users whose step 1 meets its conditions. A user can be in several segments.";
  box.body.append(h("p", { class: "muted" }, words), rows, more,
    h("div", { class: "actions" }, button("Show", apply, { class: "button primary" }), button("Remove all", () => done([]))));
  draw();

  function draw(focus) {
    put(rows, list.map((segment, i) => h("fieldset", { class: "box" }, h("legend", { class: "unseen" }, `Segment ${i + 1}`),
      h("div", { class: "box-head" }, field("Name", textInput(segment.name, value => { segment.name = value; }, { maxlength: 100 })),
        button("Remove", () => { list.splice(i, 1); draw(); more.focus(); }, { "aria-label": `Remove segment ${i + 1}` })),
      segment.cohort ? h("p", { class: "muted" }, "Users of a cohort of another funnel.") : conditionsEditor(segment.where ??= [], () => {}))));
    more.disabled = list.length >= MOST;
    if (focus !== undefined) rows.children[focus].querySelector("input").focus();
  }

  function apply() {
    const filled = segment => ({ name: segment.name, where: segment.where.filter(condition => condition.property) });
    const next = list.map(segment => segment.cohort ? segment : filled(segment));
    const faults = next.map((segment, i) => mark(rows.children[i], segment, next.slice(0, i)));
    if (!faults.some(Boolean)) done(next);
  }

  /** Says at a segment what it lacks; returns whether it does. */
  function mark(node, segment, earlier) {
    const isTaken = earlier.some(({ name }) => name === segment.name);
    const nameFault = !segment.name ? "A segment needs a name" : isTaken ? "Another segment has this name" : null;
    const whereFault = segment.cohort ? null : !segment.where.length ? "A segment needs a condition"
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
