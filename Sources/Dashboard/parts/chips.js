import { h, iconButton, name } from "./dom.js";
import { valueText } from "./format.js";
import { valueField } from "./value.js";
import { isSame } from "../state/json.js";

/** Longer than a click lasts: a button must not move away while it is pressed. */
const CLICK = 200;

/**
 * A list of values, each a chip that can be removed. Enter adds what is typed, so does leaving the field; pasted lines are a value each;
 * Backspace in the empty field removes the last one.
 * @param values changed in place, and told to `onchange`
 * @param options `{label, most, show(value), ...}`, the rest as of a field for one value
 * @returns `{node, input}`
 */
export function chipsField(values, onchange, { label, most = Infinity, show = valueText, ...options }) {
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
    place.hidden = values.length >= most;
  }

  function remove(i) {
    values.splice(i, 1);
    draw();
    (node.querySelectorAll(".chip button")[Math.min(i, values.length - 1)] ?? entry.input).focus();
    onchange(values);
  }

  /** Nothing typed is no value; the empty text is typed as `""`. */
  function add() {
    entry.learn();
    const value = entry.read();
    const isNew = entry.input.value !== "" && values.length < most && !values.some(one => isSame(one, value));
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
