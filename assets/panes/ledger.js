// The ledger: one row per pass, what it did in numbers, and the whole sentence for the row that is shown.

import { address, get } from "../core/api.js";
import { button, el, empty, failed, icon, loading, replace } from "../core/dom.js";
import { exported } from "../core/inlined.js";
import { goTo, onSession, session } from "../core/session.js";
import { state, subscribe, update } from "../core/state.js";
import { attempt } from "../page/compile.js";
import { openOverlay } from "../page/overlays.js";
import { problemCard } from "./problems.js";

const SIGNS = { failed: "cross", running: "play", off: "minus" };
const SILENT = ["quiet", "off", "unreached"];

export function mountLedger(element) {
  const closed = new Set(), seen = new Set();
  let hideQuiet = false;
  let touched = new Set();
  let other = null; // the run that this one is compared with: snapshot here → what its pass did there
  const draw = () => {
    const { passes, error } = session();
    if (error) { replace(element, failed(error)); return; }
    if (!state().recording) { replace(element, empty("No model is open.")); return; }
    if (!passes) { replace(element, loading("Reading the ledger")); return; }
    const top = element.scrollTop;
    replace(element, head(passes), el("div.rows", { role: "group", "aria-label": "Passes", dataset: { ownArrows: "" }, onkeydown: arrows },
      passes.groups.map((group) => section(group, passes))));
    element.scrollTop = top;
    element.querySelector(".pass.shown")?.scrollIntoView({ block: "nearest" });
  };
  const head = (passes) => el("div.pane-head", {},
    el("h2", {}, "Passes"), other ? el("span.muted.columns", {}, "this run | the other") : null, el("span.space"),
    button(hideQuiet ? "Show quiet" : "Hide quiet", () => { hideQuiet = !hideQuiet; draw(); }, { kind: "bare", title: "Passes that changed nothing" }),
    passes.status === "running" ? el("span.chip", {}, "compiling") : exported ? null
      : button("Bisect", () => openOverlay("bisect"), { kind: "small", title: "Find the first pass that changes a result, and the one rewrite in it" }));
  const section = ([title, first, end], passes) => {
    const rows = [...Array(end - first).keys()].map((n) => n + first)
      .filter((row) => !hideQuiet || passes.rows.state[row] !== "quiet");
    // A stage in which nothing happened starts closed: its rows say nothing that the heading does not.
    if (!seen.has(title) && passes.status !== "running") {
      seen.add(title);
      const loud = rows.some((row) => !SILENT.includes(passes.rows.state[row]) || passes.rows.snapshot[row] === state().at);
      if (!loud) closed.add(title);
    }
    const changed = rows.reduce((sum, row) => sum + (passes.rows.changes[row] || 0), 0);
    const isClosed = closed.has(title);
    return el("section.group", {},
      el("button.group-head", { type: "button", "aria-expanded": String(!isClosed), onclick: () => { closed.has(title) ? closed.delete(title) : closed.add(title); draw(); } },
        icon(isClosed ? "right" : "down", 12), title, el("span.space"), el("span.count", {}, changed ? changed.toLocaleString("en-US") : isClosed ? still(rows, passes) : "")),
      isClosed ? null : rows.map((row) => passRow(passes, row, touched, other)));
  };
  // Both columns side by side, as soon as and as far as both runs know them.
  const compare = async () => {
    const { recording, against } = state();
    const told = recording && against ? await get(address(recording, "compare", { with: against }), { fresh: true }).catch(() => null) : null;
    if (state().against !== against || state().recording !== recording) return;
    if (!other && !told) return;
    other = told && new Map(told.ledger.filter((row) => row.snapshot >= 0).map((row) => [row.snapshot, row]));
    draw();
  };
  const select = async () => {
    const now = state();
    touched = new Set();
    if (now.recording && now.selected !== null) {
      const life = await get(address(now.recording, `life/${now.at}`, { name: now.selected })).catch(() => null);
      if (state().selected !== now.selected) return;
      touched = new Set(life ? life.touched : []);
    }
    draw();
  };
  const stops = [onSession(draw), subscribe(["at", "recording"], draw), subscribe(["selected"], select), subscribe(["recording", "against", "version"], compare)];
  compare();
  return () => stops.forEach((stop) => stop());
}

