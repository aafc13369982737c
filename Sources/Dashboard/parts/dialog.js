import { button, h, iconButton, newID } from "./dom.js";

/**
 * A modal dialog. When it closes, the focus returns to where it was.
 * @returns `{node, body, close}`
 */
export function dialog(title, { side = false, onclose } = {}) {
  const id = newID("dialog");
  const body = h("div", { class: "dialog-body" });
  const before = document.activeElement;
  const node = h("dialog", { class: side ? "dialog side-panel" : "dialog", "aria-labelledby": id },
    h("div", { class: "dialog-head" }, h("h2", { id, tabindex: "-1" }, title),
      iconButton("close", "Close", () => node.close())), body);
  node.addEventListener("close", () => {
    node.remove();
    if (before?.isConnected) before.focus();
    onclose?.();
  });
  node.addEventListener("pointerdown", event => { if (event.target === node) node.close(); });
  document.body.append(node);
  node.showModal();
  node.querySelector("h2").focus();
  return { node, body, close: () => node.close() };
}

/** Asks a question. @returns the key of the chosen action; null if cancelled */
export function confirm(title, text, actions) {
  return new Promise(resolve => {
    let answer = null;
    const box = dialog(title, { onclose: () => resolve(answer) });
    const choose = key => () => { answer = key; box.close(); };
    box.body.append(h("p", {}, text), h("div", { class: "actions" },
      actions.map(([key, label, kind]) => button(label, choose(key), { class: `button ${kind ?? ""}` })),
      button("Cancel", () => box.close())));
  });
}

/** Tabs that arrow keys move through. @param list `[key, label]` */
export function tabs(label, list, chosen, onchoose) {
  const nodes = list.map(([key, text]) => h("button", {
    type: "button", role: "tab", id: newID("tab"), "data-key": key, "aria-selected": String(key === chosen), tabindex: key === chosen ? "0" : "-1",
    onclick: () => choose(key),
  }, text));
  const node = h("div", { class: "tabs", role: "tablist", "aria-label": label, onkeydown: move }, nodes);

  function choose(key) {
    for (const tab of nodes) {
      const on = tab.dataset.key === key;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
    }
    onchoose(key);
  }

  function move(event) {
    const at = nodes.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: nodes.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const tab = nodes[(to + nodes.length) % nodes.length];
    tab.focus();
    choose(tab.dataset.key);
  }
  return node;
}
