import { h } from "./dom.js";

/** The tooltip for hover and focus: details of a part of a chart, or the whole of a cut name. Escape closes it. */
const makers = new WeakMap();
let panel = null;
let owner = null;
let hiding = null;

/** @param make returns the panel's content, or null for none */
export function tip(node, make) {
  makers.set(node, make);
  node.setAttribute("data-tip", "");
  return node;
}

function wanted(target, isFocus) {
  const cut = target.closest?.(".name") ?? (isFocus ? target.querySelector?.(".name") : null);
  const marked = target.closest?.("[data-tip]");
  if (marked) return [marked, makers.get(marked)];
  const isCut = cut && (cut.scrollWidth > cut.clientWidth + 1 || cut.scrollHeight > cut.clientHeight + 3);
  return isCut ? [cut, () => h("bdi", { dir: "auto", class: "tip-name" }, cut.textContent)] : null;
}

function open(target, isFocus) {
  const found = wanted(target, isFocus);
  if (!found || !found[1]) return;
  clearTimeout(hiding);
  if (owner === found[0]) return;
  close();
  const content = found[1]();
  if (!content) return;
  owner = found[0];
  panel.replaceChildren(content);
  // A popover is above an open dialog, too.
  panel.showPopover();
  owner.setAttribute("aria-describedby", panel.id);
  place();
}

/** Places the panel next to its owner, inside the window. */
function place() {
  const box = owner.getBoundingClientRect();
  const size = panel.getBoundingClientRect();
  const gap = 8;
  const left = Math.min(Math.max(gap, box.left + box.width / 2 - size.width / 2), innerWidth - size.width - gap);
  const above = box.top - size.height - gap;
  const below = box.bottom + gap;
  const top = above >= gap ? above : below + size.height <= innerHeight ? below : Math.max(gap, innerHeight - size.height - gap);
  panel.style.left = `${Math.max(gap, left)}px`;
  panel.style.top = `${top}px`;
}

export function close() {
  clearTimeout(hiding);
  if (!owner) return;
  owner.removeAttribute("aria-describedby");
  owner = null;
  panel.hidePopover();
}

/** Updates an open tooltip after its content or its owner's place changed. */
export function refreshTip(node) {
  if (owner !== node) return;
  const content = makers.get(node)?.();
  if (!content) return close();
  panel.replaceChildren(content);
  place();
}

export function startTips() {
  panel = h("div", { class: "tip", role: "tooltip", id: "tip", popover: "manual" });
  document.body.append(panel);
  const leave = () => { clearTimeout(hiding); hiding = setTimeout(close, 150); };
  document.addEventListener("pointerover", event => {
    if (panel.contains(event.target)) clearTimeout(hiding);
    else if (wanted(event.target)) open(event.target);
    else if (owner && !owner.contains(event.target) && owner !== document.activeElement) leave();
  });
  document.addEventListener("focusin", event => { if (event.target.matches(":focus-visible")) open(event.target, true); });
  document.addEventListener("focusout", close);
  document.addEventListener("keydown", event => { if (event.key === "Escape") close(); });
  document.addEventListener("scroll", event => {
    if (!owner || panel.contains(event.target)) return;
    const { top, bottom } = owner.getBoundingClientRect();
    if (bottom < 0 || top > innerHeight) close();
    else place();
  }, true);
}
