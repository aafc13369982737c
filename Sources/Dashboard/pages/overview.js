import { get, post } from "../api/fetch.js";
import { annotationList, lineAnnotations } from "../parts/annotation.js";
import { card } from "../parts/card.js";
import { h, name, put } from "../parts/dom.js";
import { choice } from "../parts/field.js";
import { number, percent, plural, points } from "../parts/format.js";
import { failed, notice, ready, wait } from "../parts/states.js";
import { line } from "../parts/line.js";
import { annotationsOf, loadAnnotations, placed } from "../state/annotations.js";
import { loadFunnels } from "../state/funnels.js";
import { addDays, periodEnd } from "../state/range.js";
import { carry, href, patch } from "../state/url.js";

export const bar = [];
export const title = () => "Overview";

const RANGES = [["7", "7 days"], ["30", "30 days"]];
const LINE_DAYS = 30;
/** Queries at a time, so that a wall does not take the cluster's places from people. */
const AT_ONCE = 2;
const EVERY = 60_000;

/** All saved funnels, with the change since the period before, a line of the last days, and their alerts. */
export function show(main, state) {
  const days = RANGES.some(([key]) => key === state.len) ? Number(state.len) : 7;
  let gone = false;
  let timer = null;
  let cards = null;
  const orphans = h("div", { class: "notices", role: "status" });
  let annotations = [];
  const foot = h("div", { class: "notices" });
  wait(main, "table");
  start();
  addEventListener("visibilitychange", back);
  return { stop() { gone = true; clearTimeout(timer); removeEventListener("visibilitychange", back); } };

  /** A tab that comes back does not wait for the next round. */
  function back() {
    if (!document.hidden && cards && timer) fill();
  }

  async function start() {
    try {
      const list = await loadFunnels(true);
      if (gone) return;
      cards = new Map(list.map(funnel => [funnel.funnel_id, makeCard(funnel, days, state)]));
      ready(main, page(list.length ? [h("div", { class: "wall" }, [...cards.values()].map(card => card.node)), foot]
        : notice("empty", "No funnel is saved yet", [h("a", { href: href({ page: "edit" }) }, "Make the first one")])));
      await fill();
    } catch (error) {
      if (!gone) ready(main, failed(error, start));
    }
  }

  function page(...content) {
    const choose = choice("Range", RANGES, String(days), len => patch({ len }));
    return h("div", { class: "page" }, h("header", { class: "page-head" }, h("div", {}, h("h1", {}, "Overview"),
      h("p", { class: "muted" }, `Conversion of the last ${days} days, today not included, in UTC.`)), h("div", { class: "actions" }, choose)), orphans, content);
  }

  /** Asks again for every card, those in view first. */
  async function fill() {
    clearTimeout(timer);
    timer = null;
    if (!document.hidden) {
      showAlerts();
      await showAnnotations();
      const waiting = new Set(cards.values());
      const next = () => {
        const card = [...waiting].find(one => one.isInView()) ?? [...waiting][0];
        waiting.delete(card);
        return card;
      };
      const work = async () => { for (let card = next(); card && !gone; card = next()) await card.ask(annotations); };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      if (!gone && await isChanged()) return start();
    }
    if (!gone) timer = setTimeout(fill, EVERY);
  }

  /** Lists those of the lines. If they can't be read, those before stay. */
  async function showAnnotations() {
    annotations = await loadAnnotations().catch(() => annotations);
    const today = new Date().toISOString().slice(0, 10);
    const shown = placed(annotations, [Date.parse(addDays(today, -LINE_DAYS))], Date.parse(today)).map(({ annotation }) => annotation);
    put(foot, shown.length > 0 && card(`Annotations of the last ${LINE_DAYS} days`, [], annotationList(shown, "UTC", true)));
  }

  /** Whether funnels were saved or deleted since the cards were made. */
  async function isChanged() {
    try {
      const list = await loadFunnels(true);
      return list.map(funnel => funnel.funnel_id).join("\n") !== [...cards.keys()].join("\n");
    } catch {
      return false;
    }
  }

  async function showAlerts() {
    let rules;
    try {
      rules = (await get("/v1/alerts")).alerts;
    } catch {
      // What fires stays on the cards.
      for (const card of cards.values()) card.alertsUnknown();
      return;
    }
    if (gone) return;
    for (const [id, card] of cards) card.alerts(rules.filter(rule => rule.funnel_id === id));
    // A funnel that was saved since the cards were made has no card either.
    showOrphans(rules.filter(rule => rule.state.status === "invalid" && !cards.has(rule.funnel_id)));
  }

  /** Rules that no card shows, since their funnel is deleted. */
  function showOrphans(rules) {
    const key = rules.map(rule => rule.id).join("\n");
    if (orphans.dataset.shown === key) return;
    orphans.dataset.shown = key;
    put(orphans, rules.length > 0 && h("p", { class: "strip warn wrap" }, rules.length === 1 ? "An alert rule watches a funnel that is deleted: "
      : `${rules.length} alert rules watch funnels that are deleted: `, ruleLinks(rules), "."));
  }
}

