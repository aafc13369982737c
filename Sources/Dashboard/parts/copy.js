import { say } from "./announce.js";
import { dialog } from "./dialog.js";
import { h } from "./dom.js";

/** Copies the page's address. If the browser refuses that, for example without TLS, shows it in a dialog. */
export async function copyLink({ target }) {
  try {
    await navigator.clipboard.writeText(location.href);
    const label = target.textContent;
    target.textContent = "Copied";
    setTimeout(() => { target.textContent = label; }, 2000);
    say("Link copied");
  } catch {
    const box = h("input", { type: "text", readonly: true, value: location.href, "aria-label": "Link" });
    dialog("Copy this link").body.append(box);
    box.select();
    box.focus();
  }
}
