// The graph canvas: loads a scene, paints it within a frame, and turns pointer and keys into selection.

import { get, remove } from "../core/api.js";
import { el, empty, failed, loading, replace } from "../core/dom.js";
import { session } from "../core/session.js";
import { select, state, subscribe, update } from "../core/state.js";
import { Bitmap } from "./bitmap.js";
import { Camera } from "./camera.js";
import { colouring } from "./colour.js";
import { crumbs } from "./crumbs.js";
import { drawOver, drawScene, drawSteps } from "./draw.js";
import { buildGrid, hit } from "./grid.js";
import { Minimap } from "./minimap.js";
import { neighboursOf, Outline } from "./outline.js";
import { forgetPalette, palette } from "./palette.js";
import { pointer } from "./pointer.js";
import { buildScene, FRAME, neighbourhood, selectable } from "./scene.js";
import { countBetween } from "./strips.js";
import { Stats } from "./stats.js";
import { toolbar } from "./toolbar.js";
import { sceneAddress } from "./source.js";

const MANY = 160;         // above this many boxes in sight, moving shifts a cached picture
const SLICE = 2.5;        // ms of a frame spent on the next picture
const SETTLE = 110;       // ms without movement before the picture is drawn sharp again
const FADE = 160;
const WAIT = 200;         // ms between two questions whether a large picture is ready
const PROJECTED = 1.5;    // how much larger a projector's picture opens, as its type does (core/theme.js)
const GESTURE = 1000;     // ms; moves closer together than this are one step of the browser's history

export class GraphView {
  constructor(element, marks, onselect = () => {}) {
    this.element = element;
    this.marks = marks;
    this.onselect = onselect;
    this.scene = null;
    this.camera = new Camera();
    this.camera.scaled(state().projector ? PROJECTED : 1);
    this.bitmap = new Bitmap();
    this.stats = new Stats();
    this.hovered = -1;
    this.held = false;
    this.fade = 1;
    this.turn = 0;
    this.written = null;  // the camera as the state last got it from here
    this.lastMove = 0;
    this.build();
    this.stops = [
      subscribe(["recording", "at", "base", "fold", "opened", "constants", "union"], () => this.load()),
      subscribe(["against"], () => { if (state().union) this.load(); }),
      subscribe(["version"], () => { if (session().overview?.status !== "running") this.load(); }), // times and errors come last
      subscribe(["selected", "focus"], () => this.picked()),
      subscribe(["camera"], () => this.follow()),
      subscribe(["colour", "tolerance"], () => this.recolour()),
      subscribe(["theme", "projector"], () => { forgetPalette(); this.recolour(); }),
      subscribe(["projector"], () => { this.camera.scaled(state().projector ? PROJECTED : 1); this.moved(); }),
    ];
    this.load();
  }

