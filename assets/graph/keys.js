// Keys of the canvas: walk, unfold, step through changes, zoom.

import { bind } from "../core/keys.js";
import { state, update } from "../core/state.js";
import { changedBoxes, selectable } from "./scene.js";
import { step } from "./walk.js";

const GROUP = "Graph";

export function graphKeys(view) {
  const ready = () => Boolean(view.scene) && Boolean(state().recording);
  const onCanvas = (event) => ready() && !event.target.closest?.("[data-own-arrows]");
  const add = (key, label, run, when = ready) => bind(key, { group: GROUP, label, run, when });
  add(["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"], "Walk along edges and rows", (event) => walk(view, event.key), onCanvas);
  add(["."], "Next change", () => change(view, 1));
  add([","], "Previous change", () => change(view, -1));
  add(["Enter"], "Unfold or fold the selected block", () => toggle(view), onCanvas);
  add(["t"], "Outline: the graph as a tree to walk", () => view.outline.element.focus());
  add(["f"], "Fit the whole graph", () => { view.camera.fit(); view.moved(); });
  add(["0"], "Zoom to 100 %", () => zoom(view, 1 / view.camera.k));
  add(["+", "="], "Zoom in", () => zoom(view, 1.25));
  add(["-"], "Zoom out", () => zoom(view, 0.8));
  add(["o"], "Only neighbours of the selection (2 steps)", () => update({ focus: !state().focus }));
  add(["c"], "Show or hide constants", () => update({ constants: !state().constants }));
}

function walk(view, key) {
  const box = step(view.scene, view.selectedBox(), key);
  if (box < 0) return;
  view.select(selectable(view.scene, box));
}

function zoom(view, factor) {
  view.camera.zoom(factor, view.camera.width / 2, view.camera.height / 2);
  view.moved();
}

function toggle(view) {
  const box = view.selectedBox();
  if (box < 0) return false;
  view.unfold(box);
  return true;
}

// Goes to the changed box after (or before) the selected one, round the end.
export function change(view, direction) {
  const list = changedBoxes(view.scene);
  if (!list.length) return;
  const selected = list.indexOf(view.selectedBox());
  const next = selected < 0 ? (direction > 0 ? 0 : list.length - 1) : (selected + direction + list.length) % list.length;
  view.select(selectable(view.scene, list[next]));
}
