import { getEvents } from "../api/received.js";
import { say } from "./announce.js";
import { h, name, newID, put } from "./dom.js";
import { number, quoted } from "./format.js";
import { readText, typed } from "./value.js";

const SHOWN = 60;

/**
 * A searchable list of the received events. Typed text picks the highlighted event. A name that was never received is picked only
 * by its own entry, the last one.
 * @param onpick `(event, isLeft)`; `isLeft` if the user left the field: the focus must not return to it
 */
export function eventPicker(value, onpick, { label, placeholder = "Choose an event" } = {}) {
  const listID = newID("events");
  const list = h("ul", { class: "picker-list", role: "listbox", id: listID, "aria-label": "Events", popover: "manual" });
  const input = h("input", {
    type: "text", class: "picker-input", role: "combobox", "aria-expanded": "false", "aria-controls": listID, "aria-autocomplete": "list",
    "aria-label": label, autocomplete: "off", spellcheck: "false", dir: "auto", placeholder, value: typed(value), onkeydown: key,
    oninput: () => { [isTyped, options, at] = [true, [], -1]; show(); }, onclick: show, onblur: leave,
  });
  const node = h("div", { class: "picker" }, input, list);
  let options = [];
  let at = -1;
  let isTyped = false;
  let turn = 0;

  /** Opens the list. Not called on focus, because the page sets the focus after a choice. */
  async function show() {
    const mine = ++turn;
    const text = isTyped ? readText(input.value) : "";
    const found = await search(text).catch(() => []);
    if (mine !== turn || document.activeElement !== input) return;
    options = found.slice(0, SHOWN);
    if (text !== "" && !found.some(({ event }) => event === text)) options.push({ event: text, isNew: true });
    at = isTyped && found.length ? 0 : -1;
    draw(found.length - SHOWN);
  }

  function draw(more) {
    const choose = ({ event }) => pointer => { pointer.preventDefault(); pick(event); };
    const words = ({ event, rows, isNew }) => isNew ? h("span", {}, "Use ", name(quoted(event)), " (never received)")
      : [name(typed(event)), h("small", {}, number(rows))];
    const line = text => h("li", { role: "option", "aria-disabled": "true", class: "muted" }, text);
    put(list, options.map((option, i) => h("li", { role: "option", id: `${listID}-${i}`, onpointerdown: choose(option) }, words(option))),
      options.length === 0 && line("No events yet. Type a name."), more > 0 && line(`${number(more)} more: type to narrow`));
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
      if (!options[at] && !isTyped) return;
      event.preventDefault();
      take(false);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      event.stopPropagation();
      reset();
    }
  }

  /** Picks the highlighted event; before the list has loaded, the one that it would highlight. */
  async function take(isLeft) {
    const marked = options[at];
    if (marked) return pick(marked.event, isLeft);
    const mine = ++turn;
    const text = readText(input.value);
    const [best] = text === "" ? [] : await search(text).catch(() => []);
    if (mine !== turn) return;
    if (best) pick(best.event, isLeft);
    else if (isLeft) {
      if (text !== "") say(`${quoted(text)} was never received. To use it, choose it in the list.`);
      reset();
    } else show();
  }

  function pick(event, isLeft) {
    value = event;
    reset();
    onpick(event, isLeft);
  }

  function reset() {
    turn++;
    [isTyped, options, at] = [false, [], -1];
    input.value = typed(value);
    open(false);
  }

  function leave() {
    open(false);
    const isOther = options[at] ? options[at].event !== value : isTyped && readText(input.value) !== value;
    if (isOther) take(true);
    else reset();
  }

  const scrolled = ({ target }) => { if (!list.contains(target) && list.matches(":popover-open")) open(false); };
  addEventListener("scroll", scrolled, { capture: true });
  return { node, input, focus: () => input.focus() };
}

/** How well a name matches the typed text; 0 is an exact match. */
const fit = (event, text) => event === text ? 0 : event.toLowerCase() === text.toLowerCase() ? 1
  : event.toLowerCase().startsWith(text.toLowerCase()) ? 2 : 3;

/** Events that contain all words in any order: best match first, then the most frequent. */
async function search(text) {
  const all = await getEvents();
  if (text === "") return all.events;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.events.filter(({ event }) => words.every(word => event.toLowerCase().includes(word)));
  const list = found.length || all.total <= all.events.length ? found : (await getEvents(text)).events;
  return list.map(one => ({ ...one, fit: fit(one.event, text) })).sort((a, b) => a.fit - b.fit);
}
