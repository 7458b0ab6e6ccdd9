// Elements made from text that is only ever text: no pane writes HTML.

import { path } from "./icons.js";

const SVG = "http://www.w3.org/2000/svg";

// el("div.card", {title: "…", onclick: f}, "text", child, [children])
export function el(spec, attributes = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  append(element, children);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "style") Object.assign(element.style, value);
  else if (name === "dataset") Object.assign(element.dataset, value);
  else element.setAttribute(name, value === true ? "" : String(value));
}

export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

export function replace(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

export function icon(name, size = 14) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("width", size);
  svg.setAttribute("height", size);
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const shape = document.createElementNS(SVG, "path");
  const { d, fill } = path(name);
  shape.setAttribute("d", d);
  shape.setAttribute("class", fill ? "filled" : "stroked");
  svg.append(shape);
  return svg;
}

export function button(label, onclick, { kind = "", title = "", glyph = null, disabled = false } = {}) {
  return el(`button.button${kind ? "." + kind : ""}`, { type: "button", onclick, title: title || null, disabled },
    glyph ? icon(glyph) : null, label);
}

// The three states every pane has besides its content.
export function empty(text, ...more) {
  return el("div.state.empty", {}, el("p", {}, text), more);
}

export function loading(text = "Loading") {
  return el("div.state.loading", { "aria-busy": "true" }, el("span.sr", {}, text), el("div.bone"), el("div.bone"), el("div.bone"));
}

export function failed(error, again = null) {
  const problem = error.problem || { what: error.message || String(error) };
  return el("div.state.failed", { role: "alert" },
    el("p.what", {}, icon("cross"), " ", problem.what),
    problem.where ? el("p.muted", {}, problem.where) : null,
    problem.expected ? el("p", {}, `Expected: ${problem.expected}`) : null,
    problem.remedy ? el("p", {}, problem.remedy) : null,
    again ? button("Try again", again) : null);
}

// Marks the parts of `text` that match `query`, as nodes.
export function highlighted(text, query) {
  const at = query ? text.toLowerCase().indexOf(query.toLowerCase()) : -1;
  if (at < 0) return [text];
  return [text.slice(0, at), el("mark", {}, text.slice(at, at + query.length)), text.slice(at + query.length)];
}

export function copy(text) {
  return navigator.clipboard ? navigator.clipboard.writeText(text) : Promise.reject(new Error("no clipboard"));
}
