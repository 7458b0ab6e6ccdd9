// The table of keys, read from the same bindings that act.

import { el, replace } from "../core/dom.js";
import { table } from "../core/keys.js";

const SHOWN = { ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" };

export function help(body) {
  body.tabIndex = 0; // so that arrow keys scroll it
  const groups = new Map();
  for (const binding of table()) {
    if (!groups.has(binding.group)) groups.set(binding.group, []);
    groups.get(binding.group).push(binding);
  }
  replace(body, el("div.help", {}, [...groups].map(([group, bindings]) => el("section", {}, el("h3", {}, group),
    bindings.map((binding) => el("p", {}, el("span.keys", {}, binding.keys.map((key) => el("kbd", {}, SHOWN[key] || key))), binding.label)))),
  el("section", {}, el("h3", {}, "Mouse"), ["Drag moves, wheel zooms, Shift+wheel scrolls.", "Click selects, double click unfolds a block.", "Drag the lines between the panes; double click hides a side."]
    .map((line) => el("p", {}, line)))));
}
