// One line of help for newcomers at the bottom, dismissed for ever by Esc.

import { el, icon } from "../core/dom.js";
import { bind } from "../core/keys.js";

const STORAGE = "glowviz.coached";

export function coach() {
  if (document.querySelector(".coach") || seen()) return;
  const line = el("div.coach", { role: "note" }, el("kbd", {}, "n"), " next pass · click a box · ", el("kbd", {}, "?"), " keys",
    el("button.bare", { type: "button", "aria-label": "Do not show again", onclick: () => done() }, icon("cross", 12)));
  (document.querySelector(".stage") || document.body).append(line); // on the canvas, so that it covers no table of the dock
  const unbind = bind("Escape", { run: () => done() });
  function done() {
    line.remove();
    unbind();
    try { localStorage.setItem(STORAGE, "1"); } catch { /* without storage the line comes back next time */ }
  }
}

function seen() {
  try { return localStorage.getItem(STORAGE) === "1"; } catch { return false; }
}
