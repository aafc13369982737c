import { number, percent } from "./format.js";

/** The funnel as a picture, for the PNG export. */
export function drawFunnel(series, unit) {
  const steps = series[0].steps;
  const style = getComputedStyle(document.documentElement);
  const colour = token => style.getPropertyValue(token).trim();
  const [column, height, top, bottom, scale] = [190, 300, 60, 70, 2];
  const canvas = document.createElement("canvas");
  const width = Math.max(500, steps.length * column + 40);
  [canvas.width, canvas.height] = [width * scale, (top + height + bottom) * scale];
  const paint = canvas.getContext("2d");
  paint.scale(scale, scale);
  paint.textBaseline = "middle";
  const text = (words, x, y, font, token, most = column - 24) => {
    paint.font = `${font} system-ui, sans-serif`;
    paint.fillStyle = colour(token);
    paint.fillText(cut(paint, words, most), x, y);
  };
  steps.forEach((step, i) => {
    const x = 20 + i * column;
    text(`${i + 1}. ${step.step}`, x, 24, "600 15px", "--text");
    const bar = (column - 60) / series.length;
    series.forEach((one, s) => {
      const tall = height * (one.steps[i].conversion_from_first ?? 0);
      paint.fillStyle = colour("--track");
      paint.fillRect(x + s * bar, top, bar - 2, height);
      paint.fillStyle = colour(one.tone === "before" ? "--before" : `--tone-${one.tone % 8}`);
      paint.fillRect(x + s * bar, top + height - tall, bar - 2, tall);
    });
    text(`${number(step.count)} ${unit}`, x, top + height + 20, "600 15px", "--text");
    text(percent(step.conversion_from_first), x, top + height + 44, "14px", "--muted");
    if (i > 0 && step.dropoff !== null) text(`−${number(step.dropoff)}`, x - 50, top + height / 2, "600 13px", "--loss", 50);
  });
  return canvas;
}

function cut(paint, words, most) {
  if (paint.measureText(words).width <= most) return words;
  let short = [...words];
  while (short.length && paint.measureText(short.join("") + "…").width > most) short.pop();
  return short.join("") + "…";
}