function still(rows, passes) {
  const unreached = rows.filter((row) => passes.rows.state[row] === "unreached").length;
  return unreached ? `${unreached} not reached` : `${rows.length} quiet`;
}

function passRow(passes, row, touched, other) {
  const { rows } = passes;
  const at = rows.snapshot[row], shown = at >= 0 && at === state().at;
  const kind = rows.state[row];
  const start = session().overview?.first_change === at && state().at === 0;
  const line = el(`div.pass.${kind}${shown ? ".shown" : ""}`, {
    role: "group", tabindex: shown ? 0 : -1, "aria-current": shown ? "step" : null, "aria-label": spoken(rows, row),
    title: `${rows.facts[row].join("  ")}\nShift-click compares the shown state with this one`, dataset: { pass: rows.name[row], at },
    onclick: (event) => { if (event.target.closest("button, a")) return;
      const problem = rows.problem?.[row];
      if (problem) { goTo(Math.max(0, problem.snapshot), { selected: problem.name || null }); return; }
      if (at < 0) return;
      if (event.shiftKey) update({ base: at === state().at ? null : at, colour: "Change" });
      else goTo(at);
    },
  },
  el("div.line", {},
    el("span.ordinal", {}, SIGNS[kind] ? icon(SIGNS[kind], 12) : at > 0 ? String(at) : ""),
    el("span.name", {}, rows.name[row]),
    touched.has(at) ? el("span.dot", { title: "touched the selection" }) : null,
    start ? el("button.start-here", { type: "button", onclick: () => goTo(at) }, icon("play", 10), "start here") : null,
    el("span.space"),
    el("span.fired", {}, kind === "unreached" ? "not reached" : rows.fired[row]),
    rows.delta[row] ? el("span.delta", {}, rows.delta[row]) : null, beside(other, at)));
  if (rows.problem?.[row]) line.append(problemCard(rows.problem[row]));
  else if (shown) line.append(details(passes, row));
  return line;
}

// What the same pass did in the other run, where that is something else.
function beside(other, at) {
  const there = other?.get(at);
  if (!there) return other && at >= 0 ? el("span.other") : null;
  const [did] = there.before.split(","), [mine] = there.after.split(",");
  return el(`span.other${did === mine ? "" : ".different"}`, { title: `In the other run: ${there.before}\n${Object.entries(there.cells).map(([label, cell]) => `${label} ${cell}`).join("\n")}` },
    did === mine ? "=" : there.before === "–" ? "not there" : did);
}

// What a screen reader says of a row: the pass, what it did, and how it ended where that is only a sign or a grey.
function spoken(rows, row) {
  const state = { quiet: "nothing to do", off: "switched off", failed: "failed", unreached: "not reached" }[rows.state[row]];
  return [rows.name[row], rows.fired[row], rows.delta[row] ? `${rows.delta[row]} nodes` : "", state].filter(Boolean).join(", ");
}

function details(passes, row) {
  const { rows } = passes;
  const off = rows.state[row] === "off";
  return el("div.details", {},
    el("div.facts", {}, rows.facts[row].map((fact) => el("span.fact", {}, fact))),
    rows.sentence[row] ? el("p", {}, rows.sentence[row]) : null,
    !exported && rows.snapshot[row] > 0 && !rows.required[row] && rows.level[row] !== "kernels"
      ? button(off ? "Run with it" : "Run without it", () => switchPass(rows.name[row], off), { kind: "small" }) : null);
}

function switchPass(name, on) {
  const { disabled = [] } = session().overview || {};
  const next = on ? disabled.filter((other) => other !== name) : [...disabled, name];
  attempt({ recording: state().recording, disable: next });
}

function arrows(event) {
  const direction = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!direction) return;
  const { rows } = session().passes;
  const stops = rows.snapshot.filter((at) => at >= 0);
  const { at, base } = state();
  const next = stops[stops.indexOf(event.shiftKey ? base ?? at : at) + direction];
  if (next !== undefined && event.shiftKey) update({ base: next === at ? null : next, colour: "Change" });
  else if (next !== undefined) goTo(next);
  event.preventDefault();
  event.stopPropagation();
  requestAnimationFrame(() => document.querySelector(".pass.shown")?.focus());
}

