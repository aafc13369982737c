import { get } from "../api/fetch.js";
import { sayNowAndThen } from "../parts/announce.js";
import { button, h, isolate } from "../parts/dom.js";
import { number, percent, plural } from "../parts/format.js";
import { failedQuery, noEvents, notice, ready, wait } from "../parts/states.js";
import { definitionOf } from "../state/funnels.js";
import { stringify } from "../state/json.js";
import { report as body } from "../state/query.js";
import { href, patch, read } from "../state/url.js";
import { follow } from "./follow.js";
import { funnelView, shapeOf } from "./funnel-view.js";
import { stepPanel } from "./step.js";

export const bar = ["funnel", "range", "breakdown", "segments", "compare"];
export const title = state => state.def ? "Funnel" : state.funnel ?? "Funnel";
/** Without the parameters of the step panel, which do not change the report. */
export const key = ({ step, tab, group, ...rest }) => stringify(rest);

export function show(main, state) {
  let view = null;
  let shape = null;
  let shown = null;
  let panel = null;
  let poll = null;
  let asked = null;

  if (!state.funnel && !state.def) {
    empty();
    return { stop: () => clearInterval(poll) };
  }
  wait(main, "chart");
  const following = follow(main, state, question, { report: take, fault });
  // "Today" changes at midnight.
  const clock = setInterval(() => { if (stringify(body(state)) !== asked) following.start(); }, 30_000);

  function question() {
    asked = stringify(body(state));
    return body(state);
  }

  function take(report) {
    shown = report;
    const next = shapeOf(report, state);
    if (!view || next !== shape) {
      view = funnelView(report, state, { mark: following.mark, onstep: (index, tab = null) => patch({ step: String(index), tab }) });
      shape = next;
      const focused = document.activeElement?.dataset?.step;
      ready(main, view.node);
      if (focused) main.querySelector(`[data-step="${focused}"]`)?.focus();
    }
    view.update(report);
    if (report.entered === 0) nobody();
    else main.querySelector(".nobody")?.remove();
    sayNowAndThen(`${number(report.converted)} of ${number(report.entered)} converted, ${percent(report.conversion)}`);
    openPanel(read());
  }

  function fault(problem) {
    const actions = problem.status === 404 ? [button("Open another funnel", () => patch({ funnel: null }))] : [];
    ready(main, h("div", { class: "page" }, h("h1", {}, title(state)),
      failedQuery(problem, following.start, () => patch({ partial: "1" }), { title: "This funnel can't be calculated", actions })));
  }

  /** Explains a report that nobody entered. */
  async function nobody() {
    if (main.querySelector(".nobody")) return;
    const box = h("div", { class: "nobody" });
    main.querySelector(".page-head")?.after(box);
    const { total } = await get("/v1/events?limit=1&allow_partial=1").catch(() => ({ total: 1 }));
    if (!box.isConnected) return;
    const first = shown.order === "any" ? "any of the steps" : `step 1, “${isolate(shown.steps[0].step)}”`;
    box.append(total === 0 ? noEvents() : notice("empty", "Nobody entered this funnel",
      state.range ? `Nobody did ${first} in this date range.` : `Nobody has done ${first} yet.`,
      state.range && [button("Show all time", () => patch({ range: null, start: null, end: null }))]));
  }

  function empty() {
    const make = h("a", { class: "button primary", href: href({ page: "edit" }) }, "Build a funnel");
    const draw = ({ total }) => ready(main, h("h1", {}, "Funnel"), total === 0 ? noEvents()
      : notice("empty", "No funnel yet", `${plural(total, "kind")} of events received. Choose the steps of your first funnel.`, [make]));
    const look = () => get("/v1/events?limit=1&allow_partial=1").then(found => {
      draw(found);
      if (found.total > 0) clearInterval(poll);
    }, error => ready(main, failedQuery(error, look)));
    look();
    poll = setInterval(look, 2000);
  }

  function openPanel(now) {
    const index = Number(now.step);
    const isGood = shown && index >= 1 && index <= shown.steps.length;
    if (!isGood) {
      panel?.close();
      panel = null;
      return;
    }
    if (panel?.index === index) return;
    panel?.close();
    const mine = panel = stepPanel(shown, now, index, definitionOf(now), () => {
      if (panel !== mine) return;
      panel = null;
      patch({ step: null, tab: null, group: null });
    });
  }

  return {
    update: openPanel,
    stop() {
      following.stop();
      clearInterval(clock);
      const open = panel;
      panel = null;
      open?.close();
    },
  };
}
