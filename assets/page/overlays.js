// Everything that lies over the page for a moment: search, commands, keys, dimensions, settings, the editor.

import { el, icon, replace } from "../core/dom.js";
import { bisect } from "./bisect.js";
import { editor } from "./editor.js";
import { given } from "./given.js";
import { help } from "./help.js";
import { paletteOverlay } from "./palette.js";
import { searchOverlay } from "./search.js";
import { settings } from "./settings.js";
import { shapesForm } from "./shapes.js";

const KINDS = {
  search: { title: "Search in all states", draw: searchOverlay, wide: true },
  palette: { title: "Commands", draw: paletteOverlay, wide: true },
  help: { title: "Keys", draw: help },
  shapes: { title: "Free dimensions", draw: shapesForm },
  settings: { title: "Compile again", draw: settings },
  given: { title: "Run with your input", draw: given, broad: true },
  bisect: { title: "Bisect: which pass, and which rewrite in it", draw: bisect },
  editor: { title: "Try passes on a graph", draw: editor, full: true },
};

let host = null, open = null, before = null;

export function mountOverlays(element) {
  host = element;
  return () => { host = null; };
}

export function openOverlay(kind, options = {}) {
  if (!host) return;
  if (open) closeOverlay();
  const { title, draw, wide, full, broad } = KINDS[kind];
  before = document.activeElement;
  const body = el("div.overlay-body");
  const box = el(`div.overlay${wide ? ".wide" : ""}${full ? ".full" : ""}${broad ? ".broad" : ""}`, { role: "dialog", "aria-modal": "true", "aria-label": title, dataset: { ownArrows: "" } },
    wide ? null : el("header", {}, el("h2", {}, title), el("button.bare", { type: "button", "aria-label": "Close", onclick: closeOverlay }, icon("cross"))), body);
  const shade = el("div.shade", { onpointerdown: (event) => { if (event.target === shade) closeOverlay(); } }, box);
  shade.addEventListener("keydown", (event) => trap(event, box));
  replace(host, shade);
  open = { kind, stop: draw(body, { ...options, close: closeOverlay }) || (() => {}) };
  (box.querySelector("[data-first]") || box.querySelector("input, textarea, button") || box).focus();
}

// Returns whether there was something to close.
export function closeOverlay() {
  if (!open) return false;
  open.stop();
  open = null;
  replace(host);
  before?.focus?.({ preventScroll: true });
  return true;
}

// Tab stays inside the dialog; plain keys do not reach the page behind it.
function trap(event, box) {
  if (event.key === "Escape") return;
  if (event.key === "Tab") {
    const stops = [...box.querySelectorAll("button, input, select, textarea, [tabindex='0']")].filter((stop) => !stop.disabled);
    const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
    if (document.activeElement === edge) { (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus(); event.preventDefault(); }
  }
  event.stopPropagation();
}
