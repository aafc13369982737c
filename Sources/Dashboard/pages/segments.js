import { button, h, put } from "../parts/dom.js";
import { dialog } from "../parts/dialog.js";
import { field } from "../parts/field.js";
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
  const fault = h("p", { class: "fault", role: "alert" });
  const more = button("Add a segment", () => { list.push({ name: `Segment ${list.length + 1}`, where: [] }); draw(list.length - 1); });
  const words = "The same funnel over the users whose step 1 meets the conditions. Segments may overlap.";
  box.body.append(h("p", { class: "muted" }, words), rows, more, fault,
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
    const names = new Set(list.map(segment => segment.name));
    const filled = segment => ({ name: segment.name, where: segment.where.filter(condition => condition.property) });
    const next = list.map(segment => segment.cohort ? segment : filled(segment));
    if (names.has("") || names.size < list.length) fault.textContent = "Each segment needs a name of its own.";
    else if (next.some(segment => !segment.cohort && !segment.where.length)) fault.textContent = "Each segment needs a condition.";
    else if (next.some(segment => lacksValues(segment.where))) fault.textContent = "A condition has no values yet.";
    else done(next);
  }

  function done(next) {
    box.close();
    patch({ seg: next.length ? next : null, by: next.length ? null : state.by, step: null });
  }
}
