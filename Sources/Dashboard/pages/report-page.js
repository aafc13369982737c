import { whileIncomplete } from "../api/shards.js";
import { button, h, name } from "../parts/dom.js";
import { instant, plural, shardsText } from "../parts/format.js";
import { placeFaults } from "../parts/field-faults.js";
import { failedQuery, notice, ready, waitFor } from "../parts/states.js";
import { rangeText } from "../state/range.js";
import { href, patch } from "../state/url.js";
import { sayAwaited } from "./follow.js";

/**
 * The page of a report that is queried once. It handles loading, errors, missing shards and a missing funnel.
 * @param page `title`; `controls`, which stay above every error; `kind` of placeholder; `ask(signal)`; `draw(answer)`, which returns
 *   nodes; `fault()`, options for `failedQuery`; `takesPart`, whether an answer without some shards is useful
 */
export function reportPage(main, state, { title, controls, kind, ask, draw, fault, takesPart = true }) {
  const controller = new AbortController();
  let stopSeeking = null;
  if (!state.funnel && !state.def) {
    ready(main, noFunnel());
    return { stop() {} };
  }
  const page = (...content) => ready(main, h("div", { class: "page" }, pageHead(title, state), controls, content));
  go();
  return {
    stop() {
      controller.abort();
      stopSeeking?.();
    },
  };

  async function go() {
    waitFor(main, kind, page);
    const stopAwaited = sayAwaited(main);
    await load();
    stopAwaited();
  }

  async function load() {
    try {
      const answer = await ask(controller.signal);
      if (controller.signal.aborted) return;
      seek(answer.completeness && !answer.completeness.exact);
      page(partialStrip(answer.completeness), draw(answer));
    } catch (error) {
      if (error.name === "AbortError" || controller.signal.aborted) return;
      seek(error.shards?.length > 0);
      const more = fault?.();
      const rest = placeFaults(controls, error);
      page(rest ? failedQuery(rest, go, takesPart && (() => patch({ partial: "1" })), more)
        : notice("bad", more?.title ?? "This can't be calculated", "The marked field above needs another value.", more?.actions));
    }
  }

  /** Asks again when the missing shards are back. */
  function seek(isWanted) {
    stopSeeking?.();
    stopSeeking = isWanted ? whileIncomplete(load) : null;
  }
}

export const noFunnel = () => h("div", { class: "page" }, notice("empty", "No funnel yet",
  "Trends, times and paths are reports about a funnel. Build one first.",
  [h("a", { class: "button primary", href: href({ page: "edit" }) }, "Build a funnel")]));

export const pageHead = (title, state, ...more) => h("header", { class: "page-head" }, h("div", {}, h("h1", {}, title),
  h("p", { class: "muted" }, state.def ? "unsaved funnel" : state.funnel ? name(state.funnel) : "no funnel", ` · ${rangeText(state)}`)), more);

export const funnelTitle = state => state.def ? "Unsaved funnel" : state.funnel;

/** The completeness and the time of an answer, for the foot of a picture. */
export function answerText({ completeness: { exact, missing }, as_of: asOf }, zone) {
  const whole = exact ? "Complete" : `Incomplete, without ${shardsText(missing)}`;
  return [whole, `calculated ${instant(asOf, zone)}`, `times in ${zone}`].join(" · ");
}

/** The strip that names missing shards; null if there are none. */
export function partialStrip(completeness) {
  if (!completeness || completeness.exact) return null;
  const { missing, shards_asked: asked, shards_answered: answered } = completeness;
  return h("div", { class: "strip warn", role: "status" }, h("strong", {}, "Incomplete. "),
    `${answered} of ${plural(asked, "shard")} answered. The users of ${shardsText(missing)} are missing from every number. `,
    button("Try with all shards", () => patch({ partial: null }), { class: "button small" }));
}
