/** Pictures for files: a list of parts, and its drawing. */
const SCALE = 2;
const MARGIN = 24;
const FONT = "system-ui, sans-serif";

const measure = document.createElement("canvas").getContext("2d");
const font = (size, weight) => `${weight} ${size}px ${FONT}`;

function widthOf(words, size, weight = 400) {
  measure.font = font(size, weight);
  return measure.measureText(words).width;
}

/** @param more `size`, `weight`, `colour` as for a box, `align`, `maxWidth`: a longer name is cut, a longer number gets smaller */
export function text(words, x, y, more = {}) {
  const { size = 14, weight = 400, colour = "--text", align = "left", maxWidth = Infinity, isNumber = false } = more;
  const whole = String(words);
  let fitting = size;
  while (isNumber && fitting > 7 && widthOf(whole, fitting, weight) > maxWidth) fitting -= 0.5;
  return { kind: "text", words: isNumber ? whole : cut(whole, maxWidth, size, weight), x, y, size: fitting, weight, colour, align };
}

/** @param colour a CSS variable of the page, or a colour */
export const box = (x, y, width, height, colour) => ({ kind: "box", x, y, width, height, colour });

function cut(words, maxWidth, size, weight) {
  if (maxWidth === Infinity || widthOf(words, size, weight) <= maxWidth) return words;
  const letters = [...words];
  let [low, high] = [0, letters.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (widthOf(letters.slice(0, middle).join("") + "…", size, weight) <= maxWidth) low = middle;
    else high = middle - 1;
  }
  return letters.slice(0, low).join("") + "…";
}

/** Wraps words into lines. */
function lines(words, maxWidth, size) {
  const list = [];
  for (const word of words.split(" ")) {
    const longer = list.length ? `${list.at(-1)} ${word}` : word;
    if (list.length && widthOf(longer, size) <= maxWidth) list[list.length - 1] = longer;
    else list.push(word);
  }
  return list;
}

/**
 * A picture with a title, subtitle, legend and foot.
 * @param of `title`, `subtitle`, `legend`: `[{label, colour}]`, `foot`
 * @param body `draw(x, y)`, its parts, and its `height`
 * @returns `{width, height, parts}`
 */
export function sheet({ title, subtitle, legend = [], foot }, width, body) {
  const room = width - 2 * MARGIN;
  const parts = [text(title, MARGIN, 34, { size: 20, weight: 650, maxWidth: room })];
  let y = 60;
  const paragraph = (words, colour) => {
    for (const line of lines(words, room, 13)) {
      parts.push(text(line, MARGIN, y, { size: 13, colour, maxWidth: room }));
      y += 19;
    }
  };
  paragraph(subtitle, "--muted");
  y += 8;
  let x = MARGIN;
  for (const { label, colour } of legend) {
    const words = cut(label, room - 20, 13, 400);
    const wide = 20 + widthOf(words, 13);
    if (x > MARGIN && x + wide > width - MARGIN) [x, y] = [MARGIN, y + 22];
    parts.push(box(x, y - 6, 12, 12, colour), text(words, x + 18, y, { size: 13 }));
    x += wide + 20;
  }
  if (legend.length) y += 26;
  parts.push(...body.draw(MARGIN, y));
  y += body.height + 22;
  paragraph(foot, "--muted");
  return { width, height: y + 4, parts };
}

/** A chart of the page as a picture with title, subtitle, legend and foot. */
export function framed(canvas, words) {
  const width = Math.max(640, canvas.clientWidth) + 2 * MARGIN;
  return sheet(words, width, {
    height: canvas.clientHeight,
    draw: (x, y) => [{ kind: "canvas", canvas, x, y, width: canvas.clientWidth, height: canvas.clientHeight }],
  });
}

/** Draws a picture in the colours of the page. */
export function paint({ width, height, parts }) {
  const style = getComputedStyle(document.documentElement);
  const colour = token => token.startsWith("--") ? style.getPropertyValue(token).trim() : token;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.ceil(width * SCALE), Math.ceil(height * SCALE)];
  const pen = canvas.getContext("2d");
  pen.scale(SCALE, SCALE);
  pen.textBaseline = "middle";
  pen.fillStyle = colour("--surface");
  pen.fillRect(0, 0, width, height);
  for (const part of parts) {
    if (part.kind === "canvas") pen.drawImage(part.canvas, part.x, part.y, part.width, part.height);
    else {
      pen.fillStyle = colour(part.colour);
      if (part.kind === "box") pen.fillRect(part.x, part.y, part.width, part.height);
      else {
        pen.font = font(part.size, part.weight);
        pen.textAlign = part.align;
        pen.fillText(part.words, part.x, part.y);
      }
    }
  }
  return canvas;
}
