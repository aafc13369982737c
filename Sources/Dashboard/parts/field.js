import { h, isolate, newID, put } from "./dom.js";

/** Labelled form controls. */
export function field(label, control, { hint, hidden } = {}) {
  const id = control.id || newID("field");
  control.id = id;
  const note = hint && h("small", { id: id + "-hint", class: "hint" }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: id, class: hidden ? "unseen" : null }, label), control, note);
}

/** Shows an error at a control or at the end of a group of controls; null removes it. */
export function setFault(control, text) {
  const isControl = control.matches("input, select");
  const holder = isControl ? control.closest(".field") : control;
  holder.querySelector(":scope > .field-fault")?.remove();
  control.removeAttribute("aria-invalid");
  control.removeAttribute("aria-errormessage");
  if (!text) return;
  control.id ||= newID("field");
  const note = h("small", { class: "field-fault", id: control.id + "-fault", role: "alert" }, text);
  holder.append(note);
  if (!isControl) return;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-errormessage", note.id);
}

/** @param options `[value, text]` or `{label, options}` for a group */
export function select(options, value, onchange, props) {
  const node = h("select", { ...props, onchange: event => onchange(event.target.value) });
  setOptions(node, options, value);
  return node;
}

export function setOptions(node, options, value) {
  const draw = option => Array.isArray(option)
    ? h("option", { value: option[0], disabled: option[2] === "off" }, option[1])
    : h("optgroup", { label: option.label }, option.options.map(draw));
  put(node, options.map(draw));
  node.value = value ?? "";
  // A value that is not an option is added as one.
  if (value && node.value !== value) {
    node.append(h("option", { value }, isolate(value)));
    node.value = value;
  }
}

export const input = (value, onchange, props) => h("input", {
  type: "text", autocomplete: "off", spellcheck: "false", ...props, value: value ?? "", onchange: event => onchange(event.target.value, event.target),
});

export function checkbox(label, checked, onchange, props) {
  const box = h("input", { type: "checkbox", checked, onchange: event => onchange(event.target.checked), ...props });
  return h("label", { class: "check" }, box, h("span", {}, label));
}

/** Radio buttons that look like one control. */
export function choice(label, options, value, onchange) {
  const group = newID("choice");
  return h("fieldset", { class: "choice" }, h("legend", { class: "unseen" }, label), options.map(([key, text]) => {
    const radio = h("input", { type: "radio", name: group, value: key, checked: key === value, onchange: () => onchange(key) });
    return h("label", {}, radio, h("span", {}, text));
  }));
}
