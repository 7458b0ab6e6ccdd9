// Small pictures of a tensor's maps on one stated colour scale: the form in which feature maps and weights are looked at.

import { el, replace } from "../core/dom.js";
import { digits } from "../core/format.js";
import { subscribe } from "../core/state.js";
import { palette } from "../graph/palette.js";

const MARK = 255, LEVELS = 254;
const GRIDS = [[1, 300, 1], [4, 150, 2], [9, 98, 3], [16, 73, 4], [Infinity, 34, 8]]; // among so many maps: px of one, maps in a row

// Returns a figure of `picture` (docs/payloads.md); `compact` leaves out the caption.
export function maps(picture, { compact = false, side = null } = {}) {
  const pixels = Uint8Array.from(atob(picture.pixels), (letter) => letter.charCodeAt(0));
  const size = picture.width * picture.height;
  const coloured = picture.maps === 3 && picture.all_maps === 3 && picture.height > 1;
  const [, most, across] = side ? [0, side, "auto-fill"] : GRIDS.find(([count]) => picture.maps + Number(coloured) <= count);
  const [wide, high] = shownSize(picture, most);
  const tiles = [...Array(picture.maps).keys()].map((at) => tile(at, picture, pixels.subarray(at * size, (at + 1) * size), wide, high));
  const colour = coloured ? together(picture, pixels, wide, high) : null;
  const strip = el("canvas.scale", { width: LEVELS + 1, height: 1, "aria-hidden": "true" });
  const all = [colour, ...tiles].filter(Boolean);
  const paint = () => { const lut = table(picture); all.forEach((one) => one.paint(lut)); paintScale(strip, lut); };
  const figure = el("figure.maps", {}, el("div.tiles", { style: { gridTemplateColumns: `repeat(${across}, ${wide}px)` } }, all.map((one) => one.element)),
    compact ? null : scale(picture, strip), compact ? null : el("figcaption.muted", {}, caption(picture)));
  paint();
  const stop = subscribe(["theme"], () => { if (!figure.isConnected) stop(); else paint(); });
  return figure;
}

// Whole px a pixel of a map where it is small, so that all of its pixels are alike.
function shownSize({ width, height }, most) {
  const longest = Math.max(width, height);
  const zoom = longest * 4 <= most ? Math.floor(most / longest) : most / longest;
  return [Math.max(1, Math.round(width * zoom)), Math.max(height === 1 ? 14 : 1, Math.round(height * zoom))];
}

function tile(at, picture, levels, wide, high) {
  const canvas = el("canvas.map", { width: picture.width, height: picture.height, role: "img", style: { width: `${wide}px`, height: `${high}px` } });
  const name = indexOf(at, picture.shape);
  const odd = levels.includes(MARK);
  canvas.setAttribute("aria-label", `Map ${name}${odd ? ", with NaN or infinite numbers" : ""}`);
  canvas.title = `${name}${odd ? " · ✕ holds NaN or infinite numbers" : ""}`;
  canvas.onmousemove = (event) => { canvas.title = pointed(event, canvas, picture, levels, name); };
  return { element: odd ? el("span.odd-map", {}, canvas, el("span.sign", { "aria-hidden": "true" }, "✕")) : canvas, paint: (lut) => paintOn(canvas, levels, lut) };
}

function pointed(event, canvas, picture, levels, name) {
  const x = Math.min(picture.width - 1, Math.max(0, Math.floor((event.offsetX / canvas.clientWidth) * picture.width)));
  const y = Math.min(picture.height - 1, Math.max(0, Math.floor((event.offsetY / canvas.clientHeight) * picture.height)));
  const level = levels[y * picture.width + x];
  const [rows, columns] = picture.block;
  const place = picture.height > 1 ? `${y * rows}, ${x * columns}` : `${x * columns}`;
  const mean = rows * columns > 1 ? "≈ mean " : "≈ ";
  return `${name} at ${place}: ${level === MARK ? "NaN or infinite" : mean + digits(picture.low + (level / LEVELS) * (picture.high - picture.low))}`;
}

// Three maps as the red, green and blue of one picture: what the model was shown.
function together(picture, pixels, wide, high) {
  const size = picture.width * picture.height;
  const canvas = el("canvas.map", { width: picture.width, height: picture.height, role: "img", "aria-label": "The three maps as red, green and blue", title: "0, 1, 2 as red, green, blue", style: { width: `${wide}px`, height: `${high}px` } });
  const paint = () => {
    const image = new ImageData(picture.width, picture.height);
    for (let i = 0; i < size; i += 1) image.data.set([pixels[i], pixels[i + size], pixels[i + 2 * size], 255], i * 4);
    canvas.getContext("2d").putImageData(image, 0, 0);
  };
  return { element: canvas, paint };
}

function paintOn(canvas, levels, lut) {
  const image = new ImageData(canvas.width, canvas.height);
  const words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < levels.length; i += 1) words[i] = lut[levels[i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function paintScale(canvas, lut) {
  paintOn(canvas, Uint8Array.from({ length: LEVELS + 1 }, (_, level) => level), lut);
}

// Two hues around 0 where there are both signs, else one ramp; NaN and infinities have a colour of their own.
function table({ low, high }) {
  const colours = palette();
  const both = low < 0 && high > 0, most = Math.max(-low, high);
  const lut = new Uint32Array(256);
  for (let level = 0; level <= LEVELS; level += 1) {
    const value = low + (level / LEVELS) * (high - low);
    lut[level] = both ? packed(mixed(colours.panel, value < 0 ? colours.bars[3] : colours.accent, Math.abs(value) / most))
      : packed(mixed(colours["heat-low"], colours["heat-high"], level / LEVELS));
  }
  lut[MARK] = packed(channels(colours.changes[2]));
  return lut;
}

function channels(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function mixed(one, other, share) {
  const [a, b] = [channels(one), channels(other)];
  return a.map((value, i) => Math.round(value + (b[i] - value) * share));
}

function packed([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function scale({ low, high }, strip) {
  const zero = low < 0 && high > 0 ? el("span.zero", { style: { left: `${(-low / (high - low)) * 100}%` } }, "0") : null;
  return el("div.map-scale", { role: "img", "aria-label": `Colours from ${digits(low)} to ${digits(high)}` },
    el("span.num", {}, digits(low)), el("span.strip", {}, strip, zero), el("span.num", {}, digits(high)));
}

function caption(picture) {
  const { maps: count, all_maps: all, block: [rows, columns], height } = picture;
  const which = all > 1 ? `Maps ${indexOf(0, picture.shape)} … ${indexOf(count - 1, picture.shape)}${count < all ? ` of ${all.toLocaleString("en-US")}` : ""}` : height > 1 ? "All rows and columns" : "All elements in a row";
  const mean = rows * columns > 1 ? `; a pixel is the mean of ${rows > 1 ? `${rows} × ${columns}` : columns}` : "";
  return `${which}${mean}. One colour scale for all.`;
}

// The index of a map among the leading dimensions, as numpy writes it; 1 × 1 dimensions at the end are no map.
function indexOf(at, shape) {
  let dims = [...shape];
  while (dims.length > 2 && dims[dims.length - 1] === 1 && dims[dims.length - 2] === 1) dims = dims.slice(0, -2);
  const index = [];
  for (const dim of dims.slice(0, -2).reverse()) { index.unshift(at % dim); at = Math.floor(at / dim); }
  return `[${index.join(", ")}${index.length ? ", " : ""}:, :]`;
}
