// Mouse, wheel and touch on the canvas: drag moves, wheel zooms, click selects, double click unfolds.

import { selectable } from "./scene.js";

const DRAG = 4;

export function pointer(view) {
  const { canvas } = view;
  const touches = new Map();
  let start = null, pinch = 0, last = null;

  const on = (name, listener, options) => canvas.addEventListener(name, listener, options);
  on("pointerdown", (event) => {
    if (event.button > 1) return;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, event);
    start = { x: event.clientX, y: event.clientY, moved: false };
    last = event;
    pinch = 0;
  });
  on("pointermove", (event) => {
    if (!touches.has(event.pointerId)) { hover(view, event); return; }
    touches.set(event.pointerId, event);
    if (touches.size === 2) { pinch = pinched(view, touches, pinch); return; }
    if (!start.moved && Math.hypot(event.clientX - start.x, event.clientY - start.y) < DRAG) return;
    start.moved = true;
    canvas.classList.add("dragging");
    view.tip.hidden = true;
    view.camera.pan(last.clientX - event.clientX, last.clientY - event.clientY);
    last = event;
    view.moved();
  });
  const end = (event) => {
    if (!touches.delete(event.pointerId) || !start) return;
    canvas.classList.remove("dragging");
    if (!start.moved && event.type === "pointerup") click(view, event);
    start = null;
  };
  on("pointerup", end);
  on("pointercancel", end);
  on("pointerleave", () => { view.tip.hidden = true; if (view.hovered >= 0) { view.hovered = -1; view.request(); } });
  on("dblclick", (event) => {
    const box = view.boxAt(event.clientX, event.clientY);
    if (box >= 0) view.unfold(box);
  });
  const wheel = (event) => {
    event.preventDefault();
    const place = canvas.getBoundingClientRect();
    if (event.shiftKey) view.camera.pan(event.deltaY, event.deltaX);
    else view.camera.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) * 0.0035), event.clientX - place.left, event.clientY - place.top);
    view.tip.hidden = true;
    view.moved();
  };
  on("wheel", wheel, { passive: false });
  return () => canvas.removeEventListener("wheel", wheel);
}

function hover(view, event) {
  const box = view.boxAt(event.clientX, event.clientY);
  if (box !== view.hovered) {
    view.hovered = box;
    view.canvas.style.cursor = box >= 0 ? "pointer" : "";
    view.request();
    clearTimeout(view.tipping);
    view.tip.hidden = true;
    if (box >= 0) view.tipping = setTimeout(() => tip(view, box), 350);
  }
}

function tip(view, box) {
  const { scene, camera } = view;
  if (view.hovered !== box || !scene) return;
  const folded = scene.inside[box] > 1 ? ` · ${scene.inside[box]} nodes` : "";
  const again = scene.repeat[box] > 1 ? ` · ${scene.repeat[box]} equal blocks` : "";
  view.tip.textContent = `${scene.title[box]} · ${scene.op[box]} ${scene.detail[box]}${folded}${again}`;
  view.tip.hidden = false;
  const x = (scene.x[box] - camera.x) * camera.k, y = (scene.y[box] + scene.h[box] - camera.y) * camera.k + 6;
  view.tip.style.left = `${Math.max(4, Math.min(x, camera.width - view.tip.offsetWidth - 4))}px`;
  view.tip.style.top = `${Math.min(y, camera.height - 28)}px`;
}

function click(view, event) {
  const box = view.boxAt(event.clientX, event.clientY);
  if (box < 0) { view.select(null); return; }
  const place = view.canvas.getBoundingClientRect();
  const x = view.camera.x + (event.clientX - place.left) / view.camera.k;
  const { scene } = view;
  const chevron = scene.kind[box] === 1 ? x > scene.x[box] + scene.w[box] - 22 : scene.kind[box] === 2 && x < scene.x[box] + 22;
  if (chevron) view.unfold(box);
  else view.still(() => view.select(selectable(scene, box)));
}

function pinched(view, touches, before) {
  const [one, other] = [...touches.values()];
  const apart = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
  const place = view.canvas.getBoundingClientRect();
  if (before) view.camera.zoom(apart / before, (one.clientX + other.clientX) / 2 - place.left, (one.clientY + other.clientY) / 2 - place.top);
  view.moved();
  return apart;
}
