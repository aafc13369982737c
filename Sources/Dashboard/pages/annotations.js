import { get } from "../api/fetch.js";
import { load, removeAfterAsking, save } from "../api/saved.js";
import { mayWrite } from "../api/session.js";
import { say } from "../parts/announce.js";
import { card } from "../parts/card.js";
import { dialog } from "../parts/dialog.js";
import { button, h, name, put } from "../parts/dom.js";
import { placeFaults } from "../parts/field-faults.js";
import { checkbox, field, input } from "../parts/field.js";
import { instant } from "../parts/format.js";
import { token } from "../parts/graph.js";
import { failed } from "../parts/states.js";
import { rangeOf, zoneOf } from "../state/range.js";

/** The annotations of a funnel's trend, by time. */
export async function annotationsOf(state) {
  const { start, end } = rangeOf(state);
  const given = Object.entries({ start, end, time_zone: zoneOf(state), funnel_id: state.funnel }).filter(([, value]) => value);
  return (await get(`/v1/annotations?${new URLSearchParams(given)}`)).annotations;
}

/** The annotations that fall into a trend, each with its number and the index of its point. */
export function placed(annotations, buckets) {
  const starts = buckets.map(bucket => Date.parse(bucket.start));
  const at = time => starts.findLastIndex(start => start <= time);
  return annotations.map(one => ({ ...one, point: at(Date.parse(one.time)) })).filter(one => one.point >= 0)
    .map((one, i) => ({ ...one, number: i + 1 }));
}

/** Numbered vertical lines over a chart of Chart.js. @param marks returns what `placed` returned last */
export const annotationLines = marks => ({
  id: "annotations",
  afterDatasetsDraw({ ctx, chartArea: { top, bottom, left, right }, scales: { x } }) {
    const numbers = new Map();
    for (const { point, number } of marks()) numbers.set(point, [...numbers.get(point) ?? [], number]);
    ctx.save();
    ctx.font = `600 11px ${token("--font")}`;
    ctx.textBaseline = "top";
    for (const [point, list] of numbers) {
      const at = Math.round(x.getPixelForValue(point)) + 0.5;
      const text = list.length > 2 ? `${list[0]}–${list.at(-1)}` : list.join(", ");
      const width = ctx.measureText(text).width + 8;
      const from = Math.min(Math.max(at - width / 2, left), right - width);
      ctx.strokeStyle = token("--line-strong");
      ctx.setLineDash([3, 3]);
      ctx.beginPath();
      ctx.moveTo(at, top);
      ctx.lineTo(at, bottom);
      ctx.stroke();
      ctx.fillStyle = token("--raised");
      ctx.setLineDash([]);
      ctx.fillRect(from, top, width, 16);
      ctx.strokeRect(from, top, width, 16);
      ctx.fillStyle = token("--text");
      ctx.fillText(text, from + 4, top + 3);
    }
    ctx.restore();
  },
});

/** The list below a chart. @param changed runs after an annotation was added, changed or deleted */
export function annotationCard(state, changed) {
  const list = h("div", {});
  const zone = zoneOf(state);
  const add = mayWrite() && button("Add", () => edit(null, state, changed), { "aria-label": "Add an annotation" });
  const node = card("Annotations", [add], list);

  function update(annotations) {
    put(list, annotations.length ? h("ol", { class: "annotations" }, annotations.map(row))
      : h("p", { class: "fine" }, "None in this range. An annotation marks a release, a campaign or a failure. ",
        h("code", {}, 'sluice annotations add "Release 42"'), " adds one at the end of a deployment."));
  }

  const row = one => h("li", { value: one.number },
    h("div", { class: "card-head" }, h("p", {}, h("time", { datetime: one.time, class: "muted" }, instant(one.time, zone)), " ", name(one.text)),
      mayWrite() && h("div", { class: "actions" },
        button("Edit", () => edit(one.id, state, changed), { "aria-label": `Edit annotation ${one.number}`, class: "button small" }),
        button("Delete", async () => { await removeAfterAsking("annotations", one.id, "annotation", one.text); changed(); },
          { "aria-label": `Delete annotation ${one.number}`, class: "button small" }))));

  return { node, update };
}

/** Adds or changes an annotation in a dialog. @param id null: a new one */
async function edit(id, state, done) {
  const box = dialog(id ? "Annotation" : "New annotation");
  let [saved, tag] = [null, null];
  try {
    if (id) ({ data: saved, tag } = await load("annotations", id));
  } catch (error) {
    put(box.body, failed(error));
    return;
  }
  const draft = { text: saved?.text ?? "", time: (saved?.time ?? new Date().toISOString()).slice(0, 19) };
  let isOwn = Boolean(saved?.funnel_id);
  const fault = h("div", {});
  const form = h("form", { class: "alert-form", novalidate: true, onsubmit: submit },
    field("Text", input(draft.text, value => { draft.text = value.trim(); }, { "data-field": "text", class: "long", maxlength: "200" })),
    field("Time (UTC)", input(draft.time, value => { draft.time = value; }, { "data-field": "time", type: "datetime-local", step: "1" })),
    state.funnel && checkbox("Only for this funnel", isOwn, on => { isOwn = on; }), fault,
    h("div", { class: "actions" }, h("button", { type: "submit", class: "button primary" }, "Save"), button("Cancel", box.close)));
  put(box.body, form);
  form.querySelector("input").focus();

  async function submit(event) {
    event.preventDefault();
    put(fault);
    const time = draft.time && `${draft.time.length === 16 ? `${draft.time}:00` : draft.time}Z`;
    const key = id ?? `${draft.text.replace(/[^\w.-]+/g, "-").slice(0, 40)}-${Date.now().toString(36)}`;
    const own = saved?.funnel_id ?? state.funnel;
    try {
      await save("annotations", key, { text: draft.text, time, ...isOwn && own ? { funnel_id: own } : {} }, tag);
      box.close();
      say("The annotation is saved");
      done();
    } catch (error) {
      const rest = placeFaults(form, error);
      if (rest) put(fault, failed(rest, null, { title: "The annotation is not saved" }));
      form.querySelector("[aria-invalid]")?.focus();
    }
  }
}
