// Boxes at the detail the zoom allows: specks, blocks, or cards with bar, glyph, name, shape and marks.

import { drawIcon } from "../core/icons.js";
import { CHANGE_ICONS } from "./colour.js";
import { ADDED, CHANGED, FOLDED, FRAME, INPUT, MERGED, OUTPUT, REMOVED, SAME } from "./scene.js";
import { between } from "./strips.js";

export const SPECK = 0.11, CARD = 0.38;
const BAR = 4, BADGE = 14;
const CARDS = 16, RECTANGLES = 600, LOOKED_AT = 4000; // drawn or looked at between two moments at which a frame may end

export function drawFrames(context, scene, view, k, colours) {
  for (const box of scene.frames) {
    if (outside(scene, box, view)) continue;
    context.fillStyle = colours.panel;
    context.strokeStyle = colours.line;
    context.lineWidth = 1 / k;
    context.globalAlpha = 0.75;
    card(context, scene, box, 8);
    context.fill();
    context.globalAlpha = 1;
    context.stroke();
  }
}

// The fold mark and the name, on a ground of their own: edges run through the frame's upper border.
export function drawFrameTitles(context, scene, view, k, colours) {
  if (k < CARD) return;
  context.font = "600 12px Inter";
  for (const box of scene.frames) {
    if (outside(scene, box, view)) continue;
    const x = scene.x[box], y = scene.y[box];
    const title = cut(context, scene.title[box], scene.w[box] - 40);
    context.fillStyle = colours.panel;
    context.fillRect(x + 5, y + 3, 24 + context.measureText(title).width, 18);
    drawIcon(context, "down", x + 8, y + 6, 12, colours.muted);
    context.fillStyle = colours.muted;
    context.fillText(title, x + 24, y + 16);
  }
}

// Draws the boxes inside `view`, some at a time; `look` says what colour means, `dim(box)` gives each box's opacity.
export function* drawBoxes(context, scene, view, k, look, colours, marks, { only = null, dim = null, fade = 1 } = {}) {
  const shown = [], near = between(scene.boxStrips, view.top, view.bottom);
  for (let i = 0; i < near.length; i += 1) {
    const box = scene.solid[near[i]];
    if (!outside(scene, box, view) && (!only || only.has(box))) shown.push(box);
    if (i % LOOKED_AT === LOOKED_AT - 1) yield;
  }
  const opacity = (box) => (dim ? dim(box) : 1) * (isGhost(scene, box) ? 0.55 : scene.state[box] === ADDED ? fade : 1);
  if (k < CARD) yield* blocks(context, scene, shown, k, look, opacity);
  else {
    for (let at = 0; at < shown.length; at += 1) {
      context.globalAlpha = opacity(shown[at]);
      whole(context, scene, shown[at], k, look, colours, marks);
      if (at % CARDS === CARDS - 1) yield;
    }
  }
  context.globalAlpha = 1;
  return shown.length;
}

// Far away a box is a tinted block with its bar, farther a speck; those of one colour are drawn together.
function* blocks(context, scene, shown, k, look, opacity) {
  const speck = k < SPECK;
  const width = Math.max(BAR, 2 / k);
  for (const [colour, boxes] of yield* byColour(shown, speck ? look.bar : look.ground)) {
    yield* rectangles(context, scene, boxes, colour, opacity, 0);
  }
  if (speck) return;
  for (const [colour, boxes] of yield* byColour(shown, look.bar)) yield* rectangles(context, scene, boxes, colour, opacity, width);
}

function* byColour(boxes, colour) {
  const groups = new Map();
  for (let at = 0; at < boxes.length; at += 1) {
    const key = colour(boxes[at]);
    const group = groups.get(key);
    if (group) group.push(boxes[at]); else groups.set(key, [boxes[at]]);
    if (at % LOOKED_AT === LOOKED_AT - 1) yield;
  }
  return groups;
}

