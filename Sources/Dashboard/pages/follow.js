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

/** How long a connection may be lost before its numbers count as stale. */
const PATIENCE = 2000;
/** What a stream says when its numbers stand still. */
const STILL = new Set(["stale", "reconnecting", "failed"]);

/** Says above a place who is waited for, once that takes long. @returns a function that ends it */
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
 * Follows the report of a query, and says how far its numbers can be trusted: whether they are live, since when they stand
 * still, who is awaited. What is shown stays when there is no news.
 * @param place the node that holds the report
 * @param body returns the query
 * @param on `report(answer)`, and `fault(error)` where there is no report to keep
 */
export function follow(place, state, body, on) {
  const zone = zoneOf(state);
  const mark = liveMark();
  let controller = null;
  let stopLive = null;
  let stopAwaited = null;
  let stopSeeking = null;
  // The instant of what is shown.
  let asOf = null;
  // The shards are back and were asked; what the stream says is older until it has asked them, too.
  let isAhead = false;
  let since = null;
  let doubt = null;
  let cause = null;
  let notice = null;
  start();
  return { mark: mark.node, start, stop };

  function start() {
    controller?.abort();
    controller = new AbortController();
    cause = null;
    stopLive?.();
    stopAwaited?.();
    stopAwaited = asOf ? null : sayAwaited(place);
    stopLive = live(body(), { report: told, problem, status: word => { if (!isAhead || !STILL.has(word)) status(word); } });
  }

  function told(answer) {
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
    // Reported every few seconds; unchanged parts stay, and keep the focus.
    if (!asOf && error.message !== cause?.message) on.fault(error);
    cause = error;
  }

  function status(word) {
    // A new try does not make what is shown older or newer.
    if (word === "connecting" && asOf) return;
    if (word === "reconnecting" && asOf && !cause && since === null) return lose();
    clearTimeout(doubt);
    doubt = null;
    const isStill = Boolean(asOf) && STILL.has(word);
    if (isStill) since ??= Date.now();
    else if (word === "live") [since, cause] = [null, null];
    mark.set(word, isStill && clock(since, zone));
    place.classList.toggle("is-stale", isStill);
    tell(isStill);
  }

  /** Most connections that end are there again at once. */
  function lose() {
    const at = Date.now();
    mark.set("reconnecting");
    doubt ??= setTimeout(() => {
      doubt = null;
      since = at;
      status("reconnecting");
    }, PATIENCE);
  }

  function tell(isStill) {
    const key = isStill ? cause?.message ?? "" : null;
    if (notice?.isConnected && notice.dataset.key === key) return;
    notice?.remove();
    notice = null;
    if (!isStill) return;
    notice = staleNotice(cause, asOf, zone, start, () => patch({ partial: "1" }));
    notice.dataset.key = key;
    place.prepend(notice);
  }

  /** A stream takes up to twenty seconds to ask a shard again that hung; here somebody waits. */
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
