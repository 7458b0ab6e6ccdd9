// The one tolerance: the hunt, the heat on the graph and Bisect all hold errors against it.

import { el } from "../core/dom.js";
import { state, update } from "../core/state.js";

// A field for it; what is no number from 0 to 1 falls back to what was there.
export function toleranceField(label) {
  const field = el("input.field.short", { type: "text", inputmode: "decimal", value: plain(state().tolerance), "aria-label": label, onchange: () => {
    const number = Number(field.value);
    if (field.value.trim() !== "" && number >= 0 && number <= 1) update({ tolerance: number });
    field.value = plain(state().tolerance);
  } });
  return field;
}

function plain(number) {
  return number && number < 1e-3 ? number.toExponential() : String(number);
}
