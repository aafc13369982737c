import { onSignedOut } from "./api/fetch.js";
import { loadSession, mayRead, session } from "./api/session.js";
import { say } from "./parts/announce.js";
import { put } from "./parts/dom.js";
import { failed } from "./parts/states.js";
import { startTips } from "./parts/tip.js";
import { loadFunnels } from "./state/funnels.js";
import { stringify } from "./state/json.js";
import { note, onChange, read } from "./state/url.js";
import { drawShell } from "./pages/shell.js";
import { signInPage } from "./pages/signin.js";

/** The modules of the pages, loaded on first use. */
const pages = {
  funnel: () => import("./pages/funnel.js"), edit: () => import("./pages/edit.js"), trends: () => import("./pages/trends.js"),
  times: () => import("./pages/times.js"), paths: () => import("./pages/paths.js"), experiments: () => import("./pages/experiments.js"),
  users: () => import("./pages/users.js"), overview: () => import("./pages/overview.js"), alerts: () => import("./pages/alerts.js"),
  channels: () => import("./pages/channels.js"), incoming: () => import("./pages/incoming.js"), status: () => import("./pages/status.js"),
};
/** Pages that are about no single funnel, or about a new one. */
const NO_FUNNEL = new Set(["edit", "overview", "alerts", "channels", "incoming", "status"]);
const main = document.getElementById("main");
let current = null;
let turn = 0;

function stop() {
  current?.stop?.();
  current = null;
}

async function show(state) {
  const mine = ++turn;
  if (!mayRead()) {
    stop();
    drawShell(null);
    signInPage(main, start);
    return;
  }
  try {
    const funnels = await loadFunnels();
    if (mine !== turn) return;
    if (!state.funnel && !state.def && funnels.length && !NO_FUNNEL.has(state.page)) {
      state = { ...state, funnel: (funnels.find(funnel => funnel.default) ?? funnels[0]).funnel_id };
      note(state);
    }
    const page = await (pages[state.page] ?? pages.funnel)();
    if (mine !== turn) return;
    drawShell(state, page.bar);
    const key = page.key?.(state) ?? stringify(state);
    if (current?.page === page && current.key === key) {
      current.update?.(state);
      return;
    }
    const sameWhat = current?.page === page;
    stop();
    if (!sameWhat) {
      main.replaceChildren();
      scrollTo(0, 0);
      if (turn > 1) say(page.title(state));
    }
    document.title = `${page.title(state)} · Sluice`;
    current = { page, key, ...page.show(main, state) };
  } catch (error) {
    if (mine !== turn) return;
    stop();
    put(main, failed(error, () => show(read())));
  }
}

async function start() {
  // Loads the page's modules in parallel with the session.
  (pages[read().page] ?? pages.funnel)().catch(() => {});
  try {
    await loadSession();
  } catch (error) {
    put(main, failed(error, start));
    return;
  }
  await show(read());
}

onChange(show);
addEventListener("noted", () => { if (current) drawShell(read(), current.page.bar); });
onSignedOut(() => { if (session.signed_in) loadSession().then(() => { if (!mayRead()) show(read()); }, () => {}); });
startTips();
start();
