// What numbers a tensor holds: range, spread, oddities, and a histogram drawn as plain bars.

import { address } from "../core/api.js";
import { el, empty, replace } from "../core/dom.js";
import { digits } from "../core/format.js";
import { watch } from "../core/pane.js";
import { hunt } from "./hunt.js";

export function drawValues(element) {
  return watch(element, {
    keys: ["recording", "at", "selected"],
    path: (now) => (!now.recording ? null : now.selected !== null ? address(now.recording, `values/${now.at}`, { name: now.selected }) : address(now.recording, "hunt")),
    none: () => "Click a box to see the numbers it produces.",
    fresh: (now) => now.selected === null,
    draw: (payload) => replace(element, payload.missing ? empty(payload.missing) : !payload.rows ? card(payload)
      : payload.rows.name.length ? hunt(payload) : empty("Click a box to see the numbers it produces. This run kept none yet.")),
  });
}

function card(payload) {
  return el("div.card-stack", {},
    el("section", {}, el("h3", {}, payload.title || payload.name), el("p.mono.muted", {}, payload.type)),
    payload.counts.length ? histogram(payload) : null,
    el("dl.facts-table", {}, payload.stats.map(([label, value]) => [el("dt", {}, label), el("dd.num", {}, value)])),
    payload.sample ? el("section", {}, el("h4", {}, "First values"), el("pre.mono.sample", {}, payload.sample)) : null);
}

function histogram({ edges, counts }) {
  const most = Math.max(1, ...counts);
  const bars = counts.map((count, i) => el("span.bin", {
    style: { height: `${(count / most) * 100}%` }, title: `${digits(edges[i])} … ${digits(edges[i + 1])}: ${count.toLocaleString("en-US")}`,
  }));
  return el("figure.histogram", {}, el("div.bins", {}, bars),
    el("figcaption", {}, el("span", {}, digits(edges[0])), el("span", {}, digits(edges[edges.length - 1]))));
}
