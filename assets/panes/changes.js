// What the pass changed, grouped by rule and pattern, and what it looked at but left alone.

import { address } from "../core/api.js";
import { el, icon, replace } from "../core/dom.js";
import { watch } from "../core/pane.js";
import { update } from "../core/state.js";
import { follow, stepper } from "./rewrites.js";

const FIRST = 12;

export function drawChanges(element) {
  return watch(element, {
    keys: ["recording", "at"],
    path: (now) => (now.recording && now.at > 0 ? address(now.recording, `changes/${now.at}`) : null),
    none: () => "This is the imported model; nothing has changed yet. Press n for the first pass that changes something.",
    draw: (payload) => replace(element, card(payload)),
  });
}

function card(payload) {
  return el("div.card-stack", {}, stepper(),
    el("section", {}, el("h3", {}, payload.header)),
    payload.groups.map((one) => group(one, false)),
    payload.kept.length ? el("section", {}, el("h4", {}, `${payload.kept.reduce((sum, one) => sum + one.count, 0).toLocaleString("en-US")} not done`)) : null,
    payload.kept.map((one) => group(one, true)));
}

function group(one, kept) {
  const list = el("div.items");
  let shown = FIRST;
  const fill = () => replace(list,
    one.items.slice(0, shown).map((item) => el("button.item", { type: "button", onclick: () => update({ selected: item.name }) }, item.text)),
    shown < one.items.length ? el("button.item.more", { type: "button", onclick: () => { shown = one.items.length; fill(); } }, `show ${one.items.length - shown} more`) : null,
    shown >= one.items.length && one.more ? el("p.muted", {}, `and ${one.more.toLocaleString("en-US")} more`) : null);
  fill();
  return el(`details.change-group${kept ? ".kept" : ""}`, { open: one.count <= FIRST || undefined },
    el("summary", {}, el("span.title", {}, one.title), el("span.count", {}, `×${one.count.toLocaleString("en-US")}`)),
    one.before.length || one.after.length ? pattern(one) : null,
    one.reason ? el("p.reason", {}, one.reason) : null,
    kept || !one.rule ? null : el("button.go", { type: "button", title: `Next rewrite by ${one.rule}, in this pass or a later one`, onclick: () => follow("rule", one.rule) }, `next by ${one.rule}`),
    list);
}

// The pattern drawn once: the ops before, an arrow, the ops after.
function pattern(one) {
  const chain = (ops) => ops.map((op, i) => [i ? el("span.link") : null, el("span.op", {}, op)]);
  return el("div.pattern", { role: "img", "aria-label": `${one.before.join(", ")} becomes ${one.after.join(", ") || "nothing"}` },
    el("div.side", {}, chain(one.before)), icon("right"), el("div.side", {}, one.after.length ? chain(one.after) : el("span.muted", {}, "nothing")));
}

