import { failed, ready, wait } from "../parts/states.js";

/**
 * Draws a page and updates it every few seconds while it is visible.
 * @param ask returns a promise of what `update` takes
 * @param make makes the page: `{node, update(answer)}`; called with a function that asks again at once
 */
export function poll(main, every, ask, make) {
  let timer = null;
  let gone = false;
  let view = null;
  wait(main, "table");
  look();
  return { stop() { gone = true; clearTimeout(timer); } };

  async function look() {
    clearTimeout(timer);
    try {
      if (!document.hidden) {
        const answer = await ask();
        if (gone) return;
        if (!view || !main.contains(view.node)) {
          view = make(look);
          ready(main, view.node);
        }
        view.update(answer);
      }
    } catch (error) {
      if (gone) return;
      view = null;
      if (!main.querySelector(".notice.bad")) ready(main, failed(error, look));
    }
    clearTimeout(timer);
    timer = setTimeout(look, every);
  }
}
