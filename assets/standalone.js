// The exported page: the same regions and modules, fed from payloads inside the file.

import "./core/inlined.js";
import { el } from "./core/dom.js";
import { update } from "./core/state.js";
import { mountGraph, mountPane } from "./main.js";

const IDENTIFIER = "0".repeat(32);

function region(tag, name, kind) {
  const module = el("div.module", { id: name });
  return { element: el(`${tag}.region.${name}`, { id: `region-${name}` }, module), mount: () => mountPane(kind, module) };
}

const bar = region("header", "bar", "bar"), numbers = region("section", "numbers", "numbers");
const ledger = region("nav", "ledger", "ledger"), inspector = region("aside", "inspector", "inspector");
const dock = region("section", "dock", "dock"), status = region("footer", "status", "status");
const overlays = region("div", "overlays", "overlays");
const graph = el("div.module", { id: "graph" });
const splitter = (id) => el("div.splitter", { id, role: "separator" });

document.body.append(el("div.page", { id: "page" }, bar.element, numbers.element,
  el("main.regions", {}, ledger.element, splitter("splitter-left"), el("section.region.canvas", {}, graph), splitter("splitter-right"), inspector.element),
  dock.element, status.element, overlays.element));
document.getElementById("page").style.height = "100vh";
mountGraph(graph, () => {});
for (const one of [bar, numbers, ledger, inspector, dock, status, overlays]) one.mount();
update({ recording: IDENTIFIER }, { undo: false });
