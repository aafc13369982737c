import { getKept } from "../api/fetch.js";
import { button, h, iconButton, newID, put } from "./dom.js";
import { input, select } from "./field.js";

const OPS = [["=", "is"], ["!=", "is not"], ["in", "is one of"], ["not_in", "is none of"], ["contains", "contains"], ["starts_with", "starts with"],
  [">", ">"], [">=", "≥"], ["<", "<"], ["<=", "≤"], ["exists", "exists"], ["not_exists", "does not exist"]];
const LISTS = new Set(["in", "not_in"]);
const BARE = new Set(["exists", "not_exists"]);
const ORDERED = new Set([">", ">=", "<", "<="]);

/** Conditions on properties, all of which must hold. `list` is changed in place. */
export function conditionsEditor(list, onchange, event) {
  const rows = h("div", { class: "conditions" });
  const add = button("Add a condition", () => {
    list.push({ property: "", op: "=", value: "" });
    draw();
    rows.lastElementChild.querySelector("input").focus();
  }, { class: "button small" });
  draw();
  return h("div", {}, rows, add);

  function draw() {
    put(rows, list.map(row));
  }

  function row(condition, i) {
    const values = h("datalist", { id: newID("values") });
    const names = h("datalist", { id: newID("names") });
    const label = `condition ${i + 1}`;
    const property = input(condition.property, value => {
      condition.property = value.trim();
      offerValues(condition.property, event, values);
      onchange();
    }, { "aria-label": `Property of ${label}`, placeholder: "property", list: names.id });
    property.addEventListener("focus", () => offerNames(event, names), { once: true });
    const place = h("span", { class: "value" });
    drawValue();
    if (condition.property) offerValues(condition.property, event, values);
    return h("div", { class: "condition" }, property,
      select(OPS, condition.op, op => { change(op); drawValue(); onchange(); }, { "aria-label": `Comparison of ${label}` }), place, names, values,
      iconButton("close", `Remove ${label}`, remove));

    function remove() {
      list.splice(i, 1);
      draw();
      add.focus();
      onchange();
    }

    function change(op) {
      const text = textOf(condition.value);
      condition.op = op;
      if (BARE.has(op)) delete condition.value;
      else condition.value = valueOf(text, op);
    }

    function drawValue() {
      const isList = LISTS.has(condition.op);
      const offer = isList ? { placeholder: "a, b, c" } : { placeholder: "value", list: values.id };
      put(place, !BARE.has(condition.op) && input(textOf(condition.value), value => {
        condition.value = valueOf(value, condition.op);
        onchange();
      }, { "aria-label": `Value of ${label}`, ...offer }));
    }
  }
}

/** As it is typed: text that would be taken for a number stands in quotes. */
function textOf(value) {
  if (Array.isArray(value)) return value.map(textOf).join(", ");
  if (value === undefined || value === null) return "";
  return typeof value === "string" && isBareWord(value) ? `"${value}"` : String(value);
}

const isBareWord = text => text === "true" || text === "false" || /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text);

/** Numbers and true or false are taken as such; quotes make them text. */
function valueOf(text, op) {
  if (LISTS.has(op)) return text.split(",").map(part => part.trim()).filter(Boolean).map(scalar);
  return ORDERED.has(op) || op === "=" || op === "!=" ? scalar(text.trim()) : text;
}

function scalar(text) {
  if (/^".*"$/.test(text) && text.length >= 2) return text.slice(1, -1);
  if (text === "true" || text === "false") return text === "true";
  return isBareWord(text) ? Number(text) : text;
}

const scope = event => event ? "?event=" + encodeURIComponent(event) : "";

function offerNames(event, node) {
  getKept("/v1/properties" + scope(event)).then(({ properties }) => put(node,
    properties.slice(0, 200).map(({ property }) => h("option", { value: property }))), () => {});
}

function offerValues(property, event, node) {
  if (!property || property.startsWith("user.")) return;
  getKept(`/v1/properties/${encodeURIComponent(property)}/values${scope(event)}`).then(({ values }) => put(node,
    values.map(({ value }) => h("option", { value: textOf(value) }))), () => {});
}