function* rectangles(context, scene, boxes, colour, opacity, width) {
  context.fillStyle = colour;
  let alpha = -1;
  for (let at = 0; at < boxes.length; at += 1) {
    const box = boxes[at], wanted = opacity(box);
    if (wanted !== alpha) context.globalAlpha = alpha = wanted;
    context.fillRect(scene.x[box], scene.y[box], width || scene.w[box], scene.h[box]);
    if (at % RECTANGLES === RECTANGLES - 1) yield;
  }
}

// What is no longer there: removed, or merged into another box (which carries the "2→1").
function isGhost(scene, box) {
  return scene.state[box] === REMOVED || (scene.state[box] === MERGED && scene.kind[box] === 0 && !scene.badge[box]);
}

function whole(context, scene, box, k, look, colours, marks) {
  const x = scene.x[box], y = scene.y[box], h = scene.h[box];
  if (scene.repeat[box] > 1) stack(context, scene, box, k, look, colours);
  context.fillStyle = look.ground(box);
  const radius = scene.kind[box] === INPUT || scene.kind[box] === OUTPUT ? h / 2 : 4;
  card(context, scene, box, radius);
  context.fill();
  context.strokeStyle = colours.line;
  context.lineWidth = 1 / k;
  context.stroke();
  bar(context, scene, box, look, radius);
  outline(context, scene, box, k, look, colours, radius);
  label(context, scene, box, k, look, colours, marks);
  badge(context, scene, box, look, colours);
  if (h > 0 && k < 0.42) return;
  if (isGhost(scene, box)) strike(context, scene, box, x, y, colours);
}

function card(context, scene, box, radius) {
  context.beginPath();
  context.roundRect(scene.x[box] + 0.5, scene.y[box] + 0.5, scene.w[box] - 1, scene.h[box] - 1, radius);
}

// A block that stands for several equal ones looks like a small pile.
function stack(context, scene, box, k, look, colours) {
  context.strokeStyle = colours.line;
  context.lineWidth = 1 / k;
  for (const step of [6, 3]) {
    context.beginPath();
    context.roundRect(scene.x[box] + step + 0.5, scene.y[box] + step + 0.5, scene.w[box] - 1, scene.h[box] - 1, 4);
    context.fillStyle = look.ground(box);
    context.fill();
    context.stroke();
  }
}

function bar(context, scene, box, look, radius) {
  if (radius > 4) return;
  context.fillStyle = look.bar(box);
  context.beginPath();
  context.roundRect(scene.x[box], scene.y[box], BAR, scene.h[box], [4, 0, 0, 4]);
  if (scene.family[box] === 6) {
    // control and recurrent ops carry a dashed bar
    for (let at = 0; at < scene.h[box]; at += 7) context.fillRect(scene.x[box], scene.y[box] + at, BAR, 4);
  } else context.fill();
}

function outline(context, scene, box, k, look, colours, radius) {
  const state = scene.state[box];
  if (state === SAME) return;
  context.strokeStyle = look.marks ? colours.changes[state] : colours.muted;
  context.lineWidth = (state === CHANGED ? 2.5 : 1.5) / Math.min(1, k);
  if (isGhost(scene, box)) context.setLineDash([4, 3]);
  card(context, scene, box, radius);
  context.stroke();
  context.setLineDash([]);
  if (state !== ADDED) return;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(scene.x[box] - 2.5, scene.y[box] - 2.5, scene.w[box] + 5, scene.h[box] + 5, radius + 2);
  context.stroke();
}

function label(context, scene, box, k, look, colours, marks) {
  const x = scene.x[box], y = scene.y[box], h = scene.h[box];
  const middle = y + h / 2 + 4.5;
  const pill = scene.kind[box] === INPUT || scene.kind[box] === OUTPUT;
  const words = texts(context, scene, box, look, pill);
  if (!pill) drawIcon(context, marks.families[scene.family[box]].key, x + 9, y + h / 2 - 5, 10, look.icon ? look.icon(box) : look.bar(box));
  context.fillStyle = look.text(box);
  context.font = "600 12px Inter";
  context.fillText(words.title, x + (pill ? 12 : 24), middle);
  if (k < 0.5) return;
  context.font = "400 11px Inter";
  context.fillStyle = look.number(box) || look.heat ? look.text(box) : colours.muted;
  context.fillText(words.detail, x + scene.w[box] - words.detailWidth - (scene.kind[box] === FOLDED ? 20 : 8), middle - 0.5);
  if (scene.kind[box] === FOLDED) drawIcon(context, "right", x + scene.w[box] - 17, y + h / 2 - 6, 12, colours.muted);
}

