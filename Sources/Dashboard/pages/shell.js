import { session, signOut } from "../api/session.js";
import { button, h, put } from "../parts/dom.js";
import { select } from "../parts/field.js";
import { carry, href } from "../state/url.js";
import { drawBar } from "./bar.js";

const PAGES = [
  ["funnel", "Funnel"], ["trends", "Trends"], ["times", "Time to convert"], ["paths", "Paths"], ["experiments", "Experiments"],
  ["users", "Users"], ["status", "Status"],
];

/** What surrounds every page: navigation, the bar of what is shown, theme and session. Null: nobody is signed in. */
export function drawShell(state, bar) {
  const nav = document.getElementById("nav");
  put(nav, state && h("ul", {}, PAGES.map(([page, label]) => h("li", {},
    h("a", { href: href(carry(state, page)), "aria-current": page === state.page ? "page" : null }, label)))));
  put(document.getElementById("side-end"),
    state && h("a", { class: "button", href: href({ page: "edit" }) }, "New funnel"),
    themePicker(), session.signed_in && session.keys_needed && button("Sign out", leave, { class: "button plain" }));
  // On narrow screens the navigation scrolls sideways.
  const here = nav.querySelector("[aria-current]");
  if (here) nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
  drawBar(document.getElementById("bar"), state, bar ?? []);
}

async function leave() {
  await signOut();
  location.assign("/");
}

let picker = null;

function themePicker() {
  const root = document.documentElement;
  picker ??= h("div", { class: "theme" }, select([["", "System theme"], ["light", "Light"], ["dark", "Dark"]], root.dataset.theme ?? "", theme => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    try {
      if (theme) localStorage.setItem("theme", theme);
      else localStorage.removeItem("theme");
    } catch { /* then it lasts until the page is closed */ }
    dispatchEvent(new Event("themechange"));
  }, { "aria-label": "Theme", class: "quiet" }));
  return picker;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