const ruleLinks = rules => rules.flatMap((rule, i) => [i > 0 && ", ", h("a", { href: href({ page: "alerts", rule: rule.id }) }, rule.id)]);

function makeCard(funnel, days, state) {
  const id = funnel.funnel_id;
  const figure = h("p", { class: "wall-figure" }, "…");
  const change = h("p", { class: "wall-change" });
  const picture = h("div", { class: "wall-line" });
  const alerts = h("p", { class: "wall-alerts" });
  const link = h("a", { href: href(carry({ ...state, funnel: id, def: undefined }, "funnel")) }, name(id));
  const node = h("section", { class: "card wall-card" }, h("h2", {}, link), figure, change, picture, alerts);
  const isInView = () => {
    const { top, bottom } = node.getBoundingClientRect();
    return top < innerHeight && bottom > 0;
  };

  async function ask(annotations) {
    const today = new Date().toISOString().slice(0, 10);
    const query = more => post("/v1/query", { funnel_id: id, end: addDays(today, -1), times: "none", ...more });
    try {
      const now = await query({ start: addDays(today, -days), compare: "previous_period" });
      const trend = await query({ start: addDays(today, -LINE_DAYS), trend: { by: "day" } });
      draw(now, trend.trend.buckets, annotationsOf(id, annotations));
    } catch (error) {
      node.classList.add("wall-bad");
      put(figure, "–");
      put(change, h("span", { class: "wrap" }, error.message));
      put(picture);
    }
  }

  function draw(report, buckets, annotations) {
    node.classList.remove("wall-bad");
    put(figure, percent(report.conversion));
    put(change, report.change && report.change.conversion !== null ? `${points(report.change.conversion)} vs the ${days} days before. ` : "",
      `${number(report.entered)} entered, ${number(report.converted)} converted.`,
      report.change?.immature ? " Not final: users can still convert." : "");
    const places = placed(annotations, buckets.map(({ start }) => Date.parse(start)), buckets.length && periodEnd(buckets.at(-1).start, "day", "UTC"));
    put(picture, line(buckets.map(bucket => bucket.entered ? bucket.steps.at(-1).count / bucket.entered : null),
      `Conversion of each of the last ${LINE_DAYS} days`, { annotations: lineAnnotations(places, "UTC") }));
  }

  function showAlerts(rules) {
    const of = status => rules.filter(rule => rule.state.status === status);
    const [firing, bad] = [of("firing"), of("invalid")];
    const line = (words, list) => list.length > 0 && h("span", { class: "state unreachable" }, words, ruleLinks(list));
    const calm = !firing.length && !bad.length && h("span", { class: "state ready" }, of("pending").length ? "Pending" : "No alert");
    node.classList.toggle("wall-firing", firing.length > 0);
    put(alerts, rules.length > 0 && [line("Firing: ", firing), line("Not evaluated: ", bad), calm,
      h("a", { href: href({ page: "alerts" }) }, plural(rules.length, "alert rule"))]);
  }
  function alertsUnknown() {
    if (!alerts.querySelector(".unknown")) alerts.append(h("span", { class: "unknown" }, " Alerts can't be read now."));
  }
  return { node, ask, isInView, alerts: showAlerts, alertsUnknown };
}
