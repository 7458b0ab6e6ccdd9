// Going through the schedule: statement by statement the addresses fill, and every other view shows what runs.

import { el } from "../core/dom.js";
import { bytes } from "../core/format.js";
import { update } from "../core/state.js";

// A slider over the statements of a memory map; at its left end the whole run is shown.
export function scrubber(map) {
  const { payload } = map;
  const told = el("output.mono.muted", { "aria-live": "polite" }, "whole run");
  const slider = el("input.scrub", { type: "range", min: -1, max: payload.steps - 1, value: -1, "aria-label": "Statement of the schedule" });
  const show = () => {
    const step = Number(slider.value);
    map.step = step < 0 ? null : step;
    told.textContent = map.step === null ? "whole run" : `${step} · ${bytes(payload.live[step] || 0)} alive · ${(payload.instructions[step] || "").trim()}`;
    slider.setAttribute("aria-valuetext", told.textContent);
    map.paint();
  };
  slider.addEventListener("input", show);
  slider.addEventListener("change", () => {
    const value = map.step === null ? null : made(payload, map.step);
    if (value !== null) update({ selected: value }, { undo: false });
  });
  return el("span.scrubber", {}, slider, told);
}

// The value whose buffer the statement writes: the buffer that is born there, else the one its text says it writes.
function made({ buffers, instructions }, step) {
  const born = buffers.first.findIndex((first, at) => first === step && buffers.kind[at] === "activation");
  if (born >= 0) return buffers.value[born];
  const [, written] = (instructions[step] || "").match(/\b(?:out|inout) %([^\s,]+)/) || [];
  const at = written === undefined ? -1 : buffers.name.indexOf(written);
  return at < 0 ? null : buffers.value[at];
}
