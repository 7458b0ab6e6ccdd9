// What numbers a tensor holds: range, spread, oddities, its error in full, a histogram, and small pictures of its maps.

import { address } from "../core/api.js";
import { el, empty, icon, replace } from "../core/dom.js";
import { digits } from "../core/format.js";
import { watch } from "../core/pane.js";
import { state, update } from "../core/state.js";
import { hunt, runWith } from "./hunt.js";
import { maps } from "./maps.js";

export function drawValues(element) {
  return watch(element, {
    keys: ["recording", "at", "selected", "tolerance"],
    path: (now) => (!now.recording ? null : now.selected !== null ? address(now.recording, `values/${now.at}`, { name: now.selected }) : address(now.recording, "hunt")),
    none: () => "Click a box to see the numbers it produces.",
    fresh: (now) => now.selected === null,
    draw: (payload) => replace(element, payload.missing ? empty(payload.missing, runWith()) : !payload.rows ? card(payload)
      : payload.rows.name.length ? hunt(payload) : empty("Click a box to see the numbers it produces. This run kept none yet.", runWith())),
  });
}

function card(payload) {
  return el("div.card-stack.values", {},
    el("section", {}, el("h3", {}, payload.title || payload.name), el("p.mono.muted", {}, payload.type), payload.told ? el("p", {}, payload.told) : null),
    error(payload.error),
    payload.picture ? maps(payload.picture) : null,
    payload.counts.length ? histogram(payload) : null,
    el("dl.facts-table", {}, payload.stats.map(([label, value]) => [el(`dt${odd(label, value) ? ".odd" : ""}`, {}, odd(label, value) ? icon("cross", 11) : null, label), el("dd.num", {}, value)])),
    payload.sample ? el("section", {}, el("h4", {}, "First values"), el("pre.mono.sample", {}, payload.sample)) : null,
    el("div.actions", {}, el("button.button.small", { type: "button", onclick: () => update({ selected: null, tab: "values" }) }, "All values of this run")));
}

const odd = (label, value) => ["NaN", "infinite"].includes(label) && value !== "0";

// max |difference| / max |reference|, with both parts and the place, so that nobody has to guess what an error is.
function error(found) {
  if (!found) return null;
  const { tolerance } = state();
  const beyond = found.relative > tolerance;
  const parts = found.absolute === null || found.absolute === undefined ? null
    : el("p.muted", {}, `max |difference| ${digits(found.absolute)}${found.worst.length ? ` at [${found.worst.join(", ")}]` : ""} / max |reference| ${digits(found.scale)}`);
  return el(`section.error-of${beyond ? ".beyond" : ""}`, {},
    el("p", {}, icon(beyond ? "cross" : "check", 12), ` Error ${digits(found.relative)} ${found.of ? `in ${found.of} ` : ""}· ${beyond ? "beyond" : "within"} the tolerance of ${digits(tolerance)}`),
    parts);
}

function histogram({ edges, counts, every = 1 }) {
  const most = Math.max(1, ...counts);
  const bars = counts.map((count, i) => el("span.bin", {
    style: { height: `${(count / most) * 100}%` }, title: `${digits(edges[i])} … ${digits(edges[i + 1])}: ${count.toLocaleString("en-US")}`,
  }));
  return el("figure.histogram", {}, el("div.bins", {}, bars),
    el("figcaption", {}, el("span", {}, digits(edges[0])), every > 1 ? el("span", {}, `every ${every}th number`) : null, el("span", {}, digits(edges[edges.length - 1]))));
}
