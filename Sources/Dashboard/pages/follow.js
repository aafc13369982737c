import { post } from "../api/fetch.js";
import { live } from "../api/live.js";
import { whileAwaited, whileIncomplete } from "../api/shards.js";
import { h } from "../parts/dom.js";
import { clock, shardsText } from "../parts/format.js";
import { staleNotice } from "../parts/states.js";
import { withRowNames } from "../state/query.js";
import { zoneOf } from "../state/range.js";
import { patch } from "../state/url.js";
import { liveMark } from "./live-mark.js";

/** Milliseconds without a connection after which its numbers count as stale. */
const PATIENCE = 2000;
/** The status words of a stream that does not update. */
const STILL = new Set(["stale", "reconnecting", "failed"]);

/** If a query takes long, says above a place which shards it waits for. @returns a function that ends that */
export function sayAwaited(place) {
  const line = h("p", { class: "strip awaited", role: "status" });
  const stop = whileAwaited(shards => {
    line.textContent = shards.length
      ? `Waiting for ${shardsText(shards)}, which ${shards.length === 1 ? "does" : "do"} not answer.` : "Still calculating.";
    if (!line.isConnected) place.prepend(line);
  });
  return () => {
    stop();
    line.remove();
  };
}

/**
 * Follows the report of a query, and says whether its numbers are live, since when they are stale, and which shards it waits for.
 * The last report stays visible until the next one comes.
 * @param place the node that contains the report
 * @param body returns the query
 * @param on `report(answer)`; `fault(error)` if there is no report yet
 */
export function follow(place, state, body, on) {
  const zone = zoneOf(state);
  const mark = liveMark();
  let controller = null;
  let stopLive = null;
  let stopAwaited = null;
  let stopSeeking = null;
  // When the shown numbers were calculated.
  let asOf = null;
  // The shards are back and were asked directly. The stream is older until it has asked them, too.
  let isAhead = false;
  let since = null;
  let doubt = null;
  let cause = null;
  let notice = null;
  // Whether the reader has opened the notice's details.
  let isOpen = false;
  start();
  return { mark: mark.node, start, stop };

  function start() {
    controller?.abort();
    controller = new AbortController();
    cause = null;
    stopLive?.();
    stopAwaited?.();
    stopAwaited = asOf ? null : sayAwaited(place);
    stopLive = live(body(), { report: receive, problem, status: word => { if (!isAhead || !STILL.has(word)) status(word); } });
  }

  function receive(answer) {
    if (isAhead && Date.parse(answer.as_of) <= Date.parse(asOf)) return;
    isAhead = false;
    seek(!answer.completeness.exact);
    show(answer);
  }

  function show(answer) {
    stopAwaited?.();
    asOf = answer.as_of;
    mark.set(answer.completeness.exact ? "live" : "partial");
    on.report(withRowNames(answer));
  }

  function problem(error) {
    if (isAhead) return;
    stopAwaited?.();
    seek(error.shards.length > 0);
    // Repeated every few seconds. Unchanged nodes stay, and keep the focus.
    if (!asOf && error.message !== cause?.message) on.fault(error);
    cause = error;
  }

  function status(word) {
    // A new attempt to connect does not change the age of the shown numbers.
    if (word === "connecting" && asOf) return;
    if (word === "reconnecting" && asOf && !cause && since === null) return lose();
    clearTimeout(doubt);
    doubt = null;
    const isStill = Boolean(asOf) && STILL.has(word);
    if (isStill) since ??= Date.now();
    else if (word === "live") [since, cause] = [null, null];
    mark.set(word, isStill && clock(since, zone));
    place.classList.toggle("is-stale", isStill);
    showNotice(isStill);
  }

  /** Waits before the numbers count as stale: most lost connections are back at once. */
  function lose() {
    const at = Date.now();
    mark.set("reconnecting");
    doubt ??= setTimeout(() => {
      doubt = null;
      since = at;
      status("reconnecting");
    }, PATIENCE);
  }

  function showNotice(isStill) {
    const key = isStill ? cause?.message ?? "" : null;
    if (notice?.isConnected && notice.dataset.key === key) return;
    const opened = notice?.querySelector("details");
    if (opened) isOpen = opened.open;
    notice?.remove();
    notice = null;
    if (!isStill) return;
    notice = staleNotice(cause, asOf, zone, start, () => patch({ partial: "1" }));
    // A server that comes and goes, or a message that changes, does not close what was opened.
    notice.querySelector("details")?.toggleAttribute("open", isOpen);
    notice.dataset.key = key;
    place.prepend(notice);
  }

  /** Polls until missing shards are back. The stream itself can take 20 s to ask a hung shard again. */
  function seek(isWanted) {
    if (isWanted === Boolean(stopSeeking)) return;
    stopSeeking?.();
    stopSeeking = isWanted ? whileIncomplete(ask, () => { isAhead = false; }) : null;
  }

  async function ask() {
    const { signal } = controller;
    const answer = await post("/v1/query", body(), signal).catch(() => null);
    if (signal.aborted || !answer?.completeness.exact || !stopSeeking) return;
    isAhead = true;
    status("live");
    show(answer);
  }

  function stop() {
    controller.abort();
    stopLive?.();
    stopAwaited?.();
    stopSeeking?.();
    clearTimeout(doubt);
    place.classList.remove("is-stale");
  }
}
