import { load, save } from "../api/saved.js";
import { say } from "../parts/announce.js";
import { dialog } from "../parts/dialog.js";
import { button, h, put } from "../parts/dom.js";
import { placeFaults } from "../parts/field-faults.js";
import { checkbox, field, input, select } from "../parts/field.js";
import { failed } from "../parts/states.js";

export const KINDS = { webhook: "Webhook", slack: "Slack or compatible", alertmanager: "Alertmanager", email: "E-mail", file: "File" };

const HINTS = {
  webhook: "Each notice is sent as JSON.",
  slack: "Slack, Mattermost, Rocket.Chat, and Discord with /slack at the end of the URL.",
  alertmanager: "Alerts are sent again each minute while they fire.",
  email: "The coordinator needs the settings --sendmail and --mail-from.",
  file: "A line of JSON for each notice. The coordinator needs the setting --notice-directory.",
};

/** Where a channel leads, without its secrets. */
export function receiver({ kind, settings }) {
  if (kind === "webhook" || kind === "slack") return `to ${settings.host}`;
  if (kind === "alertmanager") return `at ${settings.url}`;
  return kind === "email" ? `to ${settings.to.join(", ")}` : settings.file ?? "";
}

/**
 * Makes or changes a channel in a dialog.
 * @param channel null: a new one
 * @param done runs after it is saved
 */
export async function editChannel(channel, done) {
  const box = dialog(channel ? `Channel ${channel.id}` : "New channel", { side: true });
  let tag = null;
  try {
    if (channel) ({ data: channel, tag } = await load("channels", channel.id));
  } catch (error) {
    put(box.body, failed(error));
    return;
  }
  const draft = { id: channel?.id ?? "", kind: channel?.kind ?? "webhook", texts: textsOf(channel), dropped: new Set() };
  const form = h("form", { class: "alert-form", novalidate: true, onsubmit: submit });
  const fields = h("div", { class: "alert-form" });
  const fault = h("div", {});
  const kind = select(Object.entries(KINDS), draft.kind, change, { "data-field": "kind" });
  put(form, !channel && field("Id", input("", value => { draft.id = value.trim(); }, { "data-field": "id" }), { hint: "Letters, digits, - _ and dot. Rules and reports name it." }),
    field("Kind", kind), fields, fault,
    h("div", { class: "actions" }, h("button", { type: "submit", class: "button primary" }, "Save"), button("Cancel", box.close)));
  put(box.body, form);
  drawFields();

  function change(next) {
    draft.kind = next;
    drawFields();
  }

  /** The fields of the chosen kind. */
  function drawFields() {
    const saved = channel?.kind === draft.kind ? channel.settings.secrets ?? [] : [];
    const text = (key, label, hint, props) => field(label,
      input(draft.texts[key], value => { draft.texts[key] = value.trim(); }, { "data-field": key, ...props }), { hint });
    /** A text that the API never shows. */
    const secret = (key, label, hint, props) => text(key, label, saved.includes(key) ? "Saved, and not shown. Leave it empty to keep it." : hint, props);
    const optional = (key, label, hint) => [secret(key, label, hint, { type: "password", autocomplete: "new-password" }),
      saved.includes(key) && checkbox(`Remove the saved ${label.toLowerCase()}`, draft.dropped.has(key), on => draft.dropped[on ? "add" : "delete"](key))];
    const url = { inputmode: "url", placeholder: "https://", class: "long" };
    put(fields, h("p", { class: "fine" }, HINTS[draft.kind]), {
      webhook: () => [secret("url", "URL", "", url), optional("secret", "Secret", "Signs each request. 16 to 1,024 bytes; empty: not signed.")],
      slack: () => secret("url", "URL", "The incoming webhook", url),
      alertmanager: () => [text("url", "URL", "Without /api/v2/alerts", { ...url, placeholder: "http://alertmanager:9093" }),
        optional("authorization", "Authorization", "The header's value, such as Bearer …; empty: none")],
      email: () => text("to", "Addresses", "Separated by commas", { inputmode: "email", class: "long" }),
      file: () => text("file", "File", "Its name in the directory that the operator chose"),
    }[draft.kind]());
  }

  async function submit(event) {
    event.preventDefault();
    put(fault);
    try {
      await save("channels", draft.id, { id: draft.id, kind: draft.kind, settings: settingsOf(draft) }, tag);
      box.close();
      say(`${draft.id} is saved`);
      done();
    } catch (error) {
      const rest = placeFaults(form, error);
      if (rest) put(fault, failed(rest, null, { title: "The channel is not saved" }));
      form.querySelector("[aria-invalid]")?.focus();
    }
  }
}

/** The texts of the form, by field. Secrets are empty. */
function textsOf(channel) {
  const { url = "", to = [], file = "" } = channel?.settings ?? {};
  return { url, to: to.join(", "), file, secret: "", authorization: "" };
}

const FIELDS = { webhook: ["url", "secret"], slack: ["url"], alertmanager: ["url", "authorization"], file: ["file"] };

/** The settings to save. A secret that is left out stays as it is; null removes it. */
function settingsOf({ kind, texts, dropped }) {
  if (kind === "email") return { to: texts.to.split(/[\s,;]+/).filter(Boolean) };
  const given = FIELDS[kind].map(key => [key, texts[key] || (dropped.has(key) ? null : undefined)]);
  return Object.fromEntries(given);
}
