import { lostShare } from "../parts/funnel-chart.js";
import { button, h, name } from "../parts/dom.js";
import { number, percent, span } from "../parts/format.js";
import { carry, href } from "../state/url.js";

/** The worst steps by three measures: most users lost, largest share lost, longest median time. */
export function dropoffs(report, unit, state, onstep) {
  if (!report.entered) return null;
  const most = report.biggest_dropoff && report.steps[report.biggest_dropoff.index - 1];
  const largest = highest(report.steps, lostShare);
  const slowest = highest(report.steps, step => step.median_seconds_from_previous);
  const lines = [
    most && line(most === largest ? `Most ${unit} lost, and the largest share` : `Most ${unit} lost`, most),
    most && largest && largest !== most && line("Largest share lost", largest),
    slowest && slow(slowest),
  ].filter(Boolean);
  if (!most) lines.unshift(h("li", {}, `No ${unit} dropped off between steps.`));
  return h("ul", { class: most ? "callout" : "callout calm" }, lines);

  function line(label, step) {
    const lost = [
      h("strong", {}, `${number(step.dropoff)} of ${number(before(step).count)}`), ` (${percent(lostShare(step))}) dropped off.`,
    ];
    return h("li", {}, h("span", {}, h("strong", {}, label, ": "), way(step), ". ", lost),
      unit === "users" ? see("See these users", () => onstep(step.index, "dropped"), step)
        : see("See details", () => onstep(step.index, "numbers"), step));
  }

  function slow(step) {
    const from = step.index - 1;
    return h("li", {}, h("span", {}, h("strong", {}, "Slowest step: "), way(step), `. Median ${span(step.median_seconds_from_previous)}.`),
      unit === "users" && h("a", {
        class: "button small", href: href(carry(state, "times", { from: String(from), to: String(step.index) })),
      }, "See times"));
  }

  function way(step) {
    return [name(before(step).step), " → ", name(step.step)];
  }

  /** The last required step before a step, because nobody drops off at an optional one. */
  function before({ index }) {
    for (let at = index - 1; at > 1; at--) if (!report.funnel.steps[at - 1]?.optional) return report.steps[at - 1];
    return report.steps[0];
  }
}

const see = (label, onclick, step) => button(label, onclick, { class: "button small", "aria-label": `${label}, step ${step.index}` });

/** The first step with the highest value above 0. */
function highest(steps, value) {
  let best = null;
  for (const step of steps) if ((value(step) ?? 0) > (best ? value(best) : 0)) best = step;
  return best;
}
