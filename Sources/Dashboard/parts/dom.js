import { hasControls, quoted } from "./format.js";

/** Creates elements. Every string becomes a text node, never HTML. */
const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "vars") for (const [name, v] of Object.entries(value)) node.style.setProperty(name, v);
    else if (key === "value" || key === "checked" || key === "selected" || key === "disabled" || key === "open") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...flat(children));
  return node;
}

function flat(children) {
  return children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false);
}

/** `vars` sets CSS variables through the DOM, because the page's policy forbids style attributes. */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

export function put(node, ...children) {
  node.replaceChildren(...flat(children));
  return node;
}

/** Draws anew within a node. The focus goes to the new control with the same `data-key`. */
export function redraw(node, draw) {
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  draw();
  if (key !== undefined) node.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/** Text with control characters is quoted and escaped. */
const visible = text => hasControls(text) ? quoted(text) : text;

/** Text from data. It keeps its own direction. If it is cut with an ellipsis, hover and focus show all of it. */
export const name = (text, props) => h("bdi", { class: "name", dir: "auto", ...props }, text === "" ? "(empty)" : visible(String(text)));

/** The same as plain text, for options and labels. These draw two blanks as one, so the second becomes a no-break space. */
export const isolate = text => `\u2068${visible(text).replaceAll("  ", " \u00a0")}\u2069`;

let last = 0;
export const newID = prefix => `${prefix}-${++last}`;

export const button = (label, onclick, props) => h("button", { type: "button", class: "button", onclick, ...props }, label);

/** A button with an icon; screen readers read its label. */
export const iconButton = (key, label, onclick, props) => h("button",
  { type: "button", onclick, "aria-label": label, ...props, class: `button plain ${props?.class ?? ""}` }, icon(icons[key]));

export function icon(path, props) {
  return svg("svg", { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true", ...props }, svg("path", { d: path }));
}

export const icons = {
  up: "M10 4l6 7h-4v5H8v-5H4z", down: "M10 16l-6-7h4V4h4v5h4z", close: "M5 5l10 10M15 5L5 15", plus: "M10 4v12M4 10h12",
  grip: "M7 4v.1M13 4v.1M7 10v.1M13 10v.1M7 16v.1M13 16v.1",
};
