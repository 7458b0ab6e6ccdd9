// The next box for an arrow key: along edges up and down, along the row left and right.

import { edgesIn, edgesOut, FRAME } from "./scene.js";

export function step(scene, box, key) {
  if (box < 0) return scene.solid.length ? scene.solid[0] : -1;
  if (key === "ArrowDown") return nearest(scene, box, [...edgesOut(scene, box)].map((edge) => scene.edges.to[edge]));
  if (key === "ArrowUp") return nearest(scene, box, [...edgesIn(scene, box)].map((edge) => scene.edges.from[edge]));
  return sideways(scene, box, key === "ArrowRight" ? 1 : -1);
}

function nearest(scene, box, candidates) {
  const centre = scene.x[box] + scene.w[box] / 2;
  let best = -1, distance = Infinity;
  for (const near of candidates) {
    if (near < 0) continue;
    const away = Math.abs(scene.x[near] + scene.w[near] / 2 - centre) + Math.abs(scene.y[near] - scene.y[box]) / 10;
    if (away < distance) { best = near; distance = away; }
  }
  return best;
}

function sideways(scene, box, direction) {
  let best = -1, distance = Infinity;
  for (const near of scene.solid) {
    if (near === box || scene.kind[near] === FRAME) continue;
    const down = Math.abs(scene.y[near] + scene.h[near] / 2 - scene.y[box] - scene.h[box] / 2);
    const along = (scene.x[near] - scene.x[box]) * direction;
    if (along > 0 && down < scene.h[box] * 1.2 && along < distance) { best = near; distance = along; }
  }
  return best;
}
