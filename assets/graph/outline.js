// The picture in words for screen readers: a nested list of its boxes in reading order, frames around what is in them.

import { el, replace } from "../core/dom.js";
import { FRAME } from "./scene.js";

const MOST = 400;

// Fills `list` with the boxes of the scene; `spoken(box)` says what one is, and what is left out is counted.
export function outline(list, scene, spoken) {
  const inside = new Map();
  const shown = scene.rowOrder.subarray(0, MOST);
  for (const box of shown) {
    const around = scene.parent[box];
    if (!inside.has(around)) inside.set(around, []);
    inside.get(around).push(box);
  }
  const item = (box) => el("li", {}, spoken(box), scene.kind[box] === FRAME && inside.has(box) ? el("ul", {}, inside.get(box).map(item)) : null);
  const left = scene.count - shown.length;
  replace(list, (inside.get(-1) || []).map(item), left ? el("li", {}, `and ${left.toLocaleString("en-US")} more`) : null);
}
