// The memory map: every buffer as a rectangle, address upwards and time to the right, with the peak marked.

import { address } from "../core/api.js";
import { el, empty, replace } from "../core/dom.js";
import { bytes, hex } from "../core/format.js";
import { watch } from "../core/pane.js";
import { select, state, subscribe } from "../core/state.js";
import { palette } from "../graph/palette.js";
import { account } from "./overview.js";
import { scrubber } from "./scrub.js";

const LEFT = 64, RIGHT = 10, BOTTOM = 18, CURVE = 34;
const KINDS = { activation: 0, weight: 5, packed: 3, scratch: 2, state: 1 };

export function drawMemory(element) {
  let map = null;
  const stop = watch(element, {
    keys: ["recording", "at"],
    path: (now) => (now.recording ? address(now.recording, `memory/${now.at}`) : null),
    none: () => "No model is open.",
    draw: (payload) => {
      map?.destroy();
      map = null;
      if (!payload.buffers.name.length) { replace(element, empty(payload.lines[0] || "Memory is planned once the program exists.")); return; }
      map = new MemoryMap(element, payload);
    },
  });
  const stopState = subscribe(["selected", "theme"], () => map?.paint());
  return () => { stop(); stopState(); map?.destroy(); };
}

class MemoryMap {
  constructor(element, payload) {
    this.payload = payload;
    this.buffers = payload.buffers;
    this.step = null; // the statement that is looked at; null = the whole run
    this.space = payload.spaces.length ? payload.spaces[0].name : "";
    this.canvas = el("canvas.memory-canvas", { role: "img", "aria-label": this.description() });
    this.tip = el("div.tip", { hidden: true });
    const choose = el("select", { "aria-label": "Memory space", onchange: () => { this.space = choose.value; this.paint(); } },
      payload.spaces.map((space) => el("option", { value: space.name }, `${space.name} · ${bytes(space.size)}`)));
    this.stage = el("div.memory-stage", {}, this.canvas, this.tip);
    const side = el("div.memory-side", {}, el("h4", {}, payload.planned ? "Peak" : "Peak before planning (≈)"),
      payload.lines.slice(0, 2).map(factLine), schemes(payload.schemes || []), el("h4", {}, "Why, and what would shrink it"), payload.lines.slice(2).map(factLine), el("h4", {}, "Account"), account(payload.account));
    replace(element, el("div.memory", {}, el("div.memory-main", {}, el("div.code-head", {}, choose, el("span.muted", {},
      `${this.buffers.name.length.toLocaleString("en-US")} buffers · ${payload.steps} steps${payload.bound ? ` · lower bound ${bytes(payload.bound)}` : ""}`), scrubber(this)), this.stage), side));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("click", (event) => this.click(event));
    document.fonts.load("600 11px Inter").then(() => this.paint());
    this.observer = new ResizeObserver(() => this.paint());
    this.observer.observe(this.stage);
  }

  destroy() {
    this.observer.disconnect();
  }

  description() {
    const { peak, lines } = this.payload;
    return `Memory map, peak ${bytes(peak.bytes)} at step ${peak.step}. ${lines.join(" ")}`;
  }

