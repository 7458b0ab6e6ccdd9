// LLVM IR and assembly of one kernel; lines that belong together light up together.

import { address, get } from "../core/api.js";
import { button, copy, el, empty, failed, loading, replace } from "../core/dom.js";
import { state, subscribe, update } from "../core/state.js";
import { pieces } from "../core/tokens.js";
import { VirtualList } from "../core/virtual_list.js";
import { lineHeight } from "./ir_text.js";

export function drawLlvm(element) {
  return code(element, "llvm");
}

export function drawAssembly(element) {
  return code(element, "asm");
}

// The kernel to show: the chosen one, else the selection's, else the slowest.
function wanted(rows, now) {
  if (now.kernel !== null && rows.name.includes(now.kernel)) return now.kernel;
  const own = rows.value.indexOf(now.selected);
  if (own >= 0) return rows.name[own];
  const slowest = rows.ms.reduce((best, ms, row) => ((ms ?? -1) > (rows.ms[best] ?? -1) ? row : best), 0);
  return rows.name[slowest];
}

function code(element, language) {
  let list = null, kernel = null, turn = 0;
  const load = async () => {
    const mine = (turn += 1);
    const now = state();
    if (!now.recording) { replace(element, empty("No model is open.")); return; }
    if (!kernel) replace(element, loading("Reading kernels"));
    try {
      const { rows } = await get(address(now.recording, "kernels"), { fresh: true });
      if (mine !== turn) return;
      if (!rows.name.length) { kernel = null; replace(element, empty("Kernels appear once the program has been compiled to machine code.")); return; }
      const name = wanted(rows, now);
      if (kernel && kernel.name === name) return;
      const answer = await get(address(now.recording, "kernel", { name }));
      if (mine === turn) show(answer, rows);
    } catch (error) {
      if (mine === turn) { kernel = null; replace(element, failed(error, load)); }
    }
  };
  const show = (answer, rows) => {
    kernel = answer;
    list?.destroy();
    list = new VirtualList({ height: lineHeight(), className: "code", render: (index) => row(kernel, language, index) });
    const names = [...new Set(rows.name)].sort();
    const choose = el("select", { "aria-label": "Kernel", onchange: () => update({ kernel: choose.value }) }, names.map((name) => el("option", { value: name }, name)));
    choose.value = kernel.name;
    replace(element, el("div.code-head", {}, el("strong", {}, language === "llvm" ? "LLVM IR" : "Assembly"), choose,
      el("span.muted.cutoff", { title: kernel.why }, kernel.schedule.map(([key, value]) => `${key} ${value}`).join(" · ")), el("span.space"),
      el("span.muted", {}, `${kernel[language].length} lines`), button("Copy", () => copy(kernel[language].join("\n")), { kind: "bare" })), list.element);
    list.setCount(kernel[language].length);
    point();
  };
  const point = () => {
    if (!kernel || !list) return;
    list.refresh();
    const { codeLine } = state();
    if (!codeLine) return;
    const at = language === "llvm" ? codeLine - 1 : kernel.llvm_of.indexOf(codeLine);
    list.reveal(at);
  };
  const stops = [subscribe(["recording", "selected", "kernel", "version"], load), subscribe(["codeLine"], point)];
  load();
  return () => { stops.forEach((stop) => stop()); list?.destroy(); };
}

function row(kernel, language, index) {
  const source = language === "llvm" ? index + 1 : kernel.llvm_of[index] || 0;
  const chosen = source > 0 && source === state().codeLine;
  return el(`div.code-line${chosen ? ".chosen" : ""}${source ? ".named" : ""}`, {
    style: { height: `${lineHeight()}px` }, onclick: source ? () => update({ codeLine: chosen ? 0 : source }, { undo: false }) : null,
  }, el("span.gutter", {}, String(index + 1)), el("span.mark", {}, language === "asm" && source ? String(source) : ""),
  el("span.source", {}, pieces(kernel[language][index], language)));
}
