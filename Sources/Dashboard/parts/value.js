import { isNumberText, parse } from "../state/json.js";
import { h } from "./dom.js";
import { input, select } from "./field.js";
import { hasUnseen, quoted } from "./format.js";

/**
 * How values are typed. A field contains text as it is. Text in quotes is a JSON string, for characters that a field can't contain or
 * show: line breaks, control characters, blanks at the ends. A mark beside the field says whether `7` is a number or text.
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

/** The same for suggestions, which have no mark of their kind. */
export const suggested = value => typeof value === "string" && readableAs(value).length > 1 ? quoted(value) : typed(value);

/** The kinds of value that the text can be; it can always be text. */
function readableAs(text) {
  if (isNumberText(text) && Number.isFinite(Number(text))) return ["number", "text"];
  return text === "true" || text === "false" ? ["boolean", "text"] : ["text"];
}

/**
 * @param received the number of values of each kind that the property has: `{text, number, boolean}`
 * @param chosen the kind that the user chose
 */
function likeliest(kinds, received, chosen) {
  if (kinds.includes(chosen)) return chosen;
  return kinds.reduce((best, kind) => (received[kind] ?? 0) > (received[best] ?? 0) ? kind : best);
}

const valueOf = (text, kind) => kind === "text" ? readText(text) : parse(text);

/** Whether the input is a suggestion from the list. Firefox reports that; in Chromium the kind of event shows it. */
const isSuggestion = event => (!(event instanceof InputEvent) || event.inputType === "insertReplacementText")
  && [...event.target.list?.options ?? []].some(option => option.value === event.target.value);

/** A field for any text. */
export const textInput = (value, onchange, props) => input(typed(value), (text, node) => {
  const now = readText(text);
  node.value = typed(now);
  onchange(now);
}, { dir: "auto", ...props });

/**
 * A field for one value, with a mark of its kind. The mark can be changed if the text can be of several kinds.
 * @param options `{label, kinds, received, ...props}`: `kinds` are those accepted; for `received()`, see `likeliest`
 * @returns `{input, mark, read(), write(value), type(text), learn()}`: `mark` is null if only text is accepted. `learn` uses the values
 *   received since, and returns whether the kind changed
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

  /** @param isPicked whether the text is a suggestion; these quote text that looks like another kind */
  function type(text, isPicked = false) {
    if (field.value !== text) field.value = text;
    isTyped = true;
    suggestion = isPicked ? text : null;
    learn();
  }

  /** A saved value keeps its kind. A typed value gets the kind that most received values have. */
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

/** The mark "never received", hidden until the answer is known. */
export function unseenMark(isReceived) {
  const mark = h("span", { class: "tag warn", hidden: true }, "never received");
  isReceived.then(is => { mark.hidden = is; }, () => {});
  return mark;
}
