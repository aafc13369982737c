import { describeFault, pathOf } from "./faults.js";
import { setFault } from "./field.js";

/**
 * Shows each field error at its control: the one whose `data-field` is the error's path, or else the nearest enclosing one.
 * @returns the error with the field errors that have no control here; null if none is left
 */
export function placeFaults(root, error) {
  const places = [...root.querySelectorAll("[data-field]")];
  for (const place of places) setFault(place, null);
  if (!error.errors?.length) return error;
  const texts = new Map();
  const rest = error.errors.filter(fault => {
    const path = pathOf(fault.field);
    const around = places.filter(({ dataset: { field } }) => path === field || [".", "["].some(next => path.startsWith(field + next)));
    const place = around.sort((a, b) => a.dataset.field.length - b.dataset.field.length).at(-1);
    if (!place) return true;
    const { place: where, text } = describeFault(fault);
    place.closest("details")?.setAttribute("open", "");
    texts.set(place, [...texts.get(place) ?? [], place.dataset.field === path ? text : `${where}: ${text}`]);
    return false;
  });
  for (const [place, all] of texts) setFault(place, all.join("; "));
  return rest.length ? Object.assign(Object.create(error), { errors: rest }) : null;
}
