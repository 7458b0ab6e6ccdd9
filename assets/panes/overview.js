// The model's card: what it is, where time and memory go, and what is odd about it.

import { bytes } from "../core/format.js";
import { button, el, failed, icon, loading, replace } from "../core/dom.js";
import { exported } from "../core/inlined.js";
import { onSession } from "../core/session.js";
import { state, update } from "../core/state.js";
import { attempt } from "../page/compile.js";

const SIGNS = { "✓": "check", "!": "warning", "✕": "cross" };

export function drawOverview(element) {
  return onSession(({ overview, error }) => {
    if (error) replace(element, failed(error));
    else if (!overview) replace(element, loading("Reading the model"));
    else replace(element, card(overview));
  });
}

function card(overview) {
  return el("div.card-stack", {},
    el("section", {}, el("h3", {}, overview.name), el("p", {}, overview.what), weights(overview.weights)),
    section("Findings", overview.findings.slice(0, 5).map(finding), overview.status === "running" ? "not measured yet" : "nothing odd"),
    el("section", {}, table(overview.facts), file(overview.file)),
    ports("Inputs", overview.inputs, overview.file?.ports), ports("Outputs", overview.outputs, overview.file?.ports),
    section("Where time goes", overview.time.map((one) => bar(one.title, one.share, one.text, one.name)), "not timed yet"),
    section("Where memory goes", overview.memory.length ? account(overview.memory) : [], "not planned yet"));
}

function weights({ kind, text }) {
  return el(`p.weights.${kind}`, {}, icon(kind === "trained" ? "check" : "warning", 12), " ", text);
}

function table(facts) {
  return el("dl.facts-table", {}, facts.map(([label, value]) => [el("dt", {}, label), el("dd", {}, value)]));
}

// What the file says in its own words: texts of the model, and its metadata.
function file(said) {
  if (!said || (!said.doc.length && !said.props.length)) return null;
  return el("details.file-says", {}, el("summary", {}, [said.doc.length ? "Description" : null, said.props.length ? `${said.props.length} metadata` : null].filter(Boolean).join(" and ")),
    said.doc.map((text) => el("p.said", {}, text)), said.props.length ? el("dl.facts-table", {}, said.props.map(([key, value]) => [el("dt.mono", {}, key), el("dd", {}, value)])) : null);
}

function ports(title, list, said = {}) {
  if (!list.length) return null;
  return el("section", {}, el("h4", {}, title), list.slice(0, 8).map(([name, type]) => el("button.port", { type: "button", title: said[name] || null, onclick: () => update({ selected: name, tab: "life" }) },
    el("span", {}, name), el("span.mono.muted", {}, type))),
  list.length > 8 ? el("p.muted", {}, `and ${list.length - 8} more`) : null);
}

function section(title, content, none) {
  return el("section", {}, el("h4", {}, title), content.length ? content : el("p.muted", {}, none));
}

export function bar(title, share, text, name = null) {
  const line = [el("span.bar-title", {}, title), el("span.bar-text.num", {}, text),
    el("span.track", {}, el("span.fill", { style: { width: `${Math.max(1, Math.round(share * 100))}%` } }))];
  return name ? el("button.bar", { type: "button", onclick: () => update({ selected: name, tab: "life" }) }, line) : el("div.bar", {}, line);
}

export function account(parts) {
  // What the whole process takes is a measurement beside the account, not one of its parts.
  const own = parts.filter((part) => !part.label.startsWith("process"));
  const most = Math.max(1, ...own.map((part) => part.bytes || 0));
  return [own.map((part) => bar(part.label, (part.bytes || 0) / most, part.text || bytes(part.bytes))),
    parts.filter((part) => !own.includes(part)).map((part) => el("p.port.muted", {}, el("span", {}, part.label), el("span", {}, part.text)))];
}

function finding({ sign, text, name, action = null }) {
  const content = [icon(SIGNS[sign] || "warning", 12), el("span", {}, text)];
  const told = name ? el("button.finding", { type: "button", onclick: () => update({ selected: name, tab: "life" }) }, content) : el("p.finding", {}, content);
  if (!action || exported) return told;
  return el("div.finding-and-try", {}, told, button(action.label, () => attempt({ recording: state().recording, ...action.request }), { kind: "small" }));
}

