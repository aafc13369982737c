import { isEventReceived } from "../api/received.js";
import { say } from "../parts/announce.js";
import { conditionsEditor } from "../parts/conditions.js";
import { button, h, icon, iconButton, icons, name, put } from "../parts/dom.js";
import { checkbox, field, input } from "../parts/field.js";
import { plural } from "../parts/format.js";
import { eventPicker } from "../parts/picker.js";
import { textInput, unseenMark } from "../parts/value.js";
import { emptyStep } from "../state/draft.js";

const STEPS_MAX = 64;

/** The editor of the steps. They can be added, filled, moved by drag and by keys, and removed. */
export function stepsEditor(draft, onchange) {
  const list = h("ol", { class: "edit-steps" });
  const add = button([icon(icons.plus), "Add a step"], () => {
    draft.steps.push(emptyStep());
    changed(draft.steps.length - 1, ".picker-input");
  });
  let dragged = null;
  draw();
  return { node: h("div", { class: "stack" }, list, h("div", {}, add)), number };

  /** Sets the API path of each control, for field errors. The API does not get empty steps. */
  function number() {
    let i = 0;
    for (const item of list.children) {
      const isThere = item.step.events.length || item.step.name;
      const path = isThere ? `steps[${i++}]` : "";
      item.dataset.field = path;
      for (const control of item.querySelectorAll("[data-part]")) control.dataset.field = `${path}.${control.dataset.part}`;
    }
  }

  function changed(focus, where) {
    draw();
    if (focus !== undefined) list.children[focus]?.querySelector(where)?.focus();
    onchange();
  }

  function draw() {
    if (!draft.steps.length) draft.steps.push(emptyStep(), emptyStep());
    const opened = new Set([...list.querySelectorAll("details[open]")].map(details => details.closest("li").step));
    put(list, draft.steps.map((step, i) => card(step, i, opened.has(step))));
    add.disabled = draft.steps.length >= STEPS_MAX;
  }

  function move(from, to, where) {
    if (to < 0 || to >= draft.steps.length || to === from) return;
    const [step] = draft.steps.splice(from, 1);
    draft.steps.splice(to, 0, step);
    changed(to, where);
    say(`${step.name || "Step"} is now step ${to + 1} of ${draft.steps.length}`);
  }

  function card(step, i, isOpen) {
    const n = i + 1;
    const last = draft.steps.length - 1;
    const picker = eventPicker(step.events.length === 1 ? step.events[0] : step.events.length ? `any of ${step.events.length} events` : "", (event, isLeft) => {
      if (!step.name || step.name === step.events[0]) step.name = event;
      step.events = [event];
      if (!isLeft) return changed(i, ".picker-input");
      mark.replaceChildren(received(step, event));
      onchange();
      setTimeout(() => refresh(node, step, i));
    }, { label: `Event of step ${n}` });
    const mark = h("span", { class: "received" }, step.events.length === 1 && received(step, step.events[0]));
    const grip = h("span", { class: "grip", title: "Drag to move", "aria-hidden": "true" }, icon(icons.grip));
    const node = h("li", { class: "edit-step", "aria-label": `Step ${n}`, onkeydown: keys },
      h("div", { class: "edit-step-head" }, grip, h("span", { class: "step-number" }, n), picker.node, mark,
        h("span", { class: "step-tools" },
          iconButton("up", `Move step ${n} up`, () => move(i, i - 1, ".move-up"), { class: "move-up", title: "Alt+Up", disabled: i === 0 }),
          iconButton("down", `Move step ${n} down`, () => move(i, i + 1, ".move-down"),
            { class: "move-down", title: "Alt+Down", disabled: i === last }),
          iconButton("close", `Remove step ${n}`, () => remove(i)))),
      more(step, i, isOpen));
    node.step = step;
    drag(node, grip, i);
    return node;

    function keys(event) {
      if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
      event.preventDefault();
      move(i, i + (event.key === "ArrowUp" ? -1 : 1), ".picker-input");
    }
  }

  /** If `event_types` maps an event to the step, the event with the step's own name need not exist. */
  function received(step, event) {
    const isJoined = Object.values(draft.event_types ?? {}).includes(step.name);
    return unseenMark(isJoined ? Promise.resolve(true) : isEventReceived(event));
  }

  /** Redraws the part below the event, unless it has the focus. */
  function refresh(node, step, i) {
    const details = node.querySelector("details");
    if (node.isConnected && !details.contains(document.activeElement)) details.replaceWith(more(step, i, details.open));
  }

  function remove(i) {
    const [step] = draft.steps.splice(i, 1);
    changed(Math.max(0, Math.min(i, draft.steps.length - 1)), ".picker-input");
    say(`${step.name || "Step"} removed`);
  }

  function more(step, i, isOpen) {
    const { where, events, optional, within } = step;
    const marks = [
      where.length > 0 && plural(where.length, "condition"), optional && "optional", within && `within ${within}`,
      events.length > 1 && plural(events.length, "event"),
    ].filter(Boolean);
    const set = (key, value) => { step[key] = value; changed(); };
    const title = textInput(step.name, value => set("name", value || (events[0] ?? "")), { "data-part": "name" });
    const limit = input(within, value => set("within", value.trim()), {
      placeholder: "optional, e.g. 2h", pattern: "\\d+(us|ms|s|m|h|d)", "data-part": "window_duration",
    });
    const isMiddle = i > 0 && i < draft.steps.length - 1;
    return h("details", { class: "more", open: isOpen }, h("summary", {}, marks.length ? marks.join(", ") : "Conditions and options"),
      h("div", { class: "stack" }, conditionsEditor(where, onchange, events[0]), anyOf(step, i),
        h("div", { class: "row" }, field("Step name", title), i > 0 && field("Must follow the previous step within", limit)),
        isMiddle && checkbox("Optional: users may skip this step", optional, on => set("optional", on))));
  }

  /** The events that do the step. */
  function anyOf(step, i) {
    const { events } = step;
    if (!events.length) return null;
    const drop = at => { events.splice(at, 1); changed(i, "summary"); };
    const chip = (event, at) => h("span", { class: "chip" }, name(event), events.length > 1 && received(step, event),
      events.length > 1 && iconButton("close", `Remove ${event}`, () => drop(at)));
    const more = eventPicker("", event => {
      if (!events.includes(event)) events.push(event);
      changed(i, ".chips .picker-input");
    }, { label: `One more event of step ${i + 1}`, placeholder: "or another event" });
    return h("div", { class: "chips" }, h("span", { class: "label" }, "Any of"), events.map(chip), more.node);
  }

  function drag(node, grip, i) {
    grip.addEventListener("pointerdown", () => { node.draggable = true; });
    grip.addEventListener("pointerup", () => { node.draggable = false; });
    node.addEventListener("dragstart", event => {
      dragged = i;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", String(i));
      node.classList.add("dragged");
    });
    node.addEventListener("dragend", () => { dragged = null; node.draggable = false; node.classList.remove("dragged"); clear(); });
    node.addEventListener("dragover", event => {
      if (dragged === null) return;
      event.preventDefault();
      clear();
      node.classList.add(dragged < i ? "drop-below" : "drop-above");
    });
    node.addEventListener("drop", event => {
      if (dragged === null) return;
      event.preventDefault();
      const from = dragged;
      dragged = null;
      move(from, i, ".picker-input");
    });
  }

  function clear() {
    for (const item of list.children) item.classList.remove("drop-below", "drop-above");
  }
}
