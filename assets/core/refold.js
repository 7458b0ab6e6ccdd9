// The picture in which some blocks are folded, made from the one in which all are unfolded: a page without a server has no other.

import { squeeze } from "./squeeze.js";

const FOLDED = 1, FRAME = 2;
const SAME = 0, CHANGED = 3, MERGED = 4;
const HEIGHT = 28, HEADER = 34, PADDING = 16, GAP = 8, BESIDE = 12, LINE = 6; // px, as glowviz/app/boxes.py and nesting.py have them
const AROUND = 62, NARROWEST = 96, WIDEST = 248;

// `all` is a scene (docs/payloads.md) with every block unfolded; of them only those named in `opened` stay so.
export function refold(all, opened) {
  const boxes = all.boxes, wanted = new Set(opened);
  const shut = boxes.kind.map((kind, box) => kind === FRAME && !wanted.has(boxes.name[box]));
  const home = homes(boxes, shut);
  const shown = [...boxes.name.keys()].filter((box) => home[box] === box);
  const at = new Map(shown.map((box, k) => [box, k]));
  const place = (box) => (shut[box] ? foldedPlace(boxes, box) : { x: boxes.x[box], y: boxes.y[box], w: boxes.w[box], h: boxes.h[box] });
  const places = new Map(shown.map((box) => [box, place(box)]));
  const edges = joined(all.edges, home, boxes, shut, places);
  const [across, down] = maps(boxes, shown, shut, places, edges);
  const leaves = inside(boxes, home, shut);
  const columns = folded(boxes, shown, shut, leaves);
  columns.parent = shown.map((box) => at.get(boxes.parent[box]) ?? -1);
  Object.assign(columns, moved(shown.map((box) => places.get(box)), across, down));
  const lines = { ...edges, from: edges.from.map((box) => at.get(box)), to: edges.to.map((box) => at.get(box)) };
  lines.points = edges.points.map((one, k) => Math.round(k % 2 ? down(one) : across(one)));
  return { ...all, ...bounds(columns, lines.points), boxes: columns, edges: lines, heat: heat(all.heat, shown, shut, leaves), members: members(all, shown, shut, leaves) };
}

// For each box the one that is drawn for it: the outermost folded block around it, or itself. Frames come before what is in them.
function homes(boxes, shut) {
  const home = [];
  boxes.parent.forEach((around, box) => { home.push(around >= 0 && (home[around] !== around || shut[around]) ? home[around] : box); });
  return home;
}

// Where a folded block stands: at the top of its frame, in its middle.
function foldedPlace(boxes, box) {
  const w = Math.min(WIDEST, Math.max(NARROWEST, Math.round(textWidth("600 12px", boxes.title[box]) + textWidth("400 11px", boxes.detail[box]) + AROUND)));
  return { x: Math.round(boxes.x[box] + (boxes.w[box] - w) / 2), y: boxes.y[box], w, h: HEIGHT };
}

const pen = document.createElement("canvas").getContext("2d");
function textWidth(font, text) {
  pen.font = `${font} Inter`;
  return pen.measureText(text).width;
}

// Edges between what is drawn, each pair once; what lies inside a folded block is cut off.
function joined(edges, home, boxes, shut, places) {
  const made = { from: [], to: [], value: [], state: [], stub: [], points: [], start: [0] }, known = new Set();
  for (let edge = 0; edge < edges.from.length; edge += 1) {
    const from = home[edges.from[edge]], to = home[edges.to[edge]], key = `${from} ${to}`;
    if (from === to || known.has(key)) continue;
    known.add(key);
    let route = [];
    for (let p = edges.start[edge]; p < edges.start[edge + 1]; p += 1) route.push([edges.points[2 * p], edges.points[2 * p + 1]]);
    if (shut[to]) route = cutOff(route, frame(boxes, to), places.get(to), 0);
    if (shut[from]) route = cutOff(route.reverse(), frame(boxes, from), places.get(from), HEIGHT).reverse();
    for (const [column, value] of [["from", from], ["to", to], ["value", edges.value[edge]], ["state", edges.state[edge]], ["stub", edges.stub[edge]]]) made[column].push(value);
    made.points.push(...route.flat());
    made.start.push(made.points.length / 2);
  }
  return made;
}

function frame(boxes, box) {
  return { left: boxes.x[box], right: boxes.x[box] + boxes.w[box], top: boxes.y[box], bottom: boxes.y[box] + boxes.h[box] };
}

