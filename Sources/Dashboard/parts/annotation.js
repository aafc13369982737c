import { h } from "./dom.js";
import { minute } from "./format.js";

/** When an annotation is, and what it says, for lists and charts. */
const when = ({ start, end }, zone) => minute(start, zone) + (end ? ` to ${minute(end, zone)}` : "");

export const annotationText = (annotation, zone) => `${when(annotation, zone)}: ${annotation.text}`;

export const annotationLine = (annotation, zone) => [
  h("time", { datetime: annotation.start }, when(annotation, zone)), ": ", h("bdi", { dir: "auto", class: "wrap" }, annotation.text)];

/** What `line` draws for annotations that `placed` has placed. */
export const lineAnnotations = (places, zone) => places.map(({ annotation, from, to }) => ({ from, to, text: annotationText(annotation, zone) }));

/** A list without numbers, for a chart that shows only lines. @param funnel whether to name the funnel of each */
export const annotationList = (annotations, zone, funnel = false) => h("ul", { class: "annotations" }, annotations.map(one =>
  h("li", {}, h("div", { class: "annotation-text" }, annotationLine(one, zone), funnel && one.funnel_id && h("span", { class: "muted" }, ` (${one.funnel_id})`)))));
