// A list of equal rows of which only those in sight exist: a million lines cost as much as fifty.

import { el } from "./dom.js";

const SPARE = 12;
const TALLEST = 8_000_000; // browsers stop honouring heights somewhat above this

export class VirtualList {
  // `render(index)` returns the element of one row; rows are `height` px high.
  constructor({ height, render, className = "" }) {
    this.height = height;
    this.render = render;
    this.count = 0;
    this.spacer = el("div.virtual-spacer");
    this.body = el("div.virtual-body");
    this.element = el(`div.virtual${className ? "." + className : ""}`, { tabindex: 0, onscroll: () => this.draw() }, this.spacer, this.body);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    this.shown = [0, 0];
  }

  setCount(count) {
    this.count = count;
    this.scale = Math.max(1, (count * this.height) / TALLEST);
    this.spacer.style.height = `${Math.ceil((count * this.height) / this.scale)}px`;
    this.refresh();
  }

  refresh() {
    this.shown = [0, 0];
    this.body.replaceChildren();
    this.draw();
  }

  draw() {
    const top = this.element.scrollTop * (this.scale || 1);
    const visible = Math.ceil(this.element.clientHeight / this.height);
    const first = Math.max(0, Math.floor(top / this.height) - SPARE);
    const end = Math.min(this.count, first + visible + 2 * SPARE);
    if (first === this.shown[0] && end === this.shown[1]) return;
    this.shown = [first, end];
    const rows = [];
    for (let index = first; index < end; index += 1) rows.push(this.render(index));
    this.body.replaceChildren(...rows);
    this.body.style.transform = `translateY(${first * this.height - top + this.element.scrollTop}px)`;
  }

  // Brings row `index` to a third of the height unless it is already in sight.
  reveal(index) {
    if (index < 0) return;
    const at = (index * this.height) / (this.scale || 1);
    const { scrollTop, clientHeight } = this.element;
    if (at >= scrollTop && at + this.height <= scrollTop + clientHeight) return;
    this.element.scrollTop = Math.max(0, at - clientHeight / 3);
    this.draw();
  }

  destroy() {
    this.observer.disconnect();
  }
}
