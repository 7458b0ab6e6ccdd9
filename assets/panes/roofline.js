// The roofline: what every kernel achieves against the measured peaks, both axes logarithmic; a click selects.

import { el } from "../core/dom.js";
import { digits, flops, bytes as bytesText, milliseconds } from "../core/format.js";
import { state, subscribe } from "../core/state.js";
import { palette } from "../graph/palette.js";

const LEFT = 46, RIGHT = 12, TOP = 12, BOTTOM = 30, NEAR = 12;

// Returns {element, stop, paint}; `choose(row)` is called for a clicked kernel.
export function roofline(payload, choose) {
  const canvas = el("canvas.roofline", { tabindex: 0, role: "img", "aria-label": description(payload) });
  const tip = el("div.tip", { hidden: true });
  const stage = el("div.roofline-stage", {}, canvas, tip);
  const chart = new Chart(canvas, tip, payload, choose);
  const watch = new ResizeObserver(() => chart.paint());
  watch.observe(stage);
  const stopState = subscribe(["selected", "theme", "projector"], () => requestAnimationFrame(() => chart.paint()));
  canvas.addEventListener("pointermove", (event) => chart.hover(event));
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("click", (event) => { const row = chart.hit(event); if (row >= 0) choose(row); });
  canvas.addEventListener("keydown", (event) => chart.step(event));
  document.fonts.load("400 11px Inter").then(() => chart.paint());
  return { element: stage, stop: () => { watch.disconnect(); stopState(); } };
}

// Rows that have a place: those that compute, move something, and are timed.
export function placed(rows) {
  return [...rows.name.keys()].filter((at) => rows.gflops[at] > 0 && rows.gbytes[at] > 0);
}

function description({ rows, roofs }) {
  const shown = placed(rows);
  const best = shown.reduce((one, other) => (rows.gflops[other] > rows.gflops[one] ? other : one), shown[0]);
  const peaks = [roofs.gflops ? `${digits(roofs.gflops)} GFLOP/s` : "", ...Object.entries(roofs.gbytes).map(([name, rate]) => `${name} ${digits(rate)} GB/s`)].filter(Boolean).join(", ");
  return `Roofline of ${shown.length} kernels. Measured peaks: ${peaks || "none"}.${shown.length ? ` Fastest: ${rows.title[best]}, ${digits(rows.gflops[best])} GFLOP/s.` : ""}`;
}

class Chart {
  constructor(canvas, tip, payload, choose) {
    Object.assign(this, { canvas, tip, payload, choose, rows: payload.rows, shown: placed(payload.rows) });
    this.canvas.dataset.dots = this.shown.length;
  }

  intensity(at) {
    return this.rows.gflops[at] / this.rows.gbytes[at];
  }

