// One row per instruction: its kernel, what it took here and elsewhere, and how near it comes to the machine's peaks.

import { address } from "../core/api.js";
import { el, empty, icon, replace } from "../core/dom.js";
import { bytes, digits, flops, milliseconds, spreadTime } from "../core/format.js";
import { watch } from "../core/pane.js";
import { select, state, subscribe, update } from "../core/state.js";
import { VirtualList } from "../core/virtual_list.js";
import { peerLine } from "./peer.js";
import { placed, roofline } from "./roofline.js";

const COLUMNS = [
  ["step", "#", "num"], ["title", "Node", ""], ["name", "Kernel", "mono"], ["algorithm", "Algorithm", ""], ["ms", "Time", "num"],
  ["share", "Share", ""], ["peer_ms", "onnxruntime", "num"], ["gflops", "GFLOP/s", "num"], ["gbytes", "GB/s", "num"], ["peak", "Of peak", "num"],
];

export function drawKernels(element) {
  let payload = null, order = [], list = null, sort = ["ms", -1], chart = null;
  const side = el("div.kernel-facts");
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
      chart?.stop();
      chart = null;
      if (!payload.rows.name.length) { replace(element, empty("Kernels appear once the program has been compiled to machine code.")); return; }
      list = new VirtualList({ height: tall(), className: "table", render: (index) => row(payload, order[index]) });
      const head = el("div.table-row.table-head", { role: "row" });
      list.element.setAttribute("role", "rowgroup");
      list.element.addEventListener("keydown", walk);
      const headings = () => replace(head, columns(payload).map(([key, label, kind]) => el("span", { role: "columnheader", style: { display: "contents" } }, el(`button.cell.k-${key}${kind ? "." + kind : ""}`, {
        type: "button", onclick: () => { sort = [key, sort[0] === key ? -sort[1] : key === "step" ? 1 : -1]; sorted(); headings(); list.refresh(); },
      }, label, sort[0] === key ? icon(sort[1] > 0 ? "up" : "down", 10) : null))));
      sorted();
      headings();
      chart = placed(payload.rows).length ? roofline(payload, (at) => choose(payload.rows, at)) : null;
      replace(element, el("div.code-head", {}, summary(payload), peerLine(payload)),
        el(`div.kernels${payload.peer ? ".with-peer" : ""}`, {}, el("div.kernel-table", { role: "table", "aria-label": "Kernels; arrow keys choose one" }, head, list.element),
          el("div.kernel-side", {}, chart?.element, side)));
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
    replace(side, facts(payload));
    list.reveal(order.findIndex((at) => payload.rows.value[at] === state().selected));
  };
  const stopSelected = subscribe(["selected"], follow);
  return () => { stop(); stopSelected(); list?.destroy(); chart?.stop(); };
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

// The chosen kernel: its algorithm and why it was chosen; without one, how the chart is to be read.
function facts({ rows, roofs, peer }) {
  const at = rows.value.indexOf(state().selected);
  if (at < 0) {
    const rates = Object.entries(roofs.gbytes).map(([name, rate]) => `${name} ${digits(rate)} GB/s`).join(" · ");
    const without = rows.name.filter((_, one) => rows.ms[one] > 0 && !rows.gflops[one]).length;
    return [el("p.muted", {}, roofs.gflops ? `Measured on this machine: ${digits(roofs.gflops)} GFLOP/s${rates ? ` · ${rates}` : ""}.` : "The machine's peaks were not measured."),
      el("p.muted", {}, `A larger dot takes longer; one above a slope finds its data in a nearer cache.${without ? ` ${without} kernels only move data and have no dot.` : ""}`), notes(peer)];
  }
  return [el("p", {}, el("strong", {}, rows.title[at]), el("span.muted", {}, ` ${rows.algorithm[at] || rows.op[at]}${rows.spills[at] === null ? "" : ` · ${rows.spills[at]} spills`}`)),
    el("p", {}, rows.host[at] ? "Host call: the interpreter runs it. " : "", rows.why[at]),
    rows.gflops[at] ? el("p.muted", {}, `${flops(rows.gflop[at] * 1e9)} on ${bytes(rows.bytes[at])}, n=${rows.samples[at]}${rows.peak[at] > 1.05 ? "; above the peak, because it does less arithmetic than the work counts" : ""}.`)
      : el("p.muted", {}, `No arithmetic, ${bytes(rows.bytes[at])} moved, n=${rows.samples[at]}.`),
    rows.peer_told[at] ? el("p.muted", {}, `${peer.engine}: ${rows.peer_told[at]}${rows.peer_ratio[at] ? ` · ${rows.peer_ratio[at].toFixed(2)} × ours` : ""}`) : null];
}

function notes(peer) {
  return peer ? [el("p.muted", {}, `${peer.engine} ${peer.version}: ${peer.told}.`), peer.notes.map((note) => el("p.muted", {}, icon("warning", 12), ` ${note}`))] : null;
}

function columns(payload) {
  return COLUMNS.filter(([key]) => key !== "peer_ms" || payload.peer).map(([key, label, kind]) => [key, key === "peer_ms" ? payload.peer.engine : label, kind]);
}

function row(payload, at) {
  const { rows, sum_ms: sum } = payload;
  const share = sum && rows.ms[at] !== null ? rows.ms[at] / sum : 0;
  const cells = {
    step: rows.step[at], title: rows.title[at], name: rows.host[at] ? "host call" : rows.name[at], algorithm: rows.algorithm[at] || "–",
    ms: spreadTime(rows.ms[at], rows.spread[at]), peer_ms: beside(rows, at),
    share: el("span.track", {}, el("span.fill", { style: { width: `${(share * 100).toFixed(1)}%` } })),
    gflops: rows.gflops[at] ? digits(rows.gflops[at]) : "–", gbytes: rows.gbytes[at] ? digits(rows.gbytes[at]) : "–",
    peak: rows.peak[at] === null ? "–" : `${Math.round(rows.peak[at] * 100)} %`,
  };
  const chosen = rows.value[at] === state().selected;
  return el(`div.table-row${chosen ? ".chosen" : ""}`, {
    role: "row", style: { height: `${tall()}px` }, title: `${rows.samples[at] || 0} samples\n${rows.why[at]}`, onclick: () => choose(rows, at), "aria-current": chosen ? "true" : null,
  }, columns(payload).map(([key, , kind]) => el(`span.cell.k-${key}${kind ? "." + kind : ""}`, { role: "cell" }, cells[key])));
}

// The peer's time for the same nodes of the model; where several kernels share them it stands at one.
function beside(rows, at) {
  if (rows.peer_ms[at] === null) return el("span.muted", { title: rows.peer_told[at] }, rows.peer_told[at] || "–");
  return el("span", { title: rows.peer_told[at] }, milliseconds(rows.peer_ms[at]), el("span.muted", {}, rows.peer_ratio[at] ? ` ${rows.peer_ratio[at].toFixed(2)}×` : ""));
}

function tall() {
  return state().projector ? 36 : 24;
}

function choose(rows, at) {
  select(rows.value[at], { kernel: rows.host[at] ? null : rows.name[at] });
}
