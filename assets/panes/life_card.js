// The life card: from the ONNX node to the measured microseconds, one fact per line.

import { address, get } from "../core/api.js";
import { exported } from "../core/inlined.js";
import { openOverlay } from "../page/overlays.js";
import { button, el, icon, replace } from "../core/dom.js";
import { watch } from "../core/pane.js";
import { goTo } from "../core/session.js";
import { state, update } from "../core/state.js";
import { onnxNodes } from "./onnx_node.js";
import { maps } from "./maps.js";
import { remark } from "./why.js";

const SHOWN = 4000, REMARKS = 3;

export function drawLife(element) {
  return watch(element, {
    keys: ["recording", "at", "selected"],
    path: (now) => (now.recording && now.selected !== null ? address(now.recording, `life/${now.at}`, { name: now.selected }) : null),
    none: () => "Click a box to read its life: where it came from, what changed it and why, and what it costs.",
    draw: (life) => {
      const refusals = el("div"), code = el("div");
      replace(element, card(life, refusals, code));
      if (life.op === "constant") numbersOf(life.name, code);
      if (life.op !== "block") refusalsOf(life.name, refusals);
      if (life.links?.kernel) assemblyOf(life.links.kernel, code);
    },
  });
}

// The machine code of the node, so that one click on a box ends at its instructions.
async function assemblyOf(name, place) {
  const { recording, selected } = state();
  const kernel = await get(address(recording, "kernel", { name })).catch(() => null);
  if (!kernel || state().selected !== selected || !kernel.asm.length) return;
  const start = Math.max(0, kernel.asm.findIndex((line) => /^[^\s.#][^:]*:/.test(line))); // tables of numbers come before the function
  const lines = kernel.asm.slice(start).filter((line) => !/^\s*\.(?:cfi_|loc|file|p2align|type|size|globl|section|text)/.test(line));
  replace(place, el("section.machine-code", {}, el("h4", { title: name }, "Assembly", el("span.muted", {}, ` · ${kernel.asm.length.toLocaleString("en-US")} lines`)),
    el("pre.mono.asm", { tabindex: 0, "aria-label": "Assembly" }, lines.slice(0, SHOWN).join("\n"), lines.length > SHOWN ? `\n… ${lines.length - SHOWN} more` : ""),
    button("Beside its LLVM IR", () => update({ dock: "llvm", dock2: "asm", kernel: name }), { kind: "small" })));
}

// What a weight holds, on its own card: the same numbers as in the Values tab.
async function numbersOf(name, place) {
  const { recording, at, selected } = state();
  const found = await get(address(recording, `values/${at}`, { name })).catch(() => null);
  if (!found || found.missing || state().selected !== selected) return;
  replace(place, el("section.card-stack.flat", {}, el("h4", {}, "Numbers"), found.picture ? maps(found.picture) : null,
    el("dl.facts-table", {}, found.stats.map(([label, value]) => [el("dt", {}, label), el("dd.num", {}, value)])),
    found.sample ? el("pre.mono.sample", {}, found.sample) : null));
}

// Why passes left it as it is: the same remarks as in the Why? tab, the first ones.
async function refusalsOf(name, place) {
  const { recording, at, selected } = state();
  const why = await get(address(recording, `why/${at}`, { name })).catch(() => null);
  if (!why || state().selected !== selected || !why.remarks.length) return;
  replace(place, el("section.left-alone", {}, el("h4", {}, "Not done here"), why.remarks.slice(0, REMARKS).map(remark),
    why.remarks.length > REMARKS ? button(`All ${why.remarks.length} reasons`, () => update({ tab: "why" }), { kind: "small" }) : null));
}

function card(life, refusals, code) {
  return el("div.card-stack", {},
    el("section.life", {},
      el("h3", {}, life.title, el("span.muted", {}, ` · ${life.op}`), life.gone ? el("span.chip.gone", {}, "gone") : null),
      life.type ? el("p.mono.muted", {}, life.type) : null,
      life.paragraphs.map(paragraph)),
    links(life.links || {}, life.name, !life.gone && life.op !== "block"), refusals, code,
    attributes(life.attributes), neighbours("Inputs", life.inputs), neighbours("Used by", life.users),
    onnxNodes(life.onnx, life.origin));
}

function paragraph({ text, snapshot }) {
  if (snapshot === null || snapshot === undefined) return el("p.fact-line", {}, text);
  return el("p.fact-line", {}, text, " ", el("button.go", { type: "button", title: "Show this state", onclick: () => goTo(snapshot, { selected: state().selected }) }, icon("right", 11)));
}

// Opens the graph around a node in the editor, where passes can be tried on it.
async function editPart(name) {
  const path = address(state().recording, `cutout/${state().at}`, { name });
  const response = await fetch(path);
  if (response.ok) openOverlay("editor", { text: await response.text() });
}

function links({ instruction, kernel, buffer }, name, editable) {
  const open = (dock, dock2 = null) => update({ dock, dock2 });
  const made = [
    kernel ? button("LLVM IR and assembly", () => open("llvm", "asm"), { kind: "small" }) : null,
    instruction !== null && instruction !== undefined ? button("Instruction", () => open("program"), { kind: "small" }) : null,
    !exported && editable ? button("Edit this part", () => editPart(name), { kind: "small" }) : null,
    buffer ? button("Memory", () => open("memory"), { kind: "small" }) : null,
  ].filter(Boolean);
  return made.length ? el("section.links", {}, made) : null;
}

function attributes(list) {
  if (!list.length) return null;
  return el("section", {}, el("h4", {}, "Attributes"), el("dl.facts-table.mono", {}, list.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

function neighbours(title, list) {
  if (!list.length) return null;
  return el("section", {}, el("h4", {}, title), list.slice(0, 40).map(([name, label, type]) => el("button.port", { type: "button", onclick: () => update({ selected: name }) },
    el("span", {}, label), el("span.mono.muted", {}, type))),
  list.length > 40 ? el("p.muted", {}, `and ${list.length - 40} more`) : null);
}
