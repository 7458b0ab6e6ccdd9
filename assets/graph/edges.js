// Edges as thin lines along their routes; long ones as stubs at both ends; the selection's own ones heavier.

import { REMOVED } from "./scene.js";
import { between } from "./strips.js";

const STUB = 14;
const ARROW = 4;
const BATCH = 250, LOOKED_AT = 4000; // drawn or looked at between two moments at which a frame may end

// Draws what lies inside `view` (world rectangle) at zoom k, some at a time; `skip` holds edges drawn later on top.
export function* drawEdges(context, scene, view, k, colours, { only = null, skip = null, alpha = 1 } = {}) {
  const edges = scene.edges;
  if (k < 0.03 && edges.count > 5000) return;
  const detailed = k >= 0.3;
  const least = 1.5 / k;
  let batch = newBatch(), looked = 0;
  for (const edge of between(scene.edgeStrips, view.top, view.bottom)) {
    const at = edge * 4;
    looked += 1;
    if (looked % LOOKED_AT === 0) yield;
    if (edges.bounds[at] > view.right || edges.bounds[at + 2] < view.left) continue;
    if (edges.bounds[at + 1] > view.bottom || edges.bounds[at + 3] < view.top) continue;
    if (!detailed && edges.bounds[at + 3] - edges.bounds[at + 1] < least && edges.bounds[at + 2] - edges.bounds[at] < least) continue;
    if (only && !(only.has(edges.from[edge]) && only.has(edges.to[edge]))) continue;
    if (skip && skip.has(edge)) continue;
    trace(edges.state[edge] === REMOVED ? batch.dashed : batch.plain, edges, edge, detailed);
    if (detailed) arrow(batch.arrows, edges, edge);
    batch.size += 1;
    if (batch.size >= BATCH) {
      strokeBatch(context, batch, k, colours, alpha, detailed);
      batch = newBatch();
      yield;
    }
  }
  strokeBatch(context, batch, k, colours, alpha, detailed);
}

function newBatch() {
  return { plain: new Path2D(), dashed: new Path2D(), arrows: new Path2D(), size: 0 };
}

function strokeBatch(context, batch, k, colours, alpha, detailed) {
  if (!batch.size) return;
  context.globalAlpha = alpha * (detailed ? 1 : 0.6);
  context.lineWidth = 1 / k;
  context.strokeStyle = context.fillStyle = colours.control;
  context.stroke(batch.plain);
  context.setLineDash([4, 3]);
  context.globalAlpha = alpha * 0.6;
  context.stroke(batch.dashed);
  context.setLineDash([]);
  context.globalAlpha = alpha;
  context.fill(batch.arrows);
  context.globalAlpha = 1;
}

// Draws the edges of the selection on top, heavier and in the accent colour.
export function drawPicked(context, scene, picked, k, colours) {
  const path = new Path2D(), arrows = new Path2D();
  for (const edge of picked) {
    trace(path, scene.edges, edge, true);
    arrow(arrows, scene.edges, edge);
  }
  context.lineWidth = 1.75 / Math.min(1, k);
  context.strokeStyle = context.fillStyle = colours.accent;
  context.stroke(path);
  context.fill(arrows);
}

// A stub shows that a line goes on: short pieces at both ends, with the name printed when there is room.
export function drawStubNames(context, scene, view, k, colours) {
  if (k < 0.55) return;
  const edges = scene.edges;
  context.font = "400 11px Inter";
  context.fillStyle = colours.muted;
  context.textAlign = "left";
  for (const edge of between(scene.edgeStrips, view.top, view.bottom)) {
    if (!edges.stub[edge]) continue;
    const x = edges.points[2 * edges.start[edge + 1] - 2], y = edges.points[2 * edges.start[edge + 1] - 1] - STUB;
    if (x < view.left || x > view.right || y < view.top || y > view.bottom) continue;
    const from = edges.from[edge];
    context.fillText(from >= 0 ? scene.title[from].slice(0, 18) : edges.value[edge].slice(0, 18), x + 4, y + 6);
  }
}

function trace(path, edges, edge, detailed) {
  const { points, start } = edges;
  const first = start[edge], last = start[edge + 1] - 1;
  const x0 = points[2 * first], y0 = points[2 * first + 1], x1 = points[2 * last], y1 = points[2 * last + 1];
  if (edges.stub[edge]) {
    path.moveTo(x0, y0);
    path.lineTo(x0, y0 + STUB);
    path.moveTo(x1, y1 - STUB);
    path.lineTo(x1, y1);
    return;
  }
  path.moveTo(x0, y0);
  if (!detailed) {
    for (let p = first + 1; p <= last; p += 1) path.lineTo(points[2 * p], points[2 * p + 1]);
    return;
  }
  if (last - first === 1) {
    if (Math.abs(x0 - x1) < 0.5) path.lineTo(x1, y1);
    else {
      const bend = Math.max(8, Math.abs(y1 - y0) / 2);
      path.bezierCurveTo(x0, y0 + bend, x1, y1 - bend, x1, y1);
    }
    return;
  }
  rounded(path, points, first, last);
}

function rounded(path, points, first, last) {
  for (let p = first + 1; p < last; p += 1) {
    const x = points[2 * p], y = points[2 * p + 1], nx = points[2 * p + 2], ny = points[2 * p + 3];
    const before = Math.hypot(x - points[2 * p - 2], y - points[2 * p - 1]);
    const radius = Math.min(8, before / 2, Math.hypot(nx - x, ny - y) / 2);
    path.arcTo(x, y, nx, ny, radius);
  }
  path.lineTo(points[2 * last], points[2 * last + 1]);
}

function arrow(path, edges, edge) {
  const last = edges.start[edge + 1] - 1;
  const x = edges.points[2 * last], y = edges.points[2 * last + 1];
  path.moveTo(x, y);
  path.lineTo(x - ARROW * 0.8, y - ARROW * 1.5);
  path.lineTo(x + ARROW * 0.8, y - ARROW * 1.5);
  path.closePath();
}
