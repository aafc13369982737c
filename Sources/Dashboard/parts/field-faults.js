import { describeFault, pathOf } from "./faults.js";
import { setFault } from "./field.js";

/**
 * Says what is wrong at the field it is about: the one whose `data-field` is the path of the fault, or the nearest around it;
 * of two the later, which is the more special one.
 * @returns the error with what has no field here; null where nothing is left to say
 */
export function placeFaults(root, error) {
  const places = [...root.querySelectorAll("[data-field]")];
  for (const place of places) setFault(place, null);
  if (!error.errors?.length) return error;
  const rest = error.errors.filter(fault => {
    const path = pathOf(fault.field);
    const around = places.filter(({ dataset: { field } }) => path === field || [".", "["].some(next => path.startsWith(field + next)));
    const place = around.sort((a, b) => a.dataset.field.length - b.dataset.field.length).at(-1);
    if (!place) return true;
    const { place: where, text } = describeFault(fault);
    place.closest("details")?.setAttribute("open", "");
    setFault(place, place.dataset.field === path ? text : `${where}: ${text}`);
    return false;
  });
  return rest.length ? Object.assign(Object.create(error), { errors: rest }) : null;
}
