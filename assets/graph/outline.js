// The picture in words: a tree of its boxes in reading order, walked with arrows, with the canvas's selection; it comes into sight when it is focused.

import { el, replace } from "../core/dom.js";
import { edgesIn, edgesOut, FOLDED, FRAME, selectable } from "./scene.js";

const WINDOW = 60; // rows on each side of the current one that exist
const NAMED = 3;   // neighbours that are told by name

export class Outline {
  constructor(view) {
    this.view = view;
    this.rows = []; // {box, level, place, of} from the top down
    this.at = 0;
    this.element = el("div.outline", { role: "tree", tabindex: 0, "aria-label": "Outline of the graph", dataset: { ownArrows: "" }, hidden: true,
      onkeydown: (event) => this.key(event), onfocus: () => this.follow() });
  }

  // A new picture: frames come before what is in them.
  take(scene) {
    const inside = new Map();
    for (const box of scene.rowOrder) {
      const around = scene.parent[box];
      if (inside.has(around)) inside.get(around).push(box); else inside.set(around, [box]);
    }
    this.rows = [];
    const stack = [listed(inside.get(-1), 1)];
    while (stack.length) {
      const row = stack.at(-1).shift();
      if (!row) { stack.pop(); continue; }
      this.rows.push(row);
      if (inside.has(row.box)) stack.push(listed(inside.get(row.box), row.level + 1));
    }
    this.element.hidden = !this.rows.length;
    this.at = 0;
    this.follow();
  }

  // The selected box becomes the current row.
  follow() {
    const box = this.view.selectedBox();
    const at = box < 0 ? -1 : this.rows.findIndex((row) => row.box === box);
    this.at = at >= 0 ? at : Math.min(this.at, Math.max(0, this.rows.length - 1));
    this.draw(box);
  }

  draw(selected) {
    const first = Math.max(0, this.at - WINDOW), shown = this.rows.slice(first, this.at + WINDOW);
    const { kind } = this.view.scene;
    replace(this.element, shown.map(({ box, level, place, of }, k) => el(`div.outline-row${first + k === this.at ? ".current" : ""}`, {
      role: "treeitem", id: `outline-${first + k}`, "aria-level": level, "aria-posinset": place, "aria-setsize": of, style: { paddingLeft: `${level * 12}px` },
      "aria-selected": String(box === selected), "aria-expanded": kind[box] === FRAME ? "true" : kind[box] === FOLDED ? "false" : null,
      onclick: () => this.select(first + k),
    }, this.view.spoken(box))));
    this.element.setAttribute("aria-activedescendant", `outline-${this.at}`);
    if (document.activeElement === this.element) this.element.children[this.at - first]?.scrollIntoView({ block: "nearest" });
  }

  select(at) {
    if (!this.rows[at]) return;
    this.at = at;
    this.view.select(selectable(this.view.scene, this.rows[at].box));
    this.draw(this.view.selectedBox());
  }

  key(event) {
    const act = { ArrowDown: () => this.select(this.at + 1), ArrowUp: () => this.select(this.at - 1), Home: () => this.select(0), End: () => this.select(this.rows.length - 1),
      ArrowRight: () => this.inwards(), ArrowLeft: () => this.outwards(), Enter: () => this.toggle(), " ": () => this.select(this.at), Escape: () => this.view.canvas.focus() }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }

  // Unfolds a block; in an unfolded one goes to its first box.
  inwards() {
    const { box } = this.rows[this.at];
    if (this.view.scene.kind[box] === FOLDED) this.toggle();
    else if (this.view.scene.kind[box] === FRAME) this.select(this.at + 1);
  }

  // Folds an unfolded block; elsewhere goes to the frame around.
  outwards() {
    const { box } = this.rows[this.at], { scene } = this.view;
    if (scene.kind[box] === FRAME) this.toggle();
    else if (scene.parent[box] >= 0) this.select(this.rows.findIndex((row) => row.box === scene.parent[box]));
  }

  // The block stays selected, so that the next picture's outline goes on from it.
  toggle() {
    this.select(this.at);
    this.view.unfold(this.rows[this.at].box);
  }
}

function listed(boxes = [], level) {
  return boxes.map((box, k) => ({ box, level, place: k + 1, of: boxes.length }));
}

// What a box reads and who reads it, by name.
export function neighboursOf(scene, box) {
  const names = (label, ends) => {
    const found = [...new Set(ends.filter((near) => near >= 0))].map((near) => scene.title[near]);
    if (!found.length) return "";
    return `, ${label} ${found.slice(0, NAMED).join(", ")}${found.length > NAMED ? ` and ${found.length - NAMED} more` : ""}`;
  };
  return names("from", [...edgesIn(scene, box)].map((edge) => scene.edges.from[edge])) + names("to", [...edgesOut(scene, box)].map((edge) => scene.edges.to[edge]));
}
