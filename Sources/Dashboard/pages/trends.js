import { h } from "../parts/dom.js";
export const bar = [];
export const title = () => "";
export function show(main) { main.replaceChildren(h("p", {}, "…")); }
