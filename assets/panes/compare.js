// Two runs side by side: figures, memory, passes, graphs and kernels; the canvas draws the union of both.

import { address, get } from "../core/api.js";
import { button, el, empty, icon, replace } from "../core/dom.js";
import { exported } from "../core/inlined.js";
import { watch } from "../core/pane.js";
import { goTo, session } from "../core/session.js";
import { state, subscribe, update } from "../core/state.js";

const SIGNS = { less: "down", more: "up", same: "check" };
const MARKS = { added: "plus", removed: "minus", changed: "tilde", merged: "swap" };
const STATES = ["same", "added", "removed", "changed", "merged"];

export function drawCompare(element) {
  let stop = () => {}, shown;
  const show = () => {
    const { against } = state();
    if (against === shown) return;
    stop();
    shown = against;
    stop = against === null ? choose(element) : compared(element);
  };
  show();
  const ends = subscribe(["against", "recording"], show);
  return () => { stop(); ends(); };
}

function compared(element) {
  return watch(element, {
    keys: ["recording", "against", "union"],
    path: (now) => (now.recording && now.against ? address(now.recording, "compare", { with: now.against }) : null),
    none: () => "Nothing to compare with.",
    fresh: () => true,
    draw: (payload) => replace(element, card(payload)),
  });
}

// Any other run on this server may be the one to compare with: another option, target, model or day.
function choose(element) {
  const draw = async () => {
    const { recording } = state();
    const { recordings } = await get("/api/recordings", { fresh: true }).catch(() => ({ recordings: [] }));
    if (state().against !== null || !element.isConnected) return;
    const others = recordings.filter(({ id }) => id !== recording);
    replace(element, el("div.card-stack", {}, el("section", {}, el("h3", {}, "Compare with another run"),
      others.length ? others.map((one) => el("button.port", { type: "button", dataset: { run: one.id }, onclick: () => update({ against: one.id, union: true, colour: "Change" }) },
        el("span", {}, one.title || one.id.slice(0, 8)), el("span.mono.muted", {}, [one.bound, when(one.used)].filter(Boolean).join(" · "))))
        : empty("This server has no other run yet."),
      el("p.muted", {}, "Switch a pass off, or try a finding, and the new run stands beside this one. A recording from elsewhere is opened from the first page, and is then listed here."))));
  };
  if (exported) replace(element, empty("This page carries one run."));
  else draw();
  return subscribe(["version", "recording"], draw);
}

function when(seconds) {
  return new Date(seconds * 1000).toLocaleString("sv-SE").slice(0, 16);
}

function card({ titles, ready, rows, facts, memory, passes, graph, kernels = [] }) {
  const running = !ready && session().overview?.status !== "failed";
  return el("div.card-stack.compare", {},
    el("section", {}, el("h3", {}, "What changed"), running ? el("p.muted", { "aria-busy": "true" }, "The new run is not timed yet; its figures come as they are known.") : null,
      table(titles, rows.map(row)), drawn(), facts.length ? details("Chosen otherwise", table(null, facts.map(factRow))) : null),
    details("Memory", table(null, memory.map(row)), memory.some(({ verdict }) => verdict === "less" || verdict === "more"), "memory"),
    el("section", {}, el("h4", {}, passes.length ? "Passes that did something else" : "Every pass did the same"), passes.length ? table(null, passes.map(passRow)) : null),
    graphs(graph),
    kernels.length ? el("section", { dataset: { compared: "kernels" } }, el("h4", {}, "Kernels that took another time"), table(null, kernels.map(kernelRow))) : null);
}

function table(titles, body) {
  return el("table", {}, titles ? el("thead", {}, el("tr", {}, el("th"), titles.map((title) => el("th", { scope: "col" }, title)))) : null, el("tbody", {}, body));
}

function details(title, body, open = false, compared = "") {
  return el("details.compared", { open: open || undefined, dataset: { compared } }, el("summary", {}, title), body);
}

function drawn() {
  const { union } = state();
  return el("div.actions", {},
    button(union ? "This run alone on the canvas" : "Both runs on the canvas", () => update({ union: !union, ...(union ? {} : { base: null, colour: "Change" }) }), { kind: "small" }),
    button("Another run…", () => update({ against: null, union: false }), { kind: "small" }));
}

// The last graphs, name by name: letter and colour as on the canvas.
function graphs(graph) {
  const differing = graph.states.filter(({ count }) => count);
  const line = ({ state: kind, count, names }) => {
    const sign = icon(MARKS[kind], 12);
    sign.style.color = `var(--change-${STATES.indexOf(kind)})`;
    return el("p", { dataset: { state: kind } }, sign, ` ${count.toLocaleString("en-US")} ${kind}: `, names.slice(0, 8).map((name, at) => [at ? ", " : "",
      el("button.go", { type: "button", onclick: () => { goTo(graph.snapshot, { tab: "compare" }); update({ selected: name.split(" → ")[0], union: true, colour: "Change" }); } }, name)]),
    count > 8 ? el("span.muted", {}, ` and ${(count - 8).toLocaleString("en-US")} more`) : null);
  };
  return el("section", { dataset: { compared: "graph" } }, el("h4", {}, differing.length ? "Last graphs" : "The last graphs are the same"),
    differing.length ? [el("p.muted", {}, `${graph.same.toLocaleString("en-US")} nodes are the same.`), differing.map(line)] : null);
}

function row({ label, before, after, difference, verdict }) {
  return [
    el("tr", { dataset: { figure: label } }, el("th", { scope: "row" }, label), el("td.num", {}, before), el("td.num", {}, after)),
    difference && (verdict !== "same" || label === "Time") ? el(`tr.difference.${verdict}`, {}, el("td"), el("td.num", { colspan: 2 }, icon(SIGNS[verdict] || "tilde", 11), " ", difference)) : null,
  ];
}

function factRow([label, before, after]) {
  return el("tr", {}, el("th", { scope: "row" }, label), el("td", {}, before), el("td", {}, after));
}

function kernelRow({ value, before, after, difference, verdict }) {
  return [
    el("tr", {}, el("th", { scope: "row" }, el("button.go", { type: "button", onclick: () => update({ selected: value }) }, value)), el("td.num", {}, before), el("td.num", {}, after)),
    el(`tr.difference.${verdict}`, {}, el("td"), el("td.num", { colspan: 2 }, icon(SIGNS[verdict], 11), " ", difference)),
  ];
}

function passRow({ name, snapshot, before, after, cells = {} }) {
  const told = Object.entries(cells).map(([label, cell]) => `${label} ${cell}`).join("\n");
  return el("tr", { title: told }, el("th", { scope: "row" }, snapshot >= 0 ? el("button.go", { type: "button", onclick: () => goTo(snapshot, { tab: "compare" }) }, name) : name),
    el("td", {}, before), el("td", {}, after));
}