  measure() {
    const place = this.canvas.parentElement.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(place.width * ratio));
    this.canvas.height = Math.max(1, Math.round(place.height * ratio));
    this.canvas.style.width = `${place.width}px`;
    this.canvas.style.height = `${place.height}px`;
    this.width = place.width - LEFT - RIGHT;
    this.height = place.height - TOP - BOTTOM;
    const { gflops: peak, gbytes } = this.payload.roofs;
    const xs = this.shown.map((at) => this.intensity(at)), ys = this.shown.map((at) => this.rows.gflops[at]);
    const rates = Object.values(gbytes);
    if (peak && rates.length) xs.push(peak / Math.max(...rates), peak / Math.min(...rates));
    this.x = span(xs, 0.1, 100);
    this.y = span([...ys, ...(peak ? [peak] : [])], 1, 100);
    return ratio;
  }

  px(value) {
    return LEFT + ((Math.log10(value) - this.x[0]) / (this.x[1] - this.x[0])) * this.width;
  }

  py(value) {
    return TOP + this.height - ((Math.log10(value) - this.y[0]) / (this.y[1] - this.y[0])) * this.height;
  }

  paint() {
    const ratio = this.measure();
    if (this.width < 20 || this.height < 20) return;
    const context = this.canvas.getContext("2d"), colours = palette();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.font = "400 11px Inter";
    this.axes(context, colours);
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP - 8, this.width + 6, this.height + 9);
    context.clip();
    this.roofs(context, colours);
    this.dots(context, colours);
    this.labels.forEach((label) => label());
    context.restore();
  }

  axes(context, colours) {
    context.lineWidth = 1;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.muted;
    context.textAlign = "center";
    const bottom = TOP + this.height;
    for (let power = Math.ceil(this.x[0]); power <= this.x[1]; power += 1) {
      const x = Math.round(this.px(10 ** power)) + 0.5;
      line(context, x, TOP, x, bottom);
      context.fillText(digits(10 ** power), x, bottom + 13);
    }
    context.fillText("FLOP per byte", LEFT + this.width / 2, bottom + 26);
    context.textAlign = "right";
    for (let power = Math.ceil(this.y[0]); power <= this.y[1]; power += 1) {
      const y = Math.round(this.py(10 ** power)) + 0.5;
      line(context, LEFT, y, LEFT + this.width, y);
      context.fillText(digits(10 ** power), LEFT - 5, y + 4);
    }
    context.textAlign = "left";
    context.fillText("GFLOP/s", 2, bottom + 26);
  }

  // The flat roof is arithmetic, a slope each memory: what a kernel of that intensity reaches at most.
  roofs(context, colours) {
    const { gflops: peak, gbytes } = this.payload.roofs;
    context.strokeStyle = colours.ink;
    context.fillStyle = colours.ink;
    context.lineWidth = 1.5;
    this.labels = [];
    const right = 10 ** this.x[1], left = 10 ** this.x[0];
    const rates = Object.entries(gbytes);
    if (peak) {
      const from = rates.length ? peak / Math.max(...rates.map(([, rate]) => rate)) : left;
      line(context, this.px(Math.max(left, from)), this.py(peak), this.px(right), this.py(peak));
      this.labels.push(() => { context.textAlign = "left"; haloed(context, colours, `${digits(peak)} GFLOP/s`, Math.max(LEFT + 4, this.px(from)), this.py(peak) - 6); });
    }
    const taken = [];
    for (const [name, rate] of rates) {
      const knee = peak ? peak / rate : right;
      context.setLineDash(name === "memory" ? [] : [5, 3]);
      line(context, this.px(left), this.py(left * rate), this.px(knee), this.py(knee * rate));
      context.setLineDash([]);
      this.slope(context, colours, `${name} ${digits(rate)} GB/s`, rate, knee, taken);
    }
  }

  // A name along its slope, where no other lies; what finds no room is in the caption.
  slope(context, colours, text, rate, knee, taken) {
    const angle = -Math.atan2(this.py(1) - this.py(10), this.px(10) - this.px(1));
    for (const away of [64, 110, 160]) {
      const at = knee / 10 ** ((away / this.width) * (this.x[1] - this.x[0]));
      const x = this.px(at), y = this.py(at * rate);
      if (x < LEFT + 44 || taken.some(([left, top]) => Math.abs(left - x) < 90 && Math.abs(top - y) < 26)) continue;
      taken.push([x, y]);
      this.labels.push(() => {
        context.save();
        context.translate(x, y);
        context.rotate(angle);
        context.textAlign = "center";
        haloed(context, colours, text, 0, rate === Math.min(...Object.values(this.payload.roofs.gbytes)) ? 13 : -5);
        context.restore();
      });
      return;
    }
  }

  dots(context, colours) {
    const { selected } = state();
    let chosen = -1;
    const most = Math.max(...this.shown.map((at) => this.rows.ms[at]));
    for (const at of this.shown) {
      if (this.rows.value[at] === selected) chosen = at;
      context.globalAlpha = selected === null || this.rows.value[at] === selected ? 0.85 : 0.55;
      this.dot(context, at, most, colours.bars[this.rows.family[at]], colours);
    }
    context.globalAlpha = 1;
    if (chosen < 0) return;
    this.dot(context, chosen, most, colours.bars[this.rows.family[chosen]], colours);
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(this.px(this.intensity(chosen)), this.py(this.rows.gflops[chosen]), this.radius(chosen, most) + 4, 0, 7);
    context.stroke();
  }

  // The area says how long a kernel takes.
  radius(at, most) {
    return 2.5 + 6 * Math.sqrt(this.rows.ms[at] / most);
  }

  dot(context, at, most, colour, colours) {
    context.fillStyle = colour;
    context.strokeStyle = colours.panel;
    context.lineWidth = 1;
    context.beginPath();
    context.arc(this.px(this.intensity(at)), this.py(this.rows.gflops[at]), this.radius(at, most), 0, 7);
    context.fill();
    context.stroke();
  }

  hit(event) {
    const place = this.canvas.getBoundingClientRect();
    const x = event.clientX - place.left, y = event.clientY - place.top;
    let best = -1, distance = NEAR;
    for (const at of this.shown) {
      const away = Math.hypot(this.px(this.intensity(at)) - x, this.py(this.rows.gflops[at]) - y);
      if (away < distance) { best = at; distance = away; }
    }
    return best;
  }

  hover(event) {
    const at = this.hit(event);
    this.canvas.style.cursor = at < 0 ? "default" : "pointer";
    this.tip.hidden = at < 0;
    if (at < 0) return;
    const { rows } = this, place = this.canvas.getBoundingClientRect();
    this.tip.textContent = `${rows.title[at]} · ${rows.name[at]}\n${digits(rows.gflops[at])} GFLOP/s, ${digits(rows.gbytes[at])} GB/s, ${milliseconds(rows.ms[at])}\n${flops(rows.gflop[at] * 1e9)} on ${bytesText(rows.bytes[at])}`;
    const right = event.clientX - place.left > place.width / 2;
    Object.assign(this.tip.style, { left: right ? "auto" : `${event.clientX - place.left + 12}px`, right: right ? `${place.right - event.clientX + 12}px` : "auto", top: `${Math.max(0, event.clientY - place.top - 20)}px` });
  }

  // Arrow keys walk from dot to dot, left to right.
  step(event) {
    const direction = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!direction || !this.shown.length) return;
    const order = [...this.shown].sort((a, b) => this.intensity(a) - this.intensity(b));
    const here = order.findIndex((at) => this.rows.value[at] === state().selected);
    this.choose(order[(here + direction + order.length) % order.length]);
    event.preventDefault();
    event.stopPropagation();
  }
}

// Letters stay legible on lines and dots.
function haloed(context, colours, text, x, y) {
  context.strokeStyle = colours.panel;
  context.lineWidth = 3;
  context.strokeText(text, x, y);
  context.fillStyle = colours.ink;
  context.fillText(text, x, y);
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

// Powers of ten around the values, with room for a tenth of a decade.
function span(values, low, high) {
  const known = values.filter((value) => value > 0 && Number.isFinite(value));
  if (!known.length) return [Math.log10(low), Math.log10(high)];
  const [from, to] = [Math.log10(Math.min(...known)) - 0.15, Math.log10(Math.max(...known)) + 0.15];
  return to - from < 1 ? [(from + to) / 2 - 0.5, (from + to) / 2 + 0.5] : [from, to];
}
