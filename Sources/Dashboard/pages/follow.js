import { live } from "../api/live.js";
import { whileAwaited, whileIncomplete } from "../api/shards.js";
import { h } from "../parts/dom.js";
import { clock, shardsText } from "../parts/format.js";
import { staleNotice } from "../parts/states.js";
import { withRowNames } from "../state/query.js";
import { zoneOf } from "../state/range.js";
import { patch } from "../state/url.js";
import { liveMark } from "./live-mark.js";

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
  let stopLive = null;
  let stopAwaited = null;
  let stopSeeking = null;
  let asOf = null;
  let since = null;
  let cause = null;
  let notice = null;
  start();
  return { mark: mark.node, start, stop };

  function start() {
    stopLive?.();
    stopAwaited?.();
    stopAwaited = asOf ? null : sayAwaited(place);
    stopLive = live(body(), { report: take, problem, status });
  }

  function take(answer) {
    const { exact } = answer.completeness;
    stopAwaited?.();
    asOf = answer.as_of;
    seek(!exact);
    mark.set(exact ? "live" : "partial");
    on.report(withRowNames(answer));
  }

  function problem(error) {
    stopAwaited?.();
    seek(error.shards.length > 0);
    if (asOf) cause = error;
    else on.fault(error);
  }

  function status(word) {
    // A new try does not make what is shown older or newer.
    if (word === "connecting" && asOf) return;
    const isStill = Boolean(asOf) && STILL.has(word);
    if (isStill) since ??= Date.now();
    else [since, cause] = [null, null];
    mark.set(word, since && clock(since, zone));
    place.classList.toggle("is-stale", isStill);
    tell(isStill);
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

  /** The server takes its time to ask a shard again that did not answer; here somebody waits. */
  function seek(isWanted) {
    if (isWanted === Boolean(stopSeeking)) return;
    stopSeeking?.();
    stopSeeking = isWanted ? whileIncomplete(start) : null;
  }

  function stop() {
    stopLive?.();
    stopAwaited?.();
    stopSeeking?.();
    place.classList.remove("is-stale");
  }
}
