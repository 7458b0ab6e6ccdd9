// A scene payload turned into typed arrays, neighbour lists and name look-ups that drawing and walking need.

import { buildStrips } from "./strips.js";

export const NODE = 0, FOLDED = 1, FRAME = 2, INPUT = 3, OUTPUT = 4;
export const SAME = 0, ADDED = 1, REMOVED = 2, CHANGED = 3, MERGED = 4;

// Returns a scene; nothing in it changes afterwards.
export function buildScene(payload) {
  const boxes = payload.boxes;
  const scene = {
    payload,
    snapshot: payload.snapshot,
    origin: payload.origin || [0, 0],
    size: payload.size,
    count: boxes.name.length,
    ...pick(boxes, ["name", "title", "detail", "op", "badge"]),
    x: Float32Array.from(boxes.x), y: Float32Array.from(boxes.y),
    w: Float32Array.from(boxes.w), h: Float32Array.from(boxes.h),
    family: Uint8Array.from(boxes.family), state: Uint8Array.from(boxes.state),
    kind: Uint8Array.from(boxes.kind), parent: Int32Array.from(boxes.parent),
    inside: Uint32Array.from(boxes.count), repeat: Uint32Array.from(boxes.repeat),
    changed: Uint32Array.from(boxes.changed), type: Int16Array.from(boxes.type),
    types: payload.types, hidden: payload.hidden || [], heat: payload.heat || {},
    labels: new Map(),
  };
  scene.edges = buildEdges(payload.edges);
  scene.rowOrder = Uint32Array.from(scene.x.keys()).sort((a, b) => scene.y[a] - scene.y[b] || scene.x[a] - scene.x[b]);
  scene.frames = scene.rowOrder.filter((box) => scene.kind[box] === FRAME);
  scene.solid = scene.rowOrder.filter((box) => scene.kind[box] !== FRAME);
  scene.byName = names(scene, payload.members || {});
  scene.stands = standsFor(scene, payload.members || {});
  scene.boxStrips = buildStrips(scene.solid.length, (i) => scene.y[scene.solid[i]], (i) => scene.y[scene.solid[i]] + scene.h[scene.solid[i]]);
  scene.edgeStrips = buildStrips(scene.edges.count, (edge) => scene.edges.bounds[edge * 4 + 1], (edge) => scene.edges.bounds[edge * 4 + 3]);
  [scene.outStart, scene.outEdge] = adjacency(scene.count, scene.edges.from);
  [scene.inStart, scene.inEdge] = adjacency(scene.count, scene.edges.to);
  return scene;
}

function pick(source, keys) {
  return Object.fromEntries(keys.map((key) => [key, source[key]]));
}

function names(scene, members) {
  const byName = new Map();
  for (const [box, inner] of Object.entries(members)) for (const name of inner) byName.set(name, Number(box));
  for (let box = 0; box < scene.count; box += 1) byName.set(scene.name[box], box);
  return byName;
}

// Instruction boxes stand for the one value that they compute: that is what a click selects.
function standsFor(scene, members) {
  const stands = new Map();
  for (const [box, inner] of Object.entries(members)) if (scene.kind[box] === NODE && inner.length === 1) stands.set(Number(box), inner[0]);
  return stands;
}

// The name that selecting a box selects everywhere.
export function selectable(scene, box) {
  return scene.stands.get(box) ?? scene.name[box];
}

// The frames around a box, outermost first.
export function framesAround(scene, box) {
  const found = [];
  for (let frame = scene.parent[box]; frame >= 0; frame = scene.parent[frame]) found.unshift(frame);
  return found;
}

function buildEdges(edges) {
  const count = edges.from.length;
  const points = Float32Array.from(edges.points);
  const start = Uint32Array.from(edges.start);
  const bounds = new Float32Array(count * 4);
  for (let edge = 0; edge < count; edge += 1) {
    let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
    for (let p = start[edge]; p < start[edge + 1]; p += 1) {
      left = Math.min(left, points[2 * p]); right = Math.max(right, points[2 * p]);
      top = Math.min(top, points[2 * p + 1]); bottom = Math.max(bottom, points[2 * p + 1]);
    }
    bounds.set([left, top, right, bottom], edge * 4);
  }
  return {
    count, points, start, bounds, value: edges.value,
    from: Int32Array.from(edges.from), to: Int32Array.from(edges.to),
    stub: Uint8Array.from(edges.stub), state: Uint8Array.from(edges.state),
  };
}

// Compressed rows: the edges whose end `ends` is box b are list[start[b]] … list[start[b+1] - 1].
function adjacency(count, ends) {
  const start = new Uint32Array(count + 1);
  for (const box of ends) if (box >= 0) start[box + 1] += 1;
  for (let box = 0; box < count; box += 1) start[box + 1] += start[box];
  const list = new Uint32Array(start[count]);
  const next = start.slice();
  ends.forEach((box, edge) => { if (box >= 0) { list[next[box]] = edge; next[box] += 1; } });
  return [start, list];
}

export function edgesOut(scene, box) {
  return scene.outEdge.subarray(scene.outStart[box], scene.outStart[box + 1]);
}

export function edgesIn(scene, box) {
  return scene.inEdge.subarray(scene.inStart[box], scene.inStart[box + 1]);
}

// The box itself, its neighbours, and the edges between them.
export function neighbourhood(scene, box, steps = 1) {
  const boxes = new Set([box]);
  const edges = new Set();
  let border = [box];
  for (let step = 0; step < steps; step += 1) {
    const next = [];
    for (const here of border) {
      for (const edge of edgesOut(scene, here)) { edges.add(edge); next.push(scene.edges.to[edge]); }
      for (const edge of edgesIn(scene, here)) { edges.add(edge); next.push(scene.edges.from[edge]); }
    }
    border = next.filter((near) => near >= 0 && !boxes.has(near));
    border.forEach((near) => boxes.add(near));
  }
  for (const inner of [...boxes]) for (let frame = scene.parent[inner]; frame >= 0; frame = scene.parent[frame]) boxes.add(frame);
  return { boxes, edges };
}

// Boxes that the pass touched, in reading order.
export function changedBoxes(scene) {
  return [...scene.rowOrder].filter((box) => scene.kind[box] !== FRAME && (scene.state[box] !== SAME || scene.changed[box] > 0));
}
