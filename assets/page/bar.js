// The bar: which model, how it is bound, search, theme, help, share.

import { button, copy, el, icon, replace } from "../core/dom.js";
import { exported } from "../core/inlined.js";
import { onSession, session } from "../core/session.js";
import { permalink, state, subscribe, update } from "../core/state.js";
import { isDark, toggleTheme } from "../core/theme.js";
import { openCharts } from "./charts.js";
import { openOverlay } from "./overlays.js";
import { save } from "./saving.js";

export function mountBar(element) {
  const draw = () => {
    const { overview } = session();
    const open = Boolean(state().recording);
    replace(element,
      el("button.brand", { type: "button", title: "Start page", disabled: exported, onclick: () => update({ recording: null, selected: null, at: 0 }) },
        mark(), "glowviz"),
      open ? el("span.model", {}, overview ? overview.name : "…") : null,
      open && overview && exported ? el("span.bound", {}, overview.bound) : null,
      open && overview && !exported ? el("button.bound", { type: "button", title: "Compile again with other settings", onclick: () => openOverlay("settings") }, overview.bound, icon("gear", 12)) : null,
      el("span.space"),
      el("button.search-box", { type: "button", onclick: () => openOverlay(open ? "search" : "palette") }, icon("search"),
        el("span", {}, open ? "Search" : "Commands"), el("kbd", {}, open ? "/" : ">"), open ? el("span.muted", {}, "or command ") : null, open ? el("kbd", {}, ">") : null),
      open && !exported ? el("button.bare", { type: "button", "aria-label": "Charts", title: "Charts (g)", onclick: openCharts }, icon("chart", 16)) : null,
      el("button.bare", { type: "button", "aria-label": isDark() ? "Light theme" : "Dark theme", title: "Light or dark (l)", onclick: toggleTheme }, icon(isDark() ? "sun" : "moon", 16)),
      el("button.bare", { type: "button", "aria-label": "Keys and help", title: "Keys (?)", onclick: () => openOverlay("help") }, icon("help", 16)),
      exported ? null : el("button.bare", { type: "button", "aria-label": "Write a graph", title: "Write a graph and watch passes (e)", onclick: () => openOverlay("editor") }, icon("edit", 16)),
      open && !exported ? button("Save page", () => save("page"), { glyph: "file", kind: "small", title: "This run as one HTML file, opened at this view" }) : null,
      open && !exported ? share() : null);
  };
  const stops = [onSession(draw), subscribe(["recording", "theme"], draw)];
  return () => stops.forEach((stop) => stop());
}

function mark() {
  const sign = icon("norm", 18);
  sign.classList.add("brand-mark");
  return sign;
}

// The canvas as it is on screen, in its theme and at the screen's resolution.
export function savePicture() {
  document.querySelector(".graph-canvas").toBlob((blob) => {
    const link = el("a", { href: URL.createObjectURL(blob), download: "graph.png" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

function share() {
  const made = button("Share", () => {
    copy(permalink()).then(() => { made.lastChild.textContent = "Link copied"; }, () => { made.lastChild.textContent = "Copy the address bar"; });
    setTimeout(() => { made.lastChild.textContent = "Share"; }, 2500);
  }, { glyph: "link", kind: "small", title: "Copy the address of exactly this view" });
  return made;
}
