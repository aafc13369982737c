/** Lossless JSON: numbers keep their text when they are parsed, copied and written again. */

/**
 * A number that JavaScript would change or print differently: integers from 2^53, `1.0`, `1e2`, `-0`. It keeps its text and
 * calculates as the nearest double.
 */
export class ExactNumber extends Number {
  constructor(text) {
    super(text);
    this.text = text;
  }

  toString() { return this.text; }
}

const isChanged = (number, source) => String(number) !== source;
const hasSource = typeof JSON.rawJSON === "function" && JSON.parse("1.0", (_, value, context) => context?.source) === "1.0";
// Makes `stringify` write the text.
if (hasSource) ExactNumber.prototype.toJSON = function toJSON() { return JSON.rawJSON(this.text); };

const native = {
  parse: text => JSON.parse(text, (_, value, context) =>
    typeof value === "number" && isChanged(value, context.source) ? new ExactNumber(context.source) : value),
  stringify: (value, space) => JSON.stringify(value, null, space),
};

/** Matches every string, with the colon after it if it is a key, and every number. */
const TOKENS = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|-?\d[\d.eE+-]*/g;

/**
 * For browsers without access to the source text of numbers. Numbers are parsed as strings. All strings but keys get a prefix letter:
 * `n` for the text of a number, `s` for a string.
 */
const marked = {
  parse(text) {
    JSON.parse(text); // Throws if the text is not JSON.
    const mark = (token, string, colon) => colon ? token
      : string ? `"s${token.slice(1)}` : isChanged(Number(token), token) ? `"n${token}"` : token;
    return JSON.parse(text.replace(TOKENS, mark), (_, value) => {
      if (typeof value !== "string") return value;
      return value[0] === "n" ? new ExactNumber(value.slice(1)) : value.slice(1);
    });
  },
  stringify(value, space) {
    const mark = (_, item) => item instanceof ExactNumber ? `n${item.text}` : typeof item === "string" ? `s${item}` : item;
    return JSON.stringify(value, mark, space)?.replace(TOKENS, (token, string, colon) =>
      colon || !string ? token : string[1] === "n" ? string.slice(2, -1) : `"${string.slice(2)}`);
  },
};

export const { parse, stringify } = hasSource ? native : marked;
export const copy = value => parse(stringify(value));
/** Whether the value is a number, exact or not. */
export const isNumber = value => typeof value === "number" || value instanceof Number;

/** Compares two values by kind and text. */
export const isSame = (a, b) => stringify(a) === stringify(b);

/** Whether the text is a JSON number. */
export const isNumberText = text => /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text);
