import { load, save as saveDocument } from "../api/saved.js";
import { say } from "../parts/announce.js";
import { dialog } from "../parts/dialog.js";
import { button, h, isolate, put } from "../parts/dom.js";
import { field, input, select } from "../parts/field.js";
import { placeFaults } from "../parts/field-faults.js";
import { failed } from "../parts/states.js";
import { localTime, timeIn } from "../state/range.js";

/** Bytes of a text; the server has the same limit. */
const TEXT_MAX = 200;

/**
 * Makes or changes an annotation in a dialog.
 * @param annotation null: a new one
 * @param on the page's funnel and time zone; an unsaved funnel has no id
 * @param done runs after it is saved
 */
export async function editAnnotation(annotation, { funnel, zone }, done) {
  let [old, tag] = [{}, null];
  try {
    if (annotation) ({ data: old, tag } = await load("annotations", annotation.id));
  } catch (error) {
    say(`Not opened: ${error.message}`);
    return;
  }
  const box = dialog(annotation ? "Edit annotation" : "New annotation");
  const local = at => at ? localTime(at, zone) : "";
  const text = input(old.text, () => {}, { maxlength: String(TEXT_MAX), "data-field": "text", class: "wide" });
  const time = (at, key) => input(local(at), () => {}, { type: "datetime-local", "data-field": key });
  const start = time(old.start ?? Date.now(), "start");
  const end = time(old.end, "end");
  const own = old.funnel_id ?? funnel;
  const scope = select([["", "All funnels"], ...own ? [[own, `Only ${isolate(own)}`]] : []], old.funnel_id, () => {}, { "data-field": "funnel_id" });
  const fault = h("div", { class: "notices" });
  box.body.append(h("form", { class: "stack", onsubmit: save },
    field("Text", text, { hint: "One line, such as Release 42" }),
    h("div", { class: "row" }, field(`From (${zone})`, start), field(`To (${zone}), optional`, end)),
    field("Shown on", scope), fault, h("div", { class: "actions" },
      h("button", { type: "submit", class: "button primary" }, "Save"), button("Cancel", box.close))));
  text.focus();

  async function save(event) {
    event.preventDefault();
    const body = { text: text.value.trim(), start: instantOf(start, old.start), end: instantOf(end, old.end), funnel_id: scope.value || undefined };
    try {
      await saveDocument("annotations", annotation?.id ?? newID(), body, tag);
      box.close();
      say("The annotation is saved");
      done();
    } catch (error) {
      const rest = placeFaults(box.body, error);
      put(fault, rest && failed(rest, null, { title: "The annotation is not saved" }));
    }
  }

  /** The field has no seconds: an instant that was not changed keeps its own. */
  function instantOf({ value }, before) {
    if (!value) return undefined;
    return value === local(before) ? before : new Date(timeIn(zone, value)).toISOString();
  }
}

function newID() {
  const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
  return `${time}-${[...crypto.getRandomValues(new Uint8Array(4))].map(byte => byte.toString(16).padStart(2, "0")).join("")}`;
}
