import { isNumberText, parse } from "../state/json.js";
import { h } from "./dom.js";
import { input, select } from "./field.js";
import { hasUnseen, quoted } from "./format.js";

/**
 * How values are typed. A field holds text as it is; in quotes it is a JSON string, for what a field can't hold or show: line breaks,
 * control characters, blanks at the ends. Whether `7` is a number or text is told by a mark beside the field.
 */
const KINDS = [["text", "text"], ["number", "number"], ["boolean", "true/false"]];
export const ALL_KINDS = KINDS.map(([kind]) => kind);

export const kindOf = value => typeof value === "string" ? "text" : typeof value === "boolean" ? "boolean" : "number";

export const typed = value => typeof value === "string" && (value.startsWith('"') || hasUnseen(value)) ? quoted(value) : String(value);

const isQuoted = text => {
  if (!/^"[^]*"$/.test(text)) return false;
  try { return typeof parse(text) === "string"; } catch { return false; }
};

export const readText = text => isQuoted(text) ? parse(text) : text;

/** The same for a list of suggestions, which has no kind mark. */
export const suggested = value => typeof value === "string" && readableAs(value).length > 1 ? quoted(value) : typed(value);

/** The kinds that it can be of; everything can be text. */
function readableAs(text) {
  if (isNumberText(text) && Number.isFinite(Number(text))) return ["number", "text"];
  return text === "true" || text === "false" ? ["boolean", "text"] : ["text"];
}

/**
 * @param received how many values of each kind the property has: `{text, number, boolean}`
 * @param chosen the kind that was chosen by hand
 */
function likeliest(kinds, received, chosen) {
  if (kinds.includes(chosen)) return chosen;
  return kinds.reduce((best, kind) => (received[kind] ?? 0) > (received[best] ?? 0) ? kind : best);
}

const valueOf = (text, kind) => kind === "text" ? readText(text) : parse(text);

/** Whether it was chosen from the list of suggestions, as Firefox says and as Chromium lets see. */
const isSuggestion = event => (!(event instanceof InputEvent) || event.inputType === "insertReplacementText")
  && [...event.target.list?.options ?? []].some(option => option.value === event.target.value);

/** A field for any text. */
export const textInput = (value, onchange, props) => input(typed(value), (text, node) => {
  const now = readText(text);
  node.value = typed(now);
  onchange(now);
}, { dir: "auto", ...props });

/**
 * A field for one value, and a mark of its kind that can be changed where the text can be of several.
 * @param options `{label, kinds, received, ...props}`: kinds that are taken; `received()`, see above
 * @returns `{input, mark, read(), write(value), type(text), learn()}`: `mark` is null where only text is taken; `learn` takes what was
 *   received since into account, and tells whether that changed the kind
 */
export function valueField(value, onchange, { label, kinds = ALL_KINDS, received = () => ({}), ...props }) {
  let chosen = null;
  let isTyped = false;
  let suggestion = null;
  let kind = "text";
  const field = input("", () => { learn(); write(read()); onchange(read()); }, {
    dir: "auto", "aria-label": `Value of ${label}`, ...props,
    oninput: event => type(field.value, isSuggestion(event)),
  });
  const mark = kinds.length > 1 ? select(KINDS.filter(([key]) => kinds.includes(key)), kind, picked => {
    chosen = picked;
    type(field.value);
    onchange(read());
  }, { class: "kind", "aria-label": `Kind of value, ${label}` }) : null;
  write(value);
  return { input: field, mark, read, write, type, learn };

  function read() { return valueOf(field.value, kind); }

  function write(next) {
    field.value = typed(next);
    show(kindOf(next));
  }

  /** @param isPicked from the list of suggestions, where text that reads as another kind stands in quotes */
  function type(text, isPicked = false) {
    if (field.value !== text) field.value = text;
    isTyped = true;
    suggestion = isPicked ? text : null;
    learn();
  }

  /** What was saved keeps its kind; what is typed takes the one that fits what was received. */
  function learn() {
    const before = kind;
    const possible = readableAs(field.value).filter(key => kinds.includes(key));
    if (isTyped) show(field.value === suggestion ? possible[0] : likeliest(possible, received(), chosen));
    return kind !== before;
  }

  function show(next) {
    kind = next;
    if (!mark) return;
    const possible = readableAs(field.value);
    for (const option of mark.options) option.disabled = option.value !== kind && !possible.includes(option.value);
    mark.value = kind;
  }
}

/** A mark for what no event has had so far; hidden until that is known. */
export function unseenMark(isReceived) {
  const mark = h("span", { class: "tag warn", hidden: true }, "never received");
  isReceived.then(is => { mark.hidden = is; }, () => {});
  return mark;
}