  measure() {
    const place = this.stage.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(place.width * ratio));
    this.canvas.height = Math.max(1, Math.round(place.height * ratio));
    this.canvas.style.width = `${place.width}px`;
    this.canvas.style.height = `${place.height}px`;
    const size = this.payload.spaces.find((space) => space.name === this.space)?.size || 1;
    this.width = place.width - LEFT - RIGHT;
    this.height = place.height - BOTTOM - CURVE - 8;
    this.top = CURVE + 4;
    this.perStep = this.width / Math.max(1, this.payload.steps);
    this.perByte = this.height / size;
    this.size = size;
    return ratio;
  }

  paint() {
    const begin = performance.now();
    const ratio = this.measure();
    const context = this.canvas.getContext("2d");
    const colours = palette();
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.axes(context, colours);
    this.boxes(context, colours);
    this.curve(context, colours);
    this.peak(context, colours);
    this.now(context, colours);
    this.milliseconds = performance.now() - begin;
    this.canvas.dataset.milliseconds = this.milliseconds.toFixed(1);
  }

  place(at) {
    const b = this.buffers;
    const y = this.top + this.height - (b.offset[at] + b.size[at]) * this.perByte;
    return [LEFT + b.first[at] * this.perStep, y, Math.max(1, (b.end[at] - b.first[at]) * this.perStep), Math.max(1, b.size[at] * this.perByte)];
  }

  boxes(context, colours) {
    const b = this.buffers;
    const { selected } = state();
    const { step } = this.payload.peak;
    let chosen = -1;
    context.lineWidth = 1;
    for (let at = 0; at < b.name.length; at += 1) {
      if (b.space[at] !== this.space) continue;
      const [x, y, w, h] = this.place(at);
      const kind = KINDS[b.kind[at]] ?? 0;
      if (this.step !== null && b.first[at] > this.step) continue; // not there yet
      context.globalAlpha = this.step !== null && b.end[at] <= this.step ? 0.2 : 1;
      const atPeak = b.kind[at] === "activation" && b.first[at] <= step && step < b.end[at];
      context.fillStyle = atPeak ? colours.ramp[5] : colours.tints[kind];
      context.fillRect(x, y, w, h);
      if (w > 3 && h > 3) { context.strokeStyle = colours.bars[kind]; context.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1); }
      if (w > 60 && h > 14) this.label(context, colours, at, x, y, w);
      if (b.value[at] === selected || b.name[at] === selected) chosen = at;
    }
    context.globalAlpha = 1;
    if (chosen < 0) return;
    const [x, y, w, h] = this.place(chosen);
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.strokeRect(x, y, w, h);
  }

  label(context, colours, at, x, y, w) {
    context.save();
    context.beginPath();
    context.rect(x, y, w - 4, 16);
    context.clip();
    context.fillStyle = colours.ink;
    context.font = "400 11px Inter";
    context.fillText(this.buffers.title[at], x + 4, y + 12);
    context.restore();
  }

  axes(context, colours) {
    context.font = "400 11px Inter";
    context.fillStyle = colours.muted;
    context.strokeStyle = colours.line;
    context.textAlign = "right";
    for (let part = 0; part <= 4; part += 1) {
      const y = Math.round(this.top + this.height * (1 - part / 4)) + 0.5;
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(LEFT + this.width, y);
      context.stroke();
      context.fillText(bytes((this.size * part) / 4), LEFT - 6, y + 4);
    }
    context.textAlign = "left";
    context.fillText("step 0", LEFT, this.top + this.height + 14);
    context.textAlign = "right";
    context.fillText(`step ${this.payload.steps}`, LEFT + this.width, this.top + this.height + 14);
    context.textAlign = "left";
  }

  // Bytes alive per step, as a strip above the map.
  curve(context, colours) {
    const { live } = this.payload;
    const most = Math.max(1, ...live);
    context.fillStyle = colours["accent-tint"];
    context.strokeStyle = colours.accent;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(LEFT, CURVE);
    live.forEach((size, step) => {
      const y = CURVE - (size / most) * (CURVE - 6);
      context.lineTo(LEFT + step * this.perStep, y);
      context.lineTo(LEFT + (step + 1) * this.perStep, y);
    });
    context.lineTo(LEFT + this.width, CURVE);
    context.fill();
    context.stroke();
    context.fillStyle = colours.muted;
    context.font = "400 11px Inter";
    context.textAlign = "right";
    context.fillText("alive", LEFT - 6, CURVE - 8);
    context.textAlign = "left";
  }

  peak(context, colours) {
    const { peak } = this.payload;
    const x = LEFT + (peak.step + 0.5) * this.perStep;
    context.strokeStyle = colours.changes[2];
    context.lineWidth = 1.5;
    context.setLineDash([5, 3]);
    context.beginPath();
    context.moveTo(x, 2);
    context.lineTo(x, this.top + this.height);
    context.stroke();
    context.setLineDash([]);
    const text = `peak ${bytes(peak.bytes)} · step ${peak.step}`;
    context.font = "600 11px Inter";
    const width = context.measureText(text).width + 8;
    const left = Math.min(x + 4, LEFT + this.width - width);
    context.fillStyle = colours.panel;
    context.fillRect(left, 2, width, 16);
    context.fillStyle = colours.ink;
    context.fillText(text, left + 4, 14);
  }

  // The statement that is looked at.
  now(context, colours) {
    if (this.step === null) return;
    const x = LEFT + (this.step + 0.5) * this.perStep;
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(x, 2);
    context.lineTo(x, this.top + this.height);
    context.stroke();
  }

  find(event) {
    const place = this.canvas.getBoundingClientRect();
    const x = event.clientX - place.left, y = event.clientY - place.top;
    for (let at = this.buffers.name.length - 1; at >= 0; at -= 1) {
      const b = this.buffers;
      if (b.space[at] !== this.space) continue;
      const across = LEFT + b.first[at] * this.perStep;
      if (x < across || x > across + Math.max(1, (b.end[at] - b.first[at]) * this.perStep)) continue;
      const [left, top, w, h] = this.place(at);
      if (x >= left && x <= left + w && y >= top && y <= top + h) return at;
    }
    return -1;
  }

  hover(event) {
    const at = this.find(event);
    this.tip.hidden = at < 0;
    if (at < 0) return;
    const b = this.buffers;
    this.tip.textContent = `${b.title[at]} · ${bytes(b.size[at])} · ${hex(b.offset[at])}–${hex(b.offset[at] + b.size[at])} · steps ${b.first[at]}–${b.end[at] - 1} · ${b.kind[at]}`;
    const place = this.stage.getBoundingClientRect();
    this.tip.style.left = `${Math.max(4, Math.min(event.clientX - place.left + 10, place.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${Math.max(4, event.clientY - place.top - 28)}px`;
  }

  click(event) {
    const at = this.find(event);
    if (at >= 0) select(this.buffers.value[at] || this.buffers.name[at]);
  }
}

function factLine(line) {
  return el("p.fact-line", {}, line);
}

// The same lifetimes under other ways of giving out addresses.
function schemes(rows) {
  if (!rows.length) return null;
  const most = Math.max(1, ...rows.map((row) => row.bytes));
  return [el("h4", {}, "Same lifetimes, other schemes"), el("table.schemes", {}, el("tbody", {}, rows.map((row) => el(`tr${row.name === "ours" ? ".ours" : ""}`, { dataset: { scheme: row.name } },
    el("th", { scope: "row" }, row.name), el("td", {}, el("span.track", {}, el("span.fill", { style: { width: `${(100 * row.bytes) / most}%` } }))),
    el("td.num", {}, row.text), el("td.num.muted", {}, row.times === null ? "" : `${row.times.toFixed(2)}×`)))))];
}
