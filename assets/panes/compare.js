// A what-if run beside the run it came from: figures in two columns, and the passes that did something else.

import { address } from "../core/api.js";
import { button, el, icon, replace } from "../core/dom.js";
import { watch } from "../core/pane.js";
import { goTo, session } from "../core/session.js";
import { state, update } from "../core/state.js";

const SIGNS = { less: "down", more: "up", same: "check" };

export function drawCompare(element) {
  return watch(element, {
    keys: ["recording", "against"],
    path: (now) => (now.recording && now.against ? address(now.recording, "compare", { with: now.against }) : null),
    none: () => "Nothing to compare with. Switch a pass off, or try a finding: the new run stands beside this one.",
    fresh: () => true,
    draw: (payload) => replace(element, card(payload)),
  });
}

function card({ titles, ready, rows, passes, kernels = [] }) {
  const running = !ready && session().overview?.status !== "failed";
  return el("div.card-stack.compare", {},
    el("section", {}, el("h3", {}, "What changed"), running ? el("p.muted", { "aria-busy": "true" }, "The new run is not timed yet; its figures come as they are known.") : null,
      el("table", {}, el("thead", {}, el("tr", {}, el("th"), titles.map((title) => el("th", { scope: "col" }, title)))),
        el("tbody", {}, rows.map(row)))),
    el("section", {}, el("h4", {}, passes.length ? "Passes that did something else" : "Every pass did the same"), passes.length ? el("table", {}, el("tbody", {}, passes.map(passRow))) : null),
    kernels.length ? el("section", { dataset: { compared: "kernels" } }, el("h4", {}, "Kernels that took another time"), el("table", {}, el("tbody", {}, kernels.map(kernelRow)))) : null,
    el("div.actions", {}, button("Go back to the first run", () => update({ recording: state().against, against: null, tab: "overview" }), { kind: "small" })));
}

function row({ label, before, after, difference, verdict }) {
  return [
    el("tr", { dataset: { figure: label } }, el("th", { scope: "row" }, label), el("td.num", {}, before), el("td.num", {}, after)),
    difference ? el(`tr.difference.${verdict}`, {}, el("td"), el("td.num", { colspan: 2 }, icon(SIGNS[verdict] || "tilde", 11), " ", difference)) : null,
  ];
}

function kernelRow({ value, before, after, difference, verdict }) {
  return [
    el("tr", {}, el("th", { scope: "row" }, el("button.go", { type: "button", onclick: () => update({ selected: value }) }, value)), el("td.num", {}, before), el("td.num", {}, after)),
    el(`tr.difference.${verdict}`, {}, el("td"), el("td.num", { colspan: 2 }, icon(SIGNS[verdict], 11), " ", difference)),
  ];
}

function passRow({ name, snapshot, before, after }) {
  return el("tr", {}, el("th", { scope: "row" }, snapshot >= 0 ? el("button.go", { type: "button", onclick: () => goTo(snapshot) }, name) : name),
    el("td", {}, before), el("td", {}, after));
}
