// Which box lies under a point: a uniform grid of cells, each listing the boxes that touch it.

import { FRAME } from "./scene.js";

const CELL = 128;

export function buildGrid(scene) {
  const [left, top] = scene.origin;
  const columns = Math.max(1, Math.ceil((scene.size[0] + 1) / CELL));
  const cells = new Map();
  const put = (box, header) => {
    const bottom = header ? Math.min(scene.y[box] + 24, scene.y[box] + scene.h[box]) : scene.y[box] + scene.h[box];
    for (let row = Math.floor((scene.y[box] - top) / CELL); row <= Math.floor((bottom - top) / CELL); row += 1) {
      for (let column = Math.floor((scene.x[box] - left) / CELL); column <= Math.floor((scene.x[box] + scene.w[box] - left) / CELL); column += 1) {
        const key = row * columns + column;
        if (!cells.has(key)) cells.set(key, []);
        cells.get(key).push(box);
      }
    }
  };
  // A frame answers only on its title strip, so that what it encloses stays reachable.
  for (const box of scene.frames) put(box, true);
  for (const box of scene.solid) put(box, false);
  return { columns, cells };
}

// The innermost box at world point (x, y), or -1.
export function hit(grid, scene, x, y) {
  const list = grid.cells.get(Math.floor((y - scene.origin[1]) / CELL) * grid.columns + Math.floor((x - scene.origin[0]) / CELL)) || [];
  for (let i = list.length - 1; i >= 0; i -= 1) {
    const box = list[i];
    const height = scene.kind[box] === FRAME ? 24 : scene.h[box];
    if (x >= scene.x[box] && x <= scene.x[box] + scene.w[box] && y >= scene.y[box] && y <= scene.y[box] + height) return box;
  }
  return -1;
}