// Title and right-hand text cut to the box, measured once per box and colour mode.
function texts(context, scene, box, look, pill) {
  const key = look.number(box) || scene.detail[box];
  const kept = scene.labels.get(box);
  if (kept && kept.key === key) return kept;
  const folded = scene.kind[box] === FOLDED;
  const room = scene.w[box] - (pill ? 24 : 32) - (folded ? 14 : 0);
  context.font = "400 11px Inter";
  // The shape alone where op and shape do not fit, and nothing where that leaves too little of the name.
  const choices = [key, key.split("  ").pop(), ""].map((text) => [text, text ? context.measureText(text).width : 0]);
  context.font = "600 12px Inter";
  const needed = Math.min(context.measureText(scene.title[box]).width, room * (look.number(box) ? 0.3 : 0.55));
  const [detail, detailWidth] = choices.find(([, width]) => needed + width + 8 <= room) || choices[2];
  const title = cut(context, scene.title[box], room - (detailWidth ? detailWidth + 8 : 0));
  const words = { key, title, detail, detailWidth };
  scene.labels.set(box, words);
  return words;
}

// Cuts the middle out: both ends of a long name tell more than its beginning alone.
export function cut(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let low = 1, high = text.length;
  while (low < high) {
    const keep = (low + high + 1) >> 1;
    if (context.measureText(shortened(text, keep)).width <= room) low = keep; else high = keep - 1;
  }
  return shortened(text, low);
}

function shortened(text, keep) {
  const head = Math.ceil(keep * 0.45);
  return text.slice(0, head) + "…" + (keep > head ? text.slice(text.length - (keep - head)) : "");
}

export function badge(context, scene, box, look, colours) {
  const state = scene.state[box];
  if (state === SAME && !scene.changed[box]) return;
  const text = scene.changed[box] > 1 || scene.kind[box] === FOLDED ? String(scene.changed[box] || "") : scene.badge[box];
  context.font = "600 11px Inter";
  const width = BADGE + (text ? context.measureText(text).width + 5 : 0);
  const x = scene.x[box] + scene.w[box] - width + 6, y = scene.y[box] - 7;
  context.fillStyle = look.marks ? colours.changes[state || MERGED] : colours.muted;
  context.beginPath();
  context.roundRect(x, y, width, BADGE, 4);
  context.fill();
  drawIcon(context, CHANGE_ICONS[state] || "swap", x + 2, y + 2, 10, colours.panel, 2.4);
  context.fillStyle = colours.panel;
  if (text) context.fillText(text, x + BADGE, y + 11);
}

function strike(context, scene, box, x, y, colours) {
  const words = scene.labels.get(box);
  if (!words) return;
  context.font = "600 12px Inter";
  context.strokeStyle = colours.ink;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x + 24, y + scene.h[box] / 2);
  context.lineTo(x + 24 + context.measureText(words.title).width, y + scene.h[box] / 2);
  context.stroke();
}

function outside(scene, box, view) {
  return scene.x[box] > view.right || scene.x[box] + scene.w[box] < view.left
    || scene.y[box] > view.bottom || scene.y[box] + scene.h[box] < view.top;
}

export function drawOutline(context, scene, box, k, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width / Math.min(1, k);
  const radius = scene.kind[box] === FRAME ? 8 : scene.kind[box] >= INPUT ? scene.h[box] / 2 : 4;
  context.beginPath();
  context.roundRect(scene.x[box] - 1, scene.y[box] - 1, scene.w[box] + 2, scene.h[box] + 2, radius + 1);
  context.stroke();
}
