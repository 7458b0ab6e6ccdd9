// One row per instruction: its kernel, what it took, and how near it comes to the machine's peak.

import { address } from "../core/api.js";
import { el, empty, icon, replace } from "../core/dom.js";
import { bytes, flops, milliseconds, spreadTime } from "../core/format.js";
import { watch } from "../core/pane.js";
import { state, subscribe, update } from "../core/state.js";
import { VirtualList } from "../core/virtual_list.js";

const COLUMNS = [
  ["step", "#", "num"], ["title", "Node", ""], ["op", "Instruction", "mono"], ["name", "Kernel", "mono"], ["ms", "Time", "num"],
  ["share", "Share", ""], ["gflop", "Work", "num"], ["peak", "Of peak", "num"], ["bytes", "Moved", "num"], ["spills", "Spills", "num"],
];

export function drawKernels(element) {
  let payload = null, order = [], list = null, sort = ["ms", -1];
  const sorted = () => {
    const column = payload.rows[sort[0] === "share" ? "ms" : sort[0]];
    const key = (row) => column[row] ?? -1;
    order = [...payload.rows.name.keys()].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a - b) * sort[1]);
  };
  const stop = watch(element, {
    keys: ["recording", "projector"],
    path: (now) => (now.recording ? address(now.recording, "kernels") : null),
    none: () => "No model is open.",
    fresh: () => true,
    draw: (answer) => {
      payload = answer;
      list?.destroy();
      if (!payload.rows.name.length) { replace(element, empty("Kernels appear once the program has been compiled to machine code.")); return; }
      list = new VirtualList({ height: tall(), className: "table", render: (index) => row(payload, order[index]) });
      const head = el("div.table-row.table-head", { role: "row" });
      list.element.setAttribute("role", "rowgroup");
      list.element.addEventListener("keydown", walk);
      const headings = () => replace(head, COLUMNS.map(([key, label, kind]) => el("span", { role: "columnheader", style: { display: "contents" } }, el(`button.cell.k-${key}${kind ? "." + kind : ""}`, {
        type: "button", onclick: () => { sort = [key, sort[0] === key ? -sort[1] : key === "step" ? 1 : -1]; sorted(); headings(); list.refresh(); },
      }, label, sort[0] === key ? icon(sort[1] > 0 ? "up" : "down", 10) : null))));
      sorted();
      headings();
      replace(element, el("div.code-head", {}, summary(payload)),
        el("div", { role: "table", "aria-label": "Kernels; arrow keys choose one", style: { display: "contents" } }, head, list.element));
      list.setCount(order.length);
      follow();
    },
  });
  // Arrow keys choose the kernel above or below the chosen one; every pane follows.
  const walk = (event) => {
    const direction = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!direction) return;
    const here = order.findIndex((at) => payload.rows.value[at] === state().selected);
    const next = order[here < 0 ? 0 : here + direction];
    if (next !== undefined) choose(payload.rows, next);
    event.preventDefault();
    event.stopPropagation();
  };
  const follow = () => {
    if (!payload || !list) return;
    list.refresh();
    list.reveal(order.findIndex((at) => payload.rows.value[at] === state().selected));
  };
  const stopSelected = subscribe(["selected"], follow);
  return () => { stop(); stopSelected(); list?.destroy(); };
}

// The sum of the parts is not the whole: both are printed.
function summary({ total, sum_ms: sum, rows }) {
  const host = rows.host.filter(Boolean).length;
  const timed = total && total.ms !== null;
  return [
    el("span", {}, timed ? `Whole run ${spreadTime(total.ms, total.spread)} (n=${total.samples})` : "Not timed yet"),
    timed && sum !== null ? el("span.muted", {}, `sum of instructions ${milliseconds(sum)}`) : null,
    host ? el("span", {}, icon("warning", 12), ` ${host} host ${host === 1 ? "call" : "calls"} (not native)`) : el("span.muted", {}, "all native"),
  ];
}

function row(payload, at) {
  const { rows, sum_ms: sum } = payload;
  const share = sum && rows.ms[at] !== null ? rows.ms[at] / sum : 0;
  const cells = {
    step: rows.step[at], title: rows.title[at], op: rows.op[at], name: rows.host[at] ? "host call" : rows.name[at],
    ms: spreadTime(rows.ms[at], rows.spread[at]),
    share: el("span.track", {}, el("span.fill", { style: { width: `${(share * 100).toFixed(1)}%` } })),
    gflop: rows.gflop[at] === null ? "–" : flops(rows.gflop[at] * 1e9), peak: rows.peak[at] === null ? "–" : `${Math.round(rows.peak[at] * 100)} %`,
    bytes: rows.bytes[at] ? bytes(rows.bytes[at]) : "–", spills: rows.spills[at] ?? "–",
  };
  const chosen = rows.value[at] === state().selected;
  return el(`div.table-row${chosen ? ".chosen" : ""}`, {
    role: "row", style: { height: `${tall()}px` }, title: `${rows.samples[at] || 0} samples`, onclick: () => choose(rows, at), "aria-current": chosen ? "true" : null,
  }, COLUMNS.map(([key, , kind]) => el(`span.cell.k-${key}${kind ? "." + kind : ""}`, { role: "cell" }, cells[key])));
}

function tall() {
  return state().projector ? 36 : 24;
}

function choose(rows, at) {
  update({ selected: rows.value[at], kernel: rows.host[at] ? null : rows.name[at] });
}
