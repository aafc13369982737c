import { roleText, session, signOut } from "../api/session.js";
import { button, h, put } from "../parts/dom.js";
import { select } from "../parts/field.js";
import { carry, href } from "../state/url.js";
import { drawBar } from "./filter-bar.js";

const PAGES = [
  ["overview", "Overview"], ["funnel", "Funnel"], ["trends", "Trends"], ["times", "Time to convert"], ["paths", "Paths"], ["experiments", "Experiments"],
  ["users", "Find a user"], ["alerts", "Alerts"], ["channels", "Channels"], ["incoming", "Incoming"], ["status", "Status"],
];

/** Created once, so that they keep the focus. */
const links = new Map(PAGES.map(([page, label]) => [page, h("a", {}, label)]));
const more = h("a", { class: "button", href: href({ page: "edit" }) }, "New funnel");
const out = button("Sign out", leave, { class: "button plain" });
const who = h("p", { class: "fine who" });

function draw(nav) {
  put(nav, h("ul", {}, [...links.values()].map(link => h("li", {}, link))));
  put(document.getElementById("side-end"), more, themePicker(), who, out);
}

/** Draws what surrounds every page: navigation, filter bar, theme and session. @param state null if nobody is signed in */
export function drawShell(state, bar) {
  const nav = document.getElementById("nav");
  if (!nav.firstElementChild) draw(nav);
  nav.hidden = more.hidden = !state;
  who.hidden = out.hidden = !(session.signed_in && session.keys_needed);
  who.textContent = [session.project !== null && `Project ${session.project}`, roleText()].filter(Boolean).join(" · ");
  for (const [page, link] of links) {
    if (state) link.href = href(carry(state, page));
    if (page === state?.page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // On narrow screens the navigation scrolls sideways.
  const here = nav.querySelector("[aria-current]");
  if (here) nav.scrollLeft = here.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
  drawBar(document.getElementById("bar"), state, bar ?? []);
}

async function leave() {
  await signOut();
  location.assign("/");
}

function themePicker() {
  const root = document.documentElement;
  return h("div", { class: "theme" }, select([["", "System theme"], ["light", "Light"], ["dark", "Dark"]], root.dataset.theme ?? "", theme => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    try {
      if (theme) localStorage.setItem("theme", theme);
      else localStorage.removeItem("theme");
    } catch { /* the choice then lasts until the page is closed */ }
    dispatchEvent(new Event("themechange"));
  }, { "aria-label": "Theme", class: "quiet" }));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
