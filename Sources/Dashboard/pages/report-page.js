import { h, name } from "../parts/dom.js";
import { failedQuery, notice, ready, wait } from "../parts/states.js";
import { rangeText } from "../state/range.js";
import { href, patch } from "../state/url.js";

/** What reports that are asked once have in common: waiting, faults, and no funnel at all. */
export function reportPage(main, state, kind, ask, draw) {
  const controller = new AbortController();
  if (!state.funnel && !state.def) {
    ready(main, noFunnel());
    return { stop() {} };
  }
  const go = async () => {
    wait(main, kind);
    try {
      const answer = await ask(controller.signal);
      if (!controller.signal.aborted) ready(main, draw(answer));
    } catch (error) {
      if (error.name === "AbortError") return;
      ready(main, h("div", { class: "page" }, failedQuery(error, go, () => patch({ partial: "1" }))));
    }
  };
  go();
  return { stop: () => controller.abort() };
}

export const noFunnel = () => h("div", { class: "page" }, notice("empty", "No funnel yet", "Reports start from a funnel.",
  [h("a", { class: "button primary", href: href({ page: "edit" }) }, "Build a funnel")]));

export const pageHead = (title, state, ...more) => h("header", { class: "page-head" }, h("div", {}, h("h1", {}, title),
  h("p", { class: "muted" }, state.def ? "unsaved funnel" : name(state.funnel ?? ""), ` · ${rangeText(state)}`)), more);

/** Says so where shards are missing. */
export const partialStrip = ({ exact, shards_answered: n, shards_asked: of } = { exact: true }) => !exact && h("div", { class: "strip warn" },
  h("strong", {}, "Partial answer. "), `${n} of ${of} shards answered; users kept on the others are not counted.`);
