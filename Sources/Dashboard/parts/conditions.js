import { getKinds, getPropertyNames, getValues, isPropertyReceived } from "../api/received.js";
import { chipsField } from "./chips.js";
import { button, h, iconButton, newID, put } from "./dom.js";
import { select } from "./field.js";
import { ALL_KINDS, kindOf, suggested, textInput, typed, unseenMark, valueField } from "./value.js";

const OPS = [["=", "is"], ["!=", "is not"], ["in", "is one of"], ["not_in", "is none of"], ["contains", "contains"], ["starts_with", "starts with"],
  [">", ">"], [">=", "≥"], ["<", "<"], ["<=", "≤"], ["exists", "exists"], ["not_exists", "does not exist"]];
const LISTS = new Set(["in", "not_in"]);
const BARE = new Set(["exists", "not_exists"]);
/** The kinds of value that a comparison takes, if not all. */
const TEXT = ["text"];
const ORDERED = ["text", "number"];
const KINDS = { contains: TEXT, starts_with: TEXT, ">": ORDERED, ">=": ORDERED, "<": ORDERED, "<=": ORDERED };
const kindsOf = op => KINDS[op] ?? ALL_KINDS;

/** An editor for conditions on properties, which must all hold. It changes `list` in place. */
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
    put(rows, list.map((condition, i) => row(condition, i)));
  }

  function row(condition, i) {
    const values = h("datalist", { id: newID("values") });
    const names = h("datalist", { id: newID("names") });
    const label = `condition ${i + 1}`;
    const property = textInput(condition.property, value => {
      condition.property = value;
      look();
      onchange();
    }, { "aria-label": `Property of ${label}`, placeholder: "property", list: names.id });
    property.addEventListener("focus", () => offerNames(event, names), { once: true });
    const compare = next => { change(condition, next); drawValue(); onchange(); };
    const op = select(OPS, condition.op, compare, { "aria-label": `Comparison of ${label}` });
    const [place, mark] = [h("span", { class: "value" }), h("span")];
    let received = {};
    let field = null;
    drawValue();
    look();
    return h("div", { class: "condition" }, h("div", { class: "condition-parts" }, property, mark, op, place, names, values),
      iconButton("close", `Remove ${label}`, remove));

    function remove() {
      list.splice(i, 1);
      draw();
      add.focus();
      onchange();
    }

    /** Looks up what was received of the property. */
    function look() {
      const asked = condition.property;
      received = {};
      put(values);
      put(mark);
      if (!asked) return;
      put(mark, unseenMark(isPropertyReceived(asked)));
      offerValues(asked, event, values);
      getKinds(asked, event).then(kinds => {
        if (asked !== condition.property) return;
        received = kinds;
        if (field?.learn()) {
          condition.value = field.read();
          onchange();
        }
      }, () => {});
    }

    function drawValue() {
      field = null;
      if (BARE.has(condition.op)) return put(place);
      const options = { label, kinds: kindsOf(condition.op), received: () => received, list: values.id };
      if (LISTS.has(condition.op)) {
        if (!Array.isArray(condition.value)) condition.value = [condition.value];
        return put(place, chipsField(condition.value, onchange, { ...options, placeholder: "add a value" }).node);
      }
      field = valueField(condition.value, value => { condition.value = value; onchange(); }, { ...options, placeholder: "empty text" });
      return put(place, field.input, field.mark);
    }
  }
}

/** Changes the comparison, and keeps the value if the new comparison takes it. */
function change(condition, op) {
  const old = Array.isArray(condition.value) ? condition.value[0] ?? "" : condition.value ?? "";
  const isList = LISTS.has(op);
  if (isList && LISTS.has(condition.op)) condition.op = op;
  else if (BARE.has(op)) {
    condition.op = op;
    delete condition.value;
  } else {
    const value = kindsOf(op).includes(kindOf(old)) ? old : String(old);
    condition.op = op;
    condition.value = isList ? (value === "" ? [] : [value]) : value;
  }
}

function offerNames(event, node) {
  getPropertyNames(event).then(names => put(node, names.slice(0, 500).map(property => h("option", { value: typed(property) }))), () => {});
}

function offerValues(property, event, node) {
  getValues(property, event).then(values => put(node, values.map(value => h("option", { value: suggested(value) }))), () => {});
}