// A route that ends inside a frame ends at the folded box instead, `below` its upper border, as straight on as that allows.
function cutOff(route, { left, right, top, bottom }, { x, y, w }, below) {
  const kept = route.slice();
  while (kept.length && kept.at(-1)[0] >= left && kept.at(-1)[0] <= right && kept.at(-1)[1] > top && kept.at(-1)[1] < bottom) kept.pop();
  const along = (kept.at(-1) || route[0])[0];
  return [...kept, [Math.min(x + w - GAP, Math.max(x + GAP, along)), y + below]];
}

// How the plane closes up where nothing is drawn any more: one map for x, one for y, both monotone, so that nothing overlaps.
function maps(boxes, shown, shut, places, edges) {
  const gone = { x: [], y: [] }, kept = { x: [], y: [] };
  for (const box of shown) {
    const { x, y, w, h } = places.get(box);
    if (shut[box]) {
      const { left, right, bottom } = frame(boxes, box);
      gone.y.push([y + h, bottom]);
      gone.x.push([left, x], [x + w, right]);
      kept.y.push([y - GAP, y + h]);
      kept.x.push([x - BESIDE, x + w + BESIDE]);
    } else if (boxes.kind[box] === FRAME) {
      kept.y.push([y, y + HEADER], [y + h - PADDING, y + h]);
      kept.x.push([x, x + PADDING], [x + w - PADDING, x + w]);
    } else {
      kept.y.push([y - GAP, y + h + GAP]);
      kept.x.push([x - BESIDE, x + w + BESIDE]);
    }
  }
  edges.points.forEach((one, k) => kept[k % 2 ? "y" : "x"].push([one - LINE, one + LINE]));
  return [squeeze(gone.x, kept.x), squeeze(gone.y, kept.y)];
}

// Folded block → the boxes in it that are no frames.
function inside(boxes, home, shut) {
  const found = new Map();
  home.forEach((block, box) => {
    if (!shut[block] || boxes.kind[box] === FRAME) return;
    if (!found.has(block)) found.set(block, []);
    found.get(block).push(box);
  });
  return found;
}

function folded(boxes, shown, shut, leaves) {
  const columns = Object.fromEntries(Object.entries(boxes).map(([key, column]) => [key, shown.map((box) => column[box])]));
  shown.forEach((box, k) => {
    if (!shut[box]) return;
    const states = (leaves.get(box) || []).map((leaf) => boxes.state[leaf]);
    columns.kind[k] = FOLDED;
    columns.state[k] = states.includes(MERGED) ? MERGED : states.some((one) => one !== SAME) ? CHANGED : SAME;
  });
  return columns;
}

function moved(places, across, down) {
  const x = places.map((one) => Math.round(across(one.x))), y = places.map((one) => Math.round(down(one.y)));
  return { x, y, w: places.map((one, k) => Math.round(across(one.x + one.w)) - x[k]), h: places.map((one, k) => Math.round(down(one.y + one.h)) - y[k]) };
}

function bounds({ x, y, w, h }, points) {
  const range = (low, high) => low.reduce(([a, b], one, k) => [Math.min(a, one), Math.max(b, high[k])], [Infinity, -Infinity]);
  const xs = points.filter((_, k) => k % 2 === 0);
  const [left, right] = range([...x, ...xs], [...x.map((one, k) => one + w[k]), ...xs]);
  const [top, bottom] = range(y, y.map((one, k) => one + h[k]));
  return x.length ? { origin: [left, top], size: [right - left, bottom - top] } : {};
}

// A block costs what is in it; its error is the worst inside.
function heat(kinds, shown, shut, leaves) {
  const whole = (values, kind, box) => {
    if (!shut[box]) return values[box];
    const some = (leaves.get(box) || []).map((leaf) => values[leaf]).filter((one) => one !== null);
    if (!some.length) return null;
    return kind === "error" ? Math.max(...some) : some.reduce((sum, one) => sum + one, 0);
  };
  return Object.fromEntries(Object.entries(kinds || {}).map(([kind, one]) => [kind, { ...one, values: shown.map((box) => whole(one.values, kind, box)) }]));
}

function members(all, shown, shut, leaves) {
  const own = (box) => all.members[box] || [];
  const found = {};
  shown.forEach((box, k) => {
    const names = shut[box] ? (leaves.get(box) || []).flatMap((leaf) => [all.boxes.name[leaf], ...own(leaf)]) : own(box);
    if (names.length) found[k] = names;
  });
  return found;
}
