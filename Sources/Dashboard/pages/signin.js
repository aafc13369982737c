import { signIn } from "../api/session.js";
import { h, put } from "../parts/dom.js";
import { field } from "../parts/field.js";

/** Asks for a key and sends it to the server once. The page does not store it. */
export function signInPage(main, done) {
  document.title = "Sign in · Sluice";
  const key = h("input", { type: "password", name: "key", required: true, autocomplete: "current-password", spellcheck: "false" });
  const fault = h("p", { class: "fault", role: "alert" });
  const form = h("form", { class: "card sign-in", onsubmit: submit },
    h("h1", {}, "Sign in"),
    h("p", { class: "muted" }, "Enter an API key of your project. A read key shows all reports; saving funnels needs an admin key."),
    field("API key", key), fault, h("button", { class: "button primary", type: "submit" }, "Sign in"));

  async function submit(event) {
    event.preventDefault();
    const given = key.value.trim();
    if (!given) return;
    fault.textContent = "";
    try {
      await signIn(given);
      key.value = "";
      done();
    } catch (error) {
      fault.textContent = error.status === 401 || error.status === 403
        ? "Unknown key, or one without read access. Write keys can't sign in." : error.message;
      key.select();
    }
  }

  main.removeAttribute("aria-busy");
  put(main, form);
  key.focus();
}
