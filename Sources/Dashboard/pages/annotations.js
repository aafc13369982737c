import { removeAfterAsking } from "../api/saved.js";
import { mayWrite } from "../api/session.js";
import { annotationLine, annotationText } from "../parts/annotation.js";
import { card } from "../parts/card.js";
import { chartMarks } from "../parts/chart-marks.js";
import { button, h, put } from "../parts/dom.js";
import { annotationsOf, loadAnnotations, placed } from "../state/annotations.js";
import { stringify } from "../state/json.js";
import { editAnnotation } from "./annotation-edit.js";

/** Annotations that the foot of a picture names. */
const NAMED = 20;

/**
 * The annotations of a chart over time: its marks, and a card that lists, adds, changes and deletes them.
 * @param redraw draws the chart again, and thereby calls `place`
 * @returns `{node, marks, place(starts, end), words(), stop()}`; `words` is for pictures of the chart
 */
export function annotationsOn(state, zone, redraw) {
  let list = [];
  let shown = [];
  let problem = null;
  let drawn = null;
  let gone = false;
  const node = h("div", { class: "notices" });
  const text = ({ annotation }) => annotationText(annotation, zone);
  const marks = chartMarks({
    words: chosen => `Annotation ${chosen.map(mark => `${mark.number}, ${text(mark)}`).join("; ")}`,
    details: chosen => h("ul", { class: "annotation-tip" }, chosen.map(({ annotation, number }) =>
      h("li", {}, `${number}. `, annotationLine(annotation, zone)))),
    onchoose: ([first]) => node.querySelector(`[data-number="${first.number}"]`).focus(),
  });
  load();
  return { node, marks, place, words, stop() { gone = true; } };

  async function load() {
    try {
      list = annotationsOf(state.funnel, await loadAnnotations());
      problem = null;
    } catch (error) {
      problem = error;
    }
    if (!gone) redraw();
  }

  /** Moves the marks to the points of the chart, and lists what it shows. */
  function place(starts, end) {
    shown = placed(list, starts, end).map((mark, i) => ({ ...mark, number: i + 1 }));
    const now = stringify([shown, problem?.message ?? ""]);
    if (now === drawn) return;
    drawn = now;
    marks.set(shown);
    const add = mayWrite() && button("Add annotation", () => edit(null));
    // Who cannot add one does not see an empty card.
    const isEmpty = !add && !problem && shown.length === 0;
    put(node, !isEmpty && card("Annotations", [add], problem ? h("p", { class: "fine wrap" }, `They can't be read now: ${problem.message}`)
      : shown.length > 0 ? h("ol", { class: "annotations" }, shown.map(row))
        : h("p", { class: "fine" }, "None in this range. Mark a release, a campaign or an outage, so that everybody sees what changed.")));
  }

  function row({ annotation, number }) {
    const label = key => ({ class: "button small", "aria-label": `${key} ${annotation.text}` });
    return h("li", { tabindex: "-1", "data-number": number },
      h("span", { class: "chart-mark" }, String(number)),
      h("div", { class: "annotation-text" }, annotationLine(annotation, zone),
        annotation.funnel_id && [" ", h("span", { class: "tag" }, "this funnel only")]),
      mayWrite() && h("div", { class: "actions" }, button("Edit", () => edit(annotation), label("Edit")),
        button("Delete", () => remove(annotation), label("Delete"))));
  }

  function edit(annotation) {
    editAnnotation(annotation, { funnel: state.funnel, zone }, load);
  }

  async function remove(annotation) {
    await removeAfterAsking("annotations", annotation.id, "annotation", annotation.text);
    load();
  }

  function words() {
    if (!shown.length) return "";
    const more = shown.length > NAMED ? `; and ${shown.length - NAMED} more` : "";
    return `Annotations: ${shown.slice(0, NAMED).map(mark => `(${mark.number}) ${text(mark)}`).join("; ")}${more}.`;
  }
}