  build() {
    this.canvas = el("canvas.graph-canvas", { tabindex: 0, role: "application", "aria-label": "Graph: no model open" });
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.corner = el("canvas.minimap", { "aria-hidden": "true" });
    this.tip = el("div.tip", { role: "tooltip", hidden: true });
    this.cover = el("div.cover");
    this.live = el("div.sr", { "aria-live": "polite" });
    this.bar = toolbar(this);
    this.trail = el("nav.crumbs", { "aria-label": "Where the selection is", hidden: true });
    this.outline = new Outline(this);
    this.stage = el("div.stage", {}, this.canvas, this.corner, this.tip, this.bar.legend, this.trail, this.bar.chips, this.outline.element, this.cover);
    replace(this.element, this.bar.element, this.stage, this.live);
    this.minimap = new Minimap(this.corner, (x, y) => { this.camera.centre(x, y); this.moved(); });
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.stage);
    this.stopPointer = pointer(this);
    this.resize();
  }

  destroy() {
    this.stops.forEach((stop) => stop());
    this.observer.disconnect();
    this.stopPointer();
  }

  async load() {
    const now = state();
    const turn = (this.turn += 1);
    if (!now.recording) {
      this.scene = null;
      this.blank();
      replace(this.cover, empty("No model is open."));
      return;
    }
    const slow = setTimeout(() => { if (!this.scene) replace(this.cover, loading("Drawing the graph")); }, 120);
    try {
      const [payload] = await Promise.all([this.drawn(sceneAddress(now), turn), document.fonts.load("600 12px Inter"), document.fonts.load("400 11px Inter")]);
      if (turn === this.turn) this.show(payload);
    } catch (error) {
      if (turn === this.turn) replace(this.cover, failed(error, () => this.load()));
    } finally {
      clearTimeout(slow);
    }
  }

  // The scene at an address; a large one is drawn by a job, which is waited for, and stopped when nobody wants it any more.
  async drawn(path, turn) {
    let payload = await get(path);
    while (payload.waiting !== undefined) {
      const job = `/api/drawings/${payload.waiting}`;
      if (turn !== this.turn) { remove(job).catch(() => {}); return null; }
      replace(this.cover, loading("Drawing a large graph"));
      await new Promise((resolve) => { setTimeout(resolve, WAIT); });
      const { state: reached } = await get(job, { fresh: true });
      if (reached === "done") payload = await get(path, { fresh: true });
    }
    return payload;
  }

  show(payload) {
    const before = this.scene;
    const anchor = before && before.payload.recording === payload.recording ? this.anchor() : null;
    this.scene = buildScene(payload);
    this.grid = buildGrid(this.scene);
    this.hovered = -1;
    this.camera.origin = this.scene.origin;
    this.camera.size = [Math.max(1, payload.size[0]), Math.max(1, payload.size[1])];
    this.bitmap.drop(true);
    replace(this.cover, this.scene.count ? null : empty("This state has no nodes."));
    const { camera } = state();
    if (camera && camera !== this.written) this.lookAt(camera);
    else if (!anchor || !this.keep(anchor)) this.camera.start();
    this.revealUnfolded();
    this.recolour();
    this.describe();
    this.picked(false);
    if (before && anchor) this.fadeIn();
    if (camera) this.tellCamera(false);
    document.documentElement.dataset.ready = "true";
  }

  // The box that must stay where it is when the next scene comes: the selected one, else the most central.
  anchor() {
    const box = this.selectedBox();
    if (box >= 0 && this.inSight(box)) return this.place(box);
    const cx = this.camera.x + this.camera.width / 2 / this.camera.k, cy = this.camera.y + this.camera.height / 2 / this.camera.k;
    let best = -1, distance = Infinity;
    for (const near of this.scene.solid) {
      const away = Math.abs(this.scene.x[near] - cx) + Math.abs(this.scene.y[near] - cy);
      if (away < distance) { best = near; distance = away; }
    }
    return best >= 0 ? this.place(best) : null;
  }

  place(box) {
    const middle = this.scene.x[box] + this.scene.w[box] / 2;
    return { name: selectable(this.scene, box), x: middle - this.camera.x, y: this.scene.y[box] - this.camera.y };
  }

  keep(anchor) {
    const box = this.scene.byName.get(anchor.name);
    if (box === undefined) return Boolean(this.scene.count) && this.camera.fitting() < 1;
    this.camera.x = this.scene.x[box] + this.scene.w[box] / 2 - anchor.x;
    this.camera.y = this.scene.y[box] - anchor.y;
    return true;
  }

  // A block that has just been unfolded at the border comes into sight, as much of it as there is room for.
  revealUnfolded() {
    const box = this.unfolding === undefined ? undefined : this.scene.byName.get(this.unfolding);
    this.unfolding = undefined;
    if (box === undefined || this.scene.kind[box] !== FRAME) return;
    const { height, width, k } = this.camera, s = this.scene;
    this.camera.reveal(s.x[box], s.y[box], Math.min(s.w[box], (width / k) * 0.8), Math.min(s.h[box], (height / k) * 0.8));
  }

  fadeIn() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches || !this.scene.state.includes(1)) return;
    const begin = performance.now();
    const tick = (time) => {
      this.fade = Math.min(1, Math.max(0, (time - begin) / FADE));
      this.bitmap.drop();
      this.paint();
      if (this.fade < 1) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  recolour() {
    if (!this.scene) { this.blank(); return; }
    const colours = palette();
    this.scene.labels.clear();
    this.look = colouring(this.scene, state().colour, colours, this.marks);
    this.minimap.take(this.scene, this.look, colours, this.ratio);
    this.bar.show(this.scene, this.look, colours);
    this.redraw();
  }

  // Selection or focus changed: find its neighbours, and bring the box into sight when asked.
  picked(follow = true) {
    if (!this.scene) return;
    const box = this.selectedBox();
    this.near = box >= 0 ? neighbourhood(this.scene, box) : null;
    this.only = state().focus && box >= 0 ? neighbourhood(this.scene, box, 2).boxes : null;
    if (box >= 0 && follow && !this.held && !this.inSight(box)) {
      this.camera.reveal(this.scene.x[box], this.scene.y[box], this.scene.w[box], Math.min(this.scene.h[box], 60));
    }
    this.live.textContent = box >= 0 ? this.spoken(box) + neighboursOf(this.scene, box) : "";
    this.outline.follow();
    crumbs(this, box);
    this.redraw();
  }

  selectedBox() {
    const name = state().selected;
    const box = this.scene && name !== null ? this.scene.byName.get(name) : undefined;
    return box === undefined ? -1 : box;
  }

  inSight(box) {
    const { x, y, k, width, height } = this.camera;
    const s = this.scene;
    return s.x[box] >= x && s.y[box] >= y && s.x[box] + s.w[box] <= x + width / k && s.y[box] + Math.min(s.h[box], 60) <= y + height / k;
  }

  // Lets `change` select without moving the camera: what was clicked is under the pointer, and a second click may follow.
  still(change) {
    this.held = true;
    change();
    this.held = false;
  }

  select(name) {
    select(name);
    this.onselect(name);
  }

  unfold(box) {
    const name = this.scene.name[box];
    const opened = state().opened;
    if (this.scene.kind[box] === 1) { this.unfolding = name; update({ opened: [...opened, name] }); }
    else if (this.scene.kind[box] === 2) update({ opened: opened.filter((other) => other !== name) });
  }

  boxAt(clientX, clientY) {
    if (!this.scene) return -1;
    const place = this.canvas.getBoundingClientRect();
    const { x, y, k } = this.camera;
    return hit(this.grid, this.scene, x + (clientX - place.left) / k, y + (clientY - place.top) / k);
  }

  resize() {
    const place = this.stage.getBoundingClientRect();
    this.ratio = window.devicePixelRatio || 1;
    const first = this.camera.width <= 1;
    const shift = first ? 0 : (place.width - this.camera.width) / 2 / this.camera.k;
    this.camera.width = Math.max(1, place.width);
    this.camera.height = Math.max(1, place.height);
    this.canvas.width = Math.round(place.width * this.ratio);
    this.canvas.height = Math.round(place.height * this.ratio);
    this.canvas.style.width = `${place.width}px`;
    this.canvas.style.height = `${place.height}px`;
    if (!this.scene) { this.blank(); return; }
    if (first) this.camera.start(); else this.camera.x -= shift;
    this.bitmap.drop(true);
    this.paint();
  }

  // Nothing to draw yet, or not any more: the ground alone.
  blank() {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.fillStyle = palette().canvas;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.corner.hidden = this.outline.element.hidden = true;
    replace(this.bar.legend);
    replace(this.bar.chips);
  }

  // The middle of the canvas in the world and the zoom: what a permalink carries, whatever the window's size.
  cameraText() {
    const { x, y, k, width, height } = this.camera;
    return [x + width / 2 / k, y + height / 2 / k, k].map((one) => Number(one.toFixed(one === k ? 5 : 2))).join(",");
  }

  lookAt(text) {
    const [x, y, k] = text.split(",").map(Number);
    if (![x, y, k].every(Number.isFinite) || k <= 0) return;
    this.camera.k = k;
    this.camera.centre(x, y);
  }

  tellCamera(push) {
    this.written = this.cameraText();
    update({ camera: this.written }, { undo: push });
  }

  // Back, Forward or a lesson moved the camera.
  follow() {
    const { camera } = state();
    if (!this.scene || camera === this.written) return;
    if (camera) this.lookAt(camera);
    else this.camera.start();
    this.redraw();
  }

  redraw() {
    this.bitmap.drop();
    this.request();
  }

  moved() {
    this.request();
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settled(), SETTLE);
  }

  settled() {
    if (this.bitmap.sharpAt !== this.camera.k) this.bitmap.drop();
    this.request();
    const now = performance.now();
    this.tellCamera(now - this.lastMove > GESTURE);
    this.lastMove = now;
  }

  request() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  // How many boxes the camera may see, at most.
  inView() {
    const { y, k, height } = this.camera;
    return countBetween(this.scene.boxStrips, y, y + height / k);
  }

  paint() {
    if (!this.scene || !this.look) return;
    const begin = performance.now();
    const colours = palette();
    const view = { look: this.look, colours, marks: this.marks, near: this.near, only: this.only, fade: this.fade };
    if (this.inView() > MANY) this.paintMany(view);
    else this.stats.drawn = drawScene(this.context, this.scene, this.camera, this.ratio, view);
    drawOver(this.context, this.scene, this.camera, this.ratio, {
      look: this.look, colours, selected: this.selectedBox(), hovered: this.hovered, problem: this.scene.byName.get(this.scene.payload.problem) ?? -1,
    });
    this.minimap.show(this.camera, colours, this.ratio);
    this.corner.hidden = this.camera.seesAll; // a map of what is wholly on screen would only cover it
    this.bar.zoom(this.camera.k);
    this.stats.frame(performance.now() - begin);
  }

  // Shows the last picture at once, and the next one as soon as some frames have drawn it; the first is waited for.
  paintMany(view) {
    const steps = (context, area, ratio) => drawSteps(context, this.scene, area, ratio, view);
    if (!this.bitmap.covers(this.camera) && !this.bitmap.awaits(this.camera)) this.bitmap.begin(this.camera, this.ratio, steps);
    this.bitmap.advance(this.bitmap.area ? SLICE : Infinity);
    this.stats.drawn = this.bitmap.drawn;
    this.bitmap.show(this.context, this.camera, this.ratio, view.colours.canvas, this.minimap.whole);
    if (this.bitmap.work) this.request();
  }

  spoken(box) {
    const s = this.scene;
    const change = this.marks.changes[s.state[box]].key;
    const named = s.op[box] === s.title[box] || s.detail[box].split(" ")[0] === s.op[box]; // once is enough
    return `${s.title[box]}${named ? "" : `, ${s.op[box]}`}, ${s.detail[box]}${change === "same" ? "" : ", " + change}`;
  }

  describe() {
    const s = this.scene;
    this.outline.take(s);
    const touched = s.state.reduce((sum, one) => sum + (one ? 1 : 0), 0);
    this.canvas.setAttribute("aria-label", `Graph with ${s.solid.length} boxes and ${s.edges.count} edges, ${touched} changed. Arrow keys walk along edges.`);
  }

  // What tests and the exported page may ask: every box with its place in the window.
  nodes() {
    if (!this.scene) return [];
    const place = this.canvas.getBoundingClientRect();
    const { x, y, k } = this.camera;
    const s = this.scene;
    return [...s.rowOrder].map((box) => ({
      id: s.name[box], label: s.title[box], op: s.op[box], kind: s.kind[box], state: this.marks.changes[s.state[box]].key,
      x: place.left + (s.x[box] - x) * k, y: place.top + (s.y[box] - y) * k, w: s.w[box] * k, h: s.h[box] * k,
    }));
  }

  // Every edge as [name, name] of the boxes that it joins.
  edges() {
    if (!this.scene) return [];
    const { name, edges } = this.scene;
    return [...edges.from].map((box, edge) => [name[box], name[edges.to[edge]]]);
  }
}
