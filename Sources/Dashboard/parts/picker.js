import { get, getKept } from "../api/fetch.js";
import { h, name, newID, put } from "./dom.js";
import { number } from "./format.js";

const SHOWN = 60;

/**
 * A searchable list of the events that were seen; any other name can be typed as well.
 * @param onpick `(event, isLeft)`; where the field was left, the focus is elsewhere already and must stay there
 */
export function eventPicker(value, onpick, { label, placeholder = "Choose an event" } = {}) {
  const listID = newID("events");
  const list = h("ul", { class: "picker-list", role: "listbox", id: listID, "aria-label": "Events", popover: "manual" });
  const input = h("input", {
    type: "text", class: "picker-input", role: "combobox", "aria-expanded": "false", "aria-controls": listID, "aria-autocomplete": "list",
    "aria-label": label, autocomplete: "off", spellcheck: "false", dir: "auto", placeholder, value, onkeydown: key,
    oninput: () => { [touched, options, at] = [true, [], -1]; show(); },
    onfocus: () => { touched = false; show(); }, onclick: show, onblur: leave,
  });
  const node = h("div", { class: "picker" }, input, list);
  let options = [];
  let at = -1;
  let touched = false;
  let turn = 0;

  async function show() {
    const mine = ++turn;
    const text = touched ? input.value : "";
    const found = await search(text).catch(() => []);
    if (mine !== turn || document.activeElement !== input) return;
    options = found.slice(0, SHOWN).map(event => ({ event: event.event, rows: event.rows }));
    if (text && !found.some(event => event.event === text)) options.push({ event: text, rows: null });
    at = text ? 0 : -1;
    draw();
  }

  function draw() {
    const choose = ({ event }) => pointer => { pointer.preventDefault(); pick(event); };
    const draw = (option, i) => h("li", { role: "option", id: `${listID}-${i}`, "aria-selected": String(i === at), onpointerdown: choose(option) },
      name(option.event), h("small", {}, option.rows === null ? "not seen yet" : number(option.rows)));
    put(list, options.map(draw),
      options.length === 0 && h("li", { role: "option", "aria-disabled": "true", class: "muted" }, "No events yet: type a name"));
    open(true);
    mark();
  }

  function open(on) {
    input.setAttribute("aria-expanded", String(on));
    if (!on) {
      if (list.matches(":popover-open")) list.hidePopover();
      return;
    }
    if (!list.matches(":popover-open")) list.showPopover();
    const box = input.getBoundingClientRect();
    const below = innerHeight - box.bottom - 12;
    const up = below < 180 && box.top > below;
    list.style.left = `${Math.min(box.left, innerWidth - 288)}px`;
    list.style.minWidth = `${Math.min(box.width, innerWidth - 16)}px`;
    list.style.maxHeight = `${Math.min(320, up ? box.top - 12 : below)}px`;
    list.style.top = up ? "auto" : `${box.bottom + 4}px`;
    list.style.bottom = up ? `${innerHeight - box.top + 4}px` : "auto";
  }

  function mark() {
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === at)));
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", `${listID}-${at}`);
      list.children[at]?.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function key(event) {
    const isOpen = list.matches(":popover-open");
    if (event.altKey) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) show();
      else if (options.length) {
        at = (at + (event.key === "ArrowDown" ? 1 : options.length - (at < 0 ? 0 : 1))) % options.length;
        mark();
      }
    } else if (event.key === "Enter") {
      // What was typed counts, also before the list has come.
      const chosen = options[at]?.event ?? (touched ? input.value.trim() : "");
      if (!chosen) return;
      event.preventDefault();
      pick(chosen);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      input.value = value;
      open(false);
    }
  }

  function pick(event, isLeft = false) {
    turn++;
    touched = false;
    input.value = value = event;
    open(false);
    onpick(event, isLeft);
  }

  function leave() {
    turn++;
    open(false);
    if (touched && input.value.trim() !== value && input.value.trim() !== "") pick(input.value.trim(), true);
    else input.value = value;
  }

  addEventListener("scroll", event => { if (!list.contains(event.target) && list.matches(":popover-open")) open(false); }, { capture: true });
  return { node, input, focus: () => input.focus() };
}

/** By any part of the name; where there are too many to have them all, by its beginning too. */
async function search(text) {
  const all = await getKept("/v1/events?limit=2000&allow_partial=1", 5000);
  const low = text.toLowerCase();
  const found = all.events.filter(({ event }) => event.toLowerCase().includes(low));
  if (!text || found.length || all.total <= all.events.length) return found;
  return (await get("/v1/events?limit=50&allow_partial=1&prefix=" + encodeURIComponent(text))).events;
}
