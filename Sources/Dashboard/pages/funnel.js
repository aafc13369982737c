import { get } from "../api/fetch.js";
import { live } from "../api/live.js";
import { sayNowAndThen } from "../parts/announce.js";
import { button, h } from "../parts/dom.js";
import { number, percent } from "../parts/format.js";
import { failedQuery, noEvents, notice, ready, wait } from "../parts/states.js";
import { definitionOf } from "../state/catalogue.js";
import { stringify } from "../state/json.js";
import { report as body } from "../state/query.js";
import { carry, href, patch, read } from "../state/url.js";
import { funnelView, shapeOf } from "./funnel-view.js";
import { liveMark } from "./live-mark.js";
import { stepPanel } from "./step.js";

export const bar = ["funnel", "range", "breakdown", "segments", "compare"];
export const title = state => state.def ? "Funnel" : state.funnel ?? "Funnel";
/** Opening a step is no other report. */
export const key = ({ step, tab, group, ...rest }) => stringify(rest);

export function show(main, state) {
  let stopLive = null;
  let view = null;
  let shape = null;
  let shown = null;
  let panel = null;
  let poll = null;
  let asked = null;
  const mark = liveMark();

  if (!state.funnel && !state.def) {
    empty();
    return { stop: () => clearInterval(poll) };
  }
  wait(main, "chart");
  start();
  // "Today" moves on at midnight.
  const clock = setInterval(() => { if (stringify(body(state)) !== asked) start(); }, 30_000);

  function start() {
    stopLive?.();
    asked = stringify(body(state));
    stopLive = live(body(state), { report: take, problem: fault, status: mark.set });
  }

  function take(report) {
    shown = report;
    const next = shapeOf(report, state);
    if (!view || next !== shape) {
      view = funnelView(report, state, { mark: mark.node, onstep: index => patch({ step: String(index), tab: null }) });
      shape = next;
      const focused = document.activeElement?.dataset?.step;
      ready(main, view.node);
      if (focused) main.querySelector(`[data-step="${focused}"]`)?.focus();
    }
    view.update(report);
    main.querySelector(".stale")?.remove();
    if (report.entered === 0) nobody();
    else main.querySelector(".nobody")?.remove();
    sayNowAndThen(`${number(report.converted)} of ${number(report.entered)} converted, ${percent(report.conversion)}`);
    openPanel(read());
  }

  function fault(problem) {
    const box = failedQuery(problem, start, () => patch({ partial: "1" }));
    if (!view) {
      ready(main, box);
      if (problem.status === 404) box.append(button("Open another funnel", () => patch({ funnel: null })));
      return;
    }
    box.classList.add("stale");
    main.querySelector(".stale")?.remove();
    main.prepend(box);
  }

  /** Zero is an answer, but it may want a word. */
  async function nobody() {
    if (main.querySelector(".nobody")) return;
    const box = h("div", { class: "nobody" });
    main.querySelector(".page-head")?.after(box);
    const { total } = await get("/v1/events?limit=1&allow_partial=1").catch(() => ({ total: 1 }));
    if (!box.isConnected) return;
    box.append(total === 0 ? noEvents() : notice("empty", "Nobody entered this funnel",
      state.range ? "No user did step 1 in this date range." : "No user has done step 1.",
      state.range && [button("Show all time", () => patch({ range: null, start: null, end: null }))]));
  }

  function empty() {
    const make = h("a", { class: "button primary", href: href({ page: "edit" }) }, "Build a funnel");
    const draw = ({ total }) => ready(main, h("h1", {}, "Funnel"), total === 0 ? noEvents()
      : notice("empty", "No funnel yet", "Events are coming in. Choose the steps that users should take.", [make]));
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
      stopLive?.();
      clearInterval(clock);
      const open = panel;
      panel = null;
      open?.close();
    },
  };
}

export const linkTo = (state, page, more) => href(carry(state, page, more));
