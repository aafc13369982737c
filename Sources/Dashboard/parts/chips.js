import { h, iconButton, name } from "./dom.js";
import { valueText } from "./format.js";
import { valueField } from "./value.js";
import { isSame } from "../state/json.js";

/** Milliseconds; longer than a click, so that a button does not move while it is pressed. */
const CLICK = 200;

/**
 * A field for a list of values, shown as removable chips. Enter or leaving the field adds the typed value, each pasted line is a
 * value, and Backspace in the empty field removes the last value.
 * @param values changed in place and passed to `onchange`
 * @param options `{label, max, show(value), ...}`; the others are those of `valueField`
 * @returns `{node, input}`
 */
export function chipsField(values, onchange, { label, max = Infinity, show = valueText, ...options }) {
  const entry = valueField("", () => {}, { label, ...options, onkeydown: key, onpaste: paste });
  const place = h("span", { class: "chip-entry", onfocusout: leave }, entry.input, entry.mark);
  const node = h("span", { class: "chips" }, place);
  entry.mark?.addEventListener("change", () => entry.input.focus());
  draw();
  return { node, input: entry.input };

  function draw() {
    while (node.firstElementChild !== place) node.firstElementChild.remove();
    place.before(...values.map((value, i) => h("span", { class: "chip" }, name(show(value)),
      iconButton("close", `Remove ${show(value)}`, () => remove(i)))));
    place.hidden = values.length >= max;
  }

  function remove(i) {
    values.splice(i, 1);
    draw();
    (node.querySelectorAll(".chip button")[Math.min(i, values.length - 1)] ?? entry.input).focus();
    onchange(values);
  }

  /** An empty field adds nothing; the empty text is typed as `""`. @returns whether a value was added */
  function add() {
    entry.learn();
    const value = entry.read();
    const isNew = entry.input.value !== "" && values.length < max && !values.some(one => isSame(one, value));
    entry.write("");
    if (!isNew) return false;
    values.push(value);
    onchange(values);
    return true;
  }

  function leave(event) {
    if (!place.contains(event.relatedTarget) && add()) setTimeout(draw, CLICK);
  }

  function key(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      add();
    } else if (event.key === "Backspace" && entry.input.value === "" && values.length) {
      event.preventDefault();
      values.pop();
      onchange(values);
    } else return;
    draw();
  }

  function paste(event) {
    const lines = event.clipboardData.getData("text").split(/\r\n|\n|\r/).filter(line => line !== "");
    if (lines.length < 2) return;
    event.preventDefault();
    for (const line of lines) {
      entry.type(line);
      add();
    }
    draw();
  }
}
