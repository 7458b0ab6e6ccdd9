// The dock: a row of tabs when closed; open, one tab or two side by side.

import { address, get } from "../core/api.js";
import { el, icon, replace } from "../core/dom.js";
import { onSession, session } from "../core/session.js";
import { state, subscribe, update } from "../core/state.js";
import { drawAssembly, drawLlvm } from "../panes/code.js";
import { drawIrText, drawProgram } from "../panes/ir_text.js";
import { drawKernels } from "../panes/kernels.js";
import { drawMemory } from "../panes/memory_map.js";
import { drawProblems } from "../panes/problems.js";

export const DOCK_TABS = [
  ["text", "IR text", drawIrText], ["program", "Program", drawProgram], ["llvm", "LLVM", drawLlvm], ["asm", "Assembly", drawAssembly],
  ["memory", "Memory", drawMemory], ["kernels", "Kernels", drawKernels], ["problems", "Problems", drawProblems],
];

export function mountDock(element) {
  const counts = new Map();
  const list = el("div.pane-tabs.dock-tabs");
  const handle = el("div.dock-handle", { title: "Drag to change the height" });
  const sides = [0, 1].map(() => el("div.dock-side", { role: "tabpanel", hidden: true }));
  const body = el("div.dock-body", {}, sides);
  replace(element, handle, list, body);
  const shown = [null, null], stops = [() => {}, () => {}];

  const tabs = () => {
    const { dock, dock2 } = state();
    replace(list, el("div", { role: "tablist", "aria-label": "Dock", style: { display: "contents" } }, DOCK_TABS.map(([key, label]) => el("button.pane-tab", {
      type: "button", role: "tab", "aria-selected": String(key === dock || (Boolean(dock) && key === dock2)), dataset: { tab: key },
      title: dock ? "Shift-click: beside the open one" : null, onclick: (event) => open(key, event.shiftKey),
    }, label, counts.get(key) ? el("span.count", {}, counts.get(key)) : null))),
    el("span.space"),
    dock ? el("button.bare", { type: "button", title: "Second tab beside", "aria-label": "Show two tabs side by side", onclick: () => update({ dock2: dock2 ? null : beside(dock) }) }, icon("book")) : null,
    el("button.bare", { type: "button", "aria-label": dock ? "Close the dock" : "Open the dock", title: "d", onclick: () => update({ dock: dock ? null : "text" }) }, icon(dock ? "down" : "up")));
  };
  const show = () => {
    const { dock, dock2 } = state();
    const wanted = dock ? [dock, dock2 === dock ? null : dock2] : [null, null];
    wanted.forEach((key, side) => {
      if (shown[side] === key) return;
      stops[side]();
      stops[side] = () => {};
      shown[side] = key;
      replace(sides[side]);
      sides[side].hidden = key === null;
      const tab = DOCK_TABS.find(([name]) => name === key);
      if (tab) stops[side] = tab[2](sides[side]);
    });
    tabs();
  };
  const count = async () => {
    const now = state();
    counts.clear();
    const problems = session().overview?.problems || 0;
    if (problems) counts.set("problems", problems);
    tabs();
    if (!now.recording || now.selected === null) return;
    const life = await get(address(now.recording, `life/${now.at}`, { name: now.selected })).catch(() => null);
    if (!life || state().selected !== now.selected) return;
    for (const [tab, text] of Object.entries(life.counts || {})) counts.set(tab, text);
    tabs();
  };
  drag(handle);
  show();
  const ends = [subscribe(["dock", "dock2"], show), subscribe(["selected", "at", "recording"], count), onSession(count)];
  return () => [...ends, ...stops].forEach((stop) => stop());
}

function open(key, aside) {
  const { dock, dock2 } = state();
  if (!dock) update({ dock: key, dock2: dock2 === key ? null : dock2 ?? (key === "llvm" ? "asm" : null) });
  else if (aside) update({ dock2: key === dock ? null : key });
  else if (key === dock && !dock2) update({ dock: null });
  else if (key === dock2) update({ dock: key, dock2: dock });
  else update({ dock: key, dock2: key === "llvm" && !dock2 ? "asm" : dock2 });
}

function beside(dock) {
  return { llvm: "asm", asm: "llvm", program: "memory", memory: "program", kernels: "llvm" }[dock] || "program";
}

function drag(handle) {
  handle.addEventListener("pointerdown", (event) => {
    if (!state().dock) return;
    handle.setPointerCapture(event.pointerId);
    const start = event.clientY, height = state().dockHeight;
    const move = (now) => update({ dockHeight: Math.round(Math.max(120, Math.min(window.innerHeight * 0.6, height + start - now.clientY))) }, { undo: false });
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", () => handle.removeEventListener("pointermove", move), { once: true });
  });
}
