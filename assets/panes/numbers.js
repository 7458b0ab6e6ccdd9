// The five numbers of the state on the canvas; an unknown one is a dash with its reason, never an old value.

import { address } from "../core/api.js";
import { el, replace } from "../core/dom.js";
import { session } from "../core/session.js";
import { watch } from "../core/pane.js";

export function mountNumbers(element) {
  element.classList.add("five");
  return watch(element, {
    keys: ["recording", "at"],
    path: (now) => (now.recording ? address(now.recording, `numbers/${now.at}`) : null),
    none: () => "",
    fresh: () => session().overview?.status !== "done",
    draw: (payload) => replace(element, payload.numbers.map(number)),
  });
}

function number(one) {
  const value = el("span.value", {}, one.estimate ? "≈ " : "", one.value, one.spread ? el("span.spread", {}, ` ${one.spread}`) : null);
  return el(`div.number${one.stale ? ".stale" : ""}`, { title: one.tip || null, dataset: { key: one.key } },
    el("span.label", {}, one.label), value, el("span.second", {}, one.why || one.second || ""));
}
