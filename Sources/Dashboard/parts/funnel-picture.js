import { COLUMNS_MAX, lostShare } from "./funnel-chart.js";
import { number, percent } from "./format.js";
import { box, sheet, text } from "./picture.js";

const [COLUMN, LANE, TALL] = [190, 66, 300];
const [NAME, NUMBERS, ROW_WIDTH] = [230, 210, 1000];

/** The CSS variable of a tone, as in the page's styles. */
const toneOf = tone => tone === "before" ? "--before" : `--tone-${Math.min(tone, 7)}`;

/**
 * The funnel chart as a picture. As on the page, its numbers are those of the whole funnel, even if the bars show groups.
 * @param series the series of the bars
 * @param words `title`, `subtitle` and `foot`
 */
export function funnelPicture(report, series, unit, words) {
  const { steps } = report;
  const isPlain = series.length === 1;
  const entry = ({ label, tone, converted, entered, conversion }) =>
    ({ label: `${label}: ${number(converted)} of ${number(entered)}, ${percent(conversion)}`, colour: toneOf(tone) });
  const [place, whose] = report.breakdown || report.segments ? ["group", `all ${unit}`] : ["period", "this period"];
  const subtitle = isPlain ? words.subtitle
    : `${words.subtitle} · Bars: share of step 1 in each ${place}. Numbers at the steps: ${whose}.`;
  const body = steps.length > COLUMNS_MAX ? rows(steps, series, unit) : columns(steps, series, unit);
  return sheet({ ...words, subtitle, legend: isPlain ? [] : series.map(entry) }, body.width, body);
}

const shareOf = (one, i) => one.steps[i].conversion_from_first ?? 0;
const open = step => step.open > 0 ? `${number(step.open)} still open` : "";

/** One column for each step, with the loss between two steps. */
function columns(steps, series, unit) {
  const bar = (COLUMN - LANE - 10) / series.length;
  const column = (step, i, left, top) => {
    const x = left + i * COLUMN;
    const wide = COLUMN - LANE - 10;
    const parts = [text(`${i + 1}. ${step.step}`, x, top + 8, { size: 15, weight: 600, maxWidth: COLUMN - 16 })];
    series.forEach((one, s) => {
      const tall = TALL * shareOf(one, i);
      parts.push(box(x + s * bar, top + 28, bar - 2, TALL, "--track"),
        box(x + s * bar, top + 28 + TALL - tall, bar - 2, tall, toneOf(one.tone)));
    });
    const below = top + 28 + TALL;
    parts.push(text(`${number(step.count)} ${unit}`, x, below + 20, { size: 15, weight: 600, maxWidth: COLUMN - 16, isNumber: true }),
      text(percent(step.conversion_from_first), x, below + 42, { colour: "--muted", maxWidth: wide, isNumber: true }));
    if (i > 0 && step.dropoff !== null) {
      const lane = { align: "center", maxWidth: LANE - 2, isNumber: true };
      const middle = x - LANE / 2 - 5;
      parts.push(text(`−${percent(lostShare(step) ?? 0)}`, middle, below - 62, { ...lane, size: 14, weight: 600, colour: "--loss" }),
        text(number(step.dropoff), middle, below - 44, { ...lane, size: 12, colour: "--text" }),
        text("dropped off", middle, below - 30, { ...lane, size: 11, colour: "--muted" }));
      if (open(step)) parts.push(text(open(step), middle, below - 15, { ...lane, size: 11, colour: "--muted" }));
    }
    return parts;
  };
  return {
    width: Math.max(620, steps.length * COLUMN + 32), height: TALL + 84,
    draw: (x, y) => steps.flatMap((step, i) => column(step, i, x, y)),
  };
}

/** One row for each step, if there are too many for columns. */
function rows(steps, series, unit) {
  const thick = series.length === 1 ? 16 : 8;
  const tall = Math.max(40, series.length * (thick + 1) + 14);
  const wide = ROW_WIDTH - NAME - NUMBERS - 72;
  const row = (step, i, x, top) => {
    const middle = top + tall / 2;
    const bars = series.flatMap((one, s) => {
      const y = middle - series.length * (thick + 1) / 2 + s * (thick + 1);
      return [box(x + NAME, y, wide, thick, "--track"), box(x + NAME, y, wide * shareOf(one, i), thick, toneOf(one.tone))];
    });
    const right = x + NAME + wide + 12;
    const hasLost = i > 0 && step.dropoff !== null;
    const lost = hasLost ? [`−${percent(lostShare(step) ?? 0)}`, `${number(step.dropoff)} dropped off`, open(step)] : [];
    return [
      text(`${i + 1}. ${step.step}`, x, middle, { weight: 600, maxWidth: NAME - 14 }), ...bars,
      text(`${number(step.count)} ${unit} · ${percent(step.conversion_from_first)}`, right, middle - 8,
        { size: 13, weight: 600, maxWidth: NUMBERS, isNumber: true }),
      text(lost.filter(Boolean).join(" · "), right, middle + 9, { size: 11, colour: "--loss", maxWidth: NUMBERS, isNumber: true }),
    ];
  };
  return { width: ROW_WIDTH, height: steps.length * tall, draw: (x, y) => steps.flatMap((step, i) => row(step, i, x, y + i * tall)) };
}
