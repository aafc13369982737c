import { get } from "../api/fetch.js";
import { card } from "../parts/card.js";
import { count, moment, time } from "../parts/columns.js";
import { h, name, put } from "../parts/dom.js";
import { number, plural, span } from "../parts/format.js";
import { table } from "../parts/table.js";
import { poll } from "./poll.js";

export const bar = [];
export const title = () => "Status";

const EVERY = 2000;

/** The state of the shards and the coordinator. */
export const show = main => poll(main, EVERY, () => get("/v1/status"), make);

function make() {
  const figures = h("dl", { class: "figures" });
  const state = h("p", { class: "muted", role: "status" });
  const shards = table("State of each shard", [
    count("Shard", row => row.id), { label: "State", cell: row => h("span", { class: `state ${row.state}` }, row.state) },
    count("Events", row => row.events), count("Users", row => row.users), count("Files", row => row.segments),
    count("In memory", row => row.unsealed_events), time("Age of newest event", row => row.lag_seconds),
    moment("Newest event", row => row.newest_event, "UTC"),
    { label: "Address", cell: row => h("code", {}, row.address) }, { label: "Problem", cell: row => row.problem ? name(row.problem) : "–" },
  ]);
  const warnings = h("div", { role: "status" });
  const foot = h("p", { class: "fine" });
  const head = h("header", { class: "page-head" }, h("div", {}, h("h1", {}, "Status"), state));
  const node = h("div", { class: "page" }, head, warnings, figures, card("Shards", [], shards.node), foot);
  const figure = (label, value, note) => h("div", { class: "figure" },
    h("dt", {}, label), h("dd", { class: "figure-value" }, value), h("dd", { class: "figure-note" }, note));

  function update(status) {
    const sum = key => status.shards.reduce((all, shard) => all + (shard[key] ?? 0), 0);
    const away = status.shards.filter(shard => shard.state !== "ready");
    const lags = status.shards.map(shard => shard.lag_seconds).filter(lag => lag !== null && lag !== undefined);
    const text = away.length
      ? `${away.length} of ${plural(status.shards.length, "shard")} can't be reached. Queries are incomplete or fail.`
      : "All shards are up.";
    if (state.textContent !== text) state.textContent = text;
    put(figures, figure("Events", number(sum("events")), `${number(sum("unsealed_events"))} in memory, not yet in a file`),
      figure("Users", number(sum("users")), "each on one shard"),
      figure("Age of newest event", span(lags.length ? Math.min(...lags) : null), "by its timestamp"),
      figure("Queries", number(status.queries.running), `running; ${number(status.queries.waiting)} waiting`),
      figure("Uptime", span(Math.round(status.uptime_seconds)), "of the coordinator"));
    put(warnings, ...(status.warnings ?? []).map(text => h("p", { class: "notice warn" }, text)));
    shards.update(status.shards.map(shard => ({ ...shard, kind: shard.state === "ready" ? null : "bad-row" })));
    foot.textContent = `Version ${status.version} · cluster ${status.cluster_id} · map epoch ${number(status.map_epoch)} · times in UTC`;
  }
  return { node, update };
}
