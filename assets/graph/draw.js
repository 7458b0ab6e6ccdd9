// One frame: world to screen, back to front, with what is selected on top; in steps, so that a large picture may take several frames.

import { badge, CARD, drawBoxes, drawFrames, drawFrameTitles, drawOutline } from "./boxes.js";
import { drawEdges, drawPicked, drawStubNames } from "./edges.js";
import { FRAME } from "./scene.js";

// `area` is {x, y, k, width, height} in CSS px at world point (x, y); yields now and then, returns how many boxes were drawn.
export function* drawSteps(context, scene, area, ratio, view) {
  const { look, colours, marks, near, only, fade } = view;
  const k = area.k;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = colours.canvas;
  context.fillRect(0, 0, area.width * ratio, area.height * ratio);
  const scale = k * ratio;
  context.setTransform(scale, 0, 0, scale, Math.round(-area.x * scale), Math.round(-area.y * scale));
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  const window = { left: area.x - 20, top: area.y - 20, right: area.x + area.width / k + 20, bottom: area.y + area.height / k + 20 };
  drawFrames(context, scene, window, k, colours);
  yield* drawEdges(context, scene, window, k, colours, { only, skip: near && near.edges, alpha: near ? 0.6 : 1 });
  drawFrameTitles(context, scene, window, k, colours);
  drawStubNames(context, scene, window, k, colours);
  const dim = near ? (box) => (near.boxes.has(box) ? 1 : 0.6) : null;
  const drawn = yield* drawBoxes(context, scene, window, k, look, colours, marks, { only, dim, fade });
  if (near) drawPicked(context, scene, near.edges, k, colours);
  return drawn;
}

// Takes all steps at once.
export function drawScene(context, scene, area, ratio, view) {
  const steps = drawSteps(context, scene, area, ratio, view);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

// What changes with every mouse move: hovered and selected outlines, drawn over the frame or the cached picture.
export function drawOver(context, scene, area, ratio, { look, colours, selected, hovered, problem }) {
  const scale = area.k * ratio;
  context.setTransform(scale, 0, 0, scale, Math.round(-area.x * scale), Math.round(-area.y * scale));
  if (hovered >= 0 && hovered !== selected) drawOutline(context, scene, hovered, area.k, colours.accent, 1);
  if (selected >= 0) {
    drawOutline(context, scene, selected, area.k, colours.accent, scene.kind[selected] === FRAME ? 1.5 : 2);
    if (area.k >= CARD) badge(context, scene, selected, look, colours);
  }
  if (problem >= 0) drawOutline(context, scene, problem, area.k, colours.changes[2], 3);
}
