import { say } from "../parts/announce.js";
import { confirm } from "../parts/dialog.js";
import { Problem, call } from "./fetch.js";

/** What is saved by id. `kind` is the path's: `alerts`, `channels`, `reports` or `cohorts`. */
export const address = (kind, id, action = "") => `/v1/${kind}/${encodeURIComponent(id)}${action}`;

/** `{data, tag}`; the tag is the revision that `save` must name. */
export const load = (kind, id) => call(address(kind, id));

/** @param tag the revision that was seen; null if it is new */
export async function save(kind, id, body, tag) {
  // Another id can be another path.
  if (!/^[\w.-]+$/.test(id)) {
    const reason = id ? "has other characters than letters, digits, - _ and dot" : "is required";
    throw new Problem(422, { title: "invalid query", detail: `id: ${reason}`, errors: [{ field: "id", reason }] });
  }
  return call(address(kind, id), { method: "PUT", body, headers: tag === null ? { "if-none-match": "*" } : { "if-match": tag } });
}

/** Deletes after a question. @param noun for the question, such as `channel` */
export async function removeAfterAsking(kind, id, noun, text) {
  if (!await confirm(`Delete the ${noun} ${id}?`, text, [["delete", "Delete", "danger"]])) return;
  try {
    await call(address(kind, id), { method: "DELETE" });
    say(`${id} is deleted`);
  } catch (error) {
    say(`Not deleted: ${error.message}`);
  }
}
