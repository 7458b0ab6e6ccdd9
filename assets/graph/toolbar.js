// The canvas' own bar, its legend and the chips that say what is hidden.

import { button, el, icon, replace } from "../core/dom.js";
import { rowOf, stepPass } from "../core/session.js";
import { state, subscribe, update } from "../core/state.js";
import { toleranceField } from "../page/tolerance.js";
import { MODES } from "./colour.js";

const MOST_UNFOLDED = 40;
const FOLDS = [["blocks", "Blocks"], ["scopes", "Name scopes"], ["none", "Nothing"]];

export function toolbar(view) {
  const title = el("span.where", {}, "");
  const arrow = (name, direction, label) => el("button.bare", { type: "button", "aria-label": label, title: label, onclick: () => stepPass(direction) }, icon(name));
  const steps = [arrow("left", -1, "Previous pass that changed something (p)"), arrow("right", 1, "Next pass that changed something (n)")];
  const colour = choice("colour", MODES.map((mode) => [mode, mode]), (mode) => update({ colour: mode, colourChosen: true }));
  const fold = choice("fold", FOLDS, (value) => update({ fold: value, opened: [] }));
  const zoom = el("button.zoom", { type: "button", title: "Back to 100 % (0)", onclick: () => { view.camera.zoom(1 / view.camera.k, view.camera.width / 2, view.camera.height / 2); view.moved(); } }, "100 %");
  const fit = el("button.bare", { type: "button", title: "Fit the whole graph (f)", "aria-label": "Fit the whole graph", onclick: () => { view.camera.fit(); view.moved(); } }, icon("fit"));
  const element = el("div.canvas-bar", {}, title, steps, el("span.space"), colour.element, fold.element, fit, zoom);
  const legend = el("div.legend", { role: "note", "aria-label": "What the colours mean" });
  const chips = el("div.chips");
  subscribe(["colour"], () => colour.set(state().colour));
  subscribe(["fold"], () => fold.set(state().fold));
  colour.set(state().colour);
  fold.set(state().fold);
  return {
    element, legend, chips,
    named: (passes) => {
      const { at, base, union, against } = state();
      const row = passes ? rowOf(at) : -1;
      const name = at === 0 ? "imported" : row >= 0 ? passes.rows.name[row] : `state ${at}`;
      replace(title, el("span.muted", {}, at === 0 ? "" : "after "), el("strong", {}, name), base !== null ? el("span.muted", {}, ` against ${base}`) : null,
        union && against !== null ? el("span.muted", {}, " against the other run") : null);
    },
    zoom: (k) => { zoom.textContent = `${Math.round(k * 100)} %`; },
    show: (scene, look, colours) => {
      const changed = [...scene.solid].filter((box) => scene.kind[box] === 1 && scene.changed[box] > 0);
      replace(legend, look.missing ? el("span.muted", {}, look.missing) : look.entries.map((entry) => legendEntry(entry, colours)));
      replace(chips, scene.hidden.map((one) => hiddenChip(one)), unfoldChanged(scene, changed), folded());
    },
  };
}

function choice(label, options, onchange) {
  const select = el("select", { "aria-label": label, onchange: () => onchange(select.value) },
    options.map(([value, text]) => el("option", { value }, text)));
  return { element: el("label.choice", {}, el("span.muted", {}, `${label}:`), select), set: (value) => { select.value = value; } };
}

function legendEntry(entry, colours) {
  if (entry.ramp) {
    const ramp = el(`span.ramp${entry.tolerance === undefined ? "" : ".held-at"}`, { style: { background: `linear-gradient(90deg, ${colours["heat-low"]}, ${colours["heat-high"]})` } });
    const held = entry.tolerance === undefined ? null : el("label.entry.held", {}, "tolerance", toleranceField("Tolerance of the heat"), el("span", {}, entry.beyond));
    return [el("span.entry", {}, entry.low, ramp, entry.high), held];
  }
  const sign = icon(entry.icon, 12);
  sign.style.color = entry.colour;
  return el(`span.entry${entry.faint ? ".faint" : ""}`, {}, sign, entry.label);
}

function hiddenChip({ what, count }) {
  const shown = state().constants;
  return el("button.chip", { type: "button", title: shown ? `Hide ${what}` : `Show ${what}`, onclick: () => update({ constants: !shown }) },
    icon("eye", 12), `${count.toLocaleString("en-US")} ${count === 1 ? what.replace(/s$/, "") : what} ${shown ? "shown" : "hidden"}`);
}

// Unfolds changed blocks from the top until 40 boxes have come; the rest stays folded and is counted.
function unfoldChanged(scene, changed) {
  if (!changed.length) return null;
  const all = changed.reduce((sum, box) => sum + scene.changed[box], 0);
  const names = [];
  let boxes = 0, shown = 0;
  for (const box of changed) {
    if (names.length && boxes + scene.inside[box] > MOST_UNFOLDED) break;
    boxes += scene.inside[box];
    shown += scene.changed[box];
    names.push(scene.name[box]);
  }
  const label = shown < all ? `Unfold ${shown} of ${all} changes` : "Unfold changed";
  return button(label, () => update({ opened: [...state().opened, ...names] }), { kind: "chip" });
}

function folded() {
  const { opened } = state();
  if (!opened.length) return null;
  return button(`Fold ${opened.length} again`, () => update({ opened: [] }), { kind: "chip" });
}
