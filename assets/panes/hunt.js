// Where values go wrong: the first one beyond a tolerance that can be edited, NaN and infinities, the worst first.

import { el, icon, replace } from "../core/dom.js";
import { digits } from "../core/format.js";
import { update } from "../core/state.js";

const SHOWN = 12;
let tolerance = 1e-4;

export function hunt({ against, rows }) {
  const found = el("div", {});
  const box = el("input.field.short", { type: "text", inputmode: "decimal", value: String(tolerance), "aria-label": "Tolerance, of the largest value", onchange: () => {
    const number = Number(box.value);
    if (number >= 0 && box.value.trim() !== "") { tolerance = number; show(); } else box.value = String(tolerance);
  } });
  const show = () => replace(found, sections(rows));
  show();
  return el("div.card-stack.hunt", {},
    el("section", {}, el("h3", {}, "Values of this run"), against ? el("p.muted", {}, against) : null,
      el("label.row", {}, el("span", {}, "Tolerance, of max |value|"), box)), found);
}

function sections(rows) {
  const all = [...rows.name.keys()];
  const beyond = all.filter((at) => rows.error[at] !== null && rows.error[at] > tolerance);
  const measured = all.filter((at) => rows.error[at] !== null).length;
  const worst = [...beyond].sort((a, b) => rows.error[b] - rows.error[a]);
  return [
    el("section", { dataset: { found: "error" } }, el("h4", {}, beyond.length ? `${beyond.length.toLocaleString("en-US")} of ${measured.toLocaleString("en-US")} values differ by more` : `All ${measured.toLocaleString("en-US")} measured values are within it`),
      beyond.length ? el("p", {}, icon("warning", 12), " First: ", go(rows, beyond[0]), ` ${digits(rows.error[beyond[0]])}`) : null,
      list(rows, worst, (at) => digits(rows.error[at]))),
    odd(rows, all.filter((at) => rows.nans[at]), "NaN", (at) => rows.nans[at]),
    odd(rows, all.filter((at) => rows.infinities[at]), "Infinite numbers", (at) => rows.infinities[at]),
  ];
}

function odd(rows, found, label, count) {
  return el("section", { dataset: { found: label } }, el("h4", {}, found.length ? `${label} in ${found.length.toLocaleString("en-US")} values, first in order` : `${label}: none`),
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
