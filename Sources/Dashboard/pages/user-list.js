import { post } from "../api/fetch.js";
import { button, h, name, put } from "../parts/dom.js";
import { downloadCSV, fileName } from "../parts/export.js";
import { number } from "../parts/format.js";
import { say } from "../parts/announce.js";
import { failed } from "../parts/states.js";
import { typed } from "../parts/value.js";
import { carry, href } from "../state/url.js";

const PAGE = 50;

/**
 * A list of user ids in pages. Each links to the events of that user.
 * @param more `file`, the name of the CSV file; `total`, the number of users, null if unknown; `signal`, which aborts the list
 */
export function userList(body, state, { file, total, signal }) {
  const list = h("ol", { class: "user-list" });
  const note = h("p", { class: "fine" });
  const back = button("Previous", () => turn(-1), { disabled: true });
  const forth = button("Next", () => turn(1), { disabled: true });
  const all = button("CSV", exportAll, { class: "button csv", "aria-label": "Download the whole list as CSV" });
  const node = h("div", { class: "user-list-box" }, list, note, h("div", { class: "actions" }, back, forth, all));
  // The `after` of each page.
  const starts = [null];
  let at = 0;
  load();

  function turn(by) {
    at += by;
    load();
  }

  async function load() {
    node.setAttribute("aria-busy", "true");
    try {
      const { users, next } = await post("/v1/query/users", { ...body, limit: PAGE, ...(starts[at] === null ? {} : { after: starts[at] }) }, signal);
      starts[at + 1] = next ?? undefined;
      list.start = at * PAGE + 1;
      put(list, users.map(id => h("li", {}, h("a", { href: href(carry(state, "users", { user: id })) }, name(typed(id))))));
      note.textContent = users.length ? extent(users.length) : "No users.";
      [back.disabled, forth.disabled] = [false, false];
      // A button that is disabled while it has the focus loses it.
      if (back === document.activeElement && at === 0) forth.focus();
      if (forth === document.activeElement && next === null) back.focus();
      [back.disabled, forth.disabled] = [at === 0, next === null];
    } catch (error) {
      if (error.name !== "AbortError") put(node, failed(error));
    } finally {
      node.removeAttribute("aria-busy");
    }
  }

  function extent(shown) {
    const of = total === null ? "" : ` of ${number(total)}`;
    return `${number(at * PAGE + 1)}–${number(at * PAGE + shown)}${of}`;
  }

  async function exportAll() {
    if (all.ariaBusy === "true") return;
    all.ariaBusy = "true";
    try {
      const rows = [["user_id"]];
      let after = null;
      do {
        const page = await post("/v1/query/users", { ...body, limit: 10_000, ...(after === null ? {} : { after }) }, signal);
        rows.push(...page.users.map(id => [id]));
        after = page.next;
        all.textContent = after ? number(rows.length) : "CSV";
      } while (after !== null);
      downloadCSV(rows, fileName(state.funnel ?? "funnel", file));
      say(`${number(rows.length - 1)} users downloaded`);
    } catch (error) {
      if (error.name !== "AbortError") note.textContent = error.message;
    } finally {
      all.ariaBusy = "false";
      all.textContent = "CSV";
    }
  }
  return node;
}
