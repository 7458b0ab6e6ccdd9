// Where values go wrong: the first one beyond the tolerance, NaN and infinities with who makes them, the worst first.

import { button, el, icon, replace } from "../core/dom.js";
import { digits } from "../core/format.js";
import { exported } from "../core/inlined.js";
import { state, update } from "../core/state.js";
import { openOverlay } from "../page/overlays.js";
import { toleranceField } from "../page/tolerance.js";

const SHOWN = 12;

export function hunt({ against, given, first, rows }) {
  const found = el("div.found", {});
  replace(found, sections(rows, first || {}));
  return el("div.card-stack.hunt", {},
    el("section", {}, el("h3", {}, "Values of this run"), against ? el("p.muted", {}, against) : null,
      (given || []).length ? el("dl.given-list", {}, given.map(([name, told]) => [el("dt.mono", {}, name), el("dd", {}, told)])) : null,
      el("div.actions", {}, runWith())),
    el("section", {}, el("label.row", {}, el("span", {}, "Tolerance, of max |reference|"), toleranceField("Tolerance, of the largest value")),
      el("div.actions", {}, button("Error on the graph", () => update({ colour: "Error", colourChosen: true }), { kind: "small" }),
        exported ? null : button("Bisect", () => openOverlay("bisect"), { kind: "small", title: "The first pass that changes an output by more than the tolerance" }))), found);
}

export function runWith() {
  return exported ? null : button("Run with your input", () => openOverlay("given"), { kind: "small", title: "Arrays, a picture, or another seed; and what is expected of it" });
}

function sections(rows, first) {
  const { tolerance } = state();
  const all = [...rows.name.keys()];
  const beyond = all.filter((at) => rows.error[at] !== null && rows.error[at] > tolerance);
  const measured = all.filter((at) => rows.error[at] !== null).length;
  const worst = [...beyond].sort((a, b) => rows.error[b] - rows.error[a]);
  return [
    el("section", { dataset: { found: "error" } }, el("h4", {}, !measured ? "No value was measured against a reference" : beyond.length ? `${beyond.length.toLocaleString("en-US")} of ${measured.toLocaleString("en-US")} values differ by more` : `All ${measured.toLocaleString("en-US")} measured values are within it`),
      beyond.length ? el("p", {}, icon("warning", 12), " First: ", go(rows, beyond[0]), ` ${digits(rows.error[beyond[0]])}`) : null,
      list(rows, worst, (at) => digits(rows.error[at]))),
    odd(rows, all.filter((at) => rows.nans[at]), "NaN", (at) => rows.nans[at], first.nans),
    odd(rows, all.filter((at) => rows.infinities[at]), "Infinite numbers", (at) => rows.infinities[at], first.infinities),
  ];
}

function odd(rows, found, label, count, who) {
  return el("section", { dataset: { found: label } }, el("h4", {}, found.length ? `${label} in ${found.length.toLocaleString("en-US")} values, first in order` : `${label}: none`),
    found.length && who ? el("p.who", {}, icon("cross", 12), " First: ", go(rows, found[0]), ` ${who}`) : null,
    list(rows, found, (at) => count(at).toLocaleString("en-US")));
}

function list(rows, found, text) {
  if (!found.length) return null;
  return el("table", {}, el("tbody", {}, found.slice(0, SHOWN).map((at) => el("tr", {}, el("th", { scope: "row" }, go(rows, at)), el("td.num", {}, text(at))))),
    found.length > SHOWN ? el("caption", {}, `${(found.length - SHOWN).toLocaleString("en-US")} more`) : null);
}

function go(rows, at) {
  return el("button.go", { type: "button", onclick: () => update({ selected: rows.name[at], tab: "values" }) }, rows.name[at]);
}
