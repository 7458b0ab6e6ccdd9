// What the file says of the ONNX nodes behind a box: attributes with kinds and defaults, operands by their formal names, texts.

import { el } from "../core/dom.js";
import { update } from "../core/state.js";

export function onnxNodes(list, names) {
  if (!list || !list.length) return names.length ? el("section", {}, el("h4", {}, "From ONNX"), el("p.origin", {}, names.map((name) => el("span.chip.mono", {}, name)))) : null;
  return [list.map((one, at) => node(one, at === 0 && list.length === 1)), names.length > list.length ? el("p.muted", {}, `and ${names.length - list.length} more ONNX nodes`) : null];
}

function node(one, open) {
  return el("details.onnx-node", { open }, el("summary", {}, el("strong", {}, "ONNX "), el("span.mono", {}, one.name), el("span.muted", {}, ` · ${one.op}`)),
    el("p.muted", { title: one.summary || null }, one.version), one.summary ? el("p.summary", {}, one.summary) : null, one.doc ? el("p.said", {}, one.doc) : null,
    one.attributes.length ? el("table.attributes", {}, el("thead", {}, el("tr", {}, el("th", {}, "Attribute"), el("th", {}, "Kind"), el("th", {}, "Value"))), el("tbody", {}, one.attributes.map(attribute))) : null,
    ports("Inputs", one.inputs), ports("Outputs", one.outputs),
    one.props.length ? el("dl.facts-table", {}, one.props.map(([key, value]) => [el("dt.mono", {}, key), el("dd", {}, value)])) : null);
}

function attribute([name, kind, value, given]) {
  return el(`tr${given ? "" : ".default"}`, {}, el("th.mono", { scope: "row" }, name), el("td.muted", {}, kind), el("td.mono", {}, value, given ? null : el("span.muted", {}, value === "not given" ? "" : " (default)")));
}

function ports(title, list) {
  if (!list.length) return null;
  return el("dl.facts-table.ports", { "aria-label": title }, list.map(([formal, name]) => [el("dt", {}, `${title === "Inputs" ? "in" : "out"} ${formal}`),
    el("dd.mono", {}, name ? el("button.go", { type: "button", onclick: () => update({ selected: name }) }, name) : "left out")]));
}
