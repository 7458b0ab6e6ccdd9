// Starts the page: restores the view, wires keys and theme, and mounts one module per region.

import { onSession, session, stepPass, watchSession } from "./core/session.js";
import { listen } from "./core/keys.js";
import { restore, state, subscribe, update } from "./core/state.js";
import { applyTheme } from "./core/theme.js";
import { graphKeys } from "./graph/keys.js";
import { GraphView } from "./graph/view.js";
import { mountBar } from "./page/bar.js";
import { mountDock } from "./page/dock.js";
import { mountInspector } from "./page/inspector.js";
import { mountLesson } from "./page/lesson.js";
import { mountOverlays } from "./page/overlays.js";
import { pageKeys } from "./page/keys.js";
import { mountStart } from "./page/start.js";
import { wireRegions } from "./page/regions.js";
import { mountLedger } from "./panes/ledger.js";
import { mountNumbers } from "./panes/numbers.js";
import { mountStatus } from "./page/status.js";

const PANES = {
  bar: mountBar, numbers: mountNumbers, ledger: mountLedger, inspector: mountInspector,
  dock: mountDock, status: mountStatus, start: mountStart, overlays: mountOverlays,
};

const marks = JSON.parse(document.getElementById("glowviz-marks").textContent);
let graph = null;

restore();
applyTheme();
listen();
pageKeys();
watchSession();
mountLesson();

export function mountGraph(element, onselect) {
  graph = new GraphView(element, marks, onselect);
  graphKeys(graph);
  wireRegions(graph);
  onSession(({ passes }) => graph.bar.named(passes));
  subscribe(["at", "base", "union", "against"], () => graph.bar.named(session().passes));
  return () => graph.destroy();
}

export function mountPane(kind, element) {
  return PANES[kind](element, marks);
}

// What tests, lessons and the console may rely on.
window.glowviz = {
  state,
  update,
  session,
  stepPass,
  graph: {
    nodes: () => (graph ? graph.nodes() : []),
    edges: () => (graph ? graph.edges() : []),
    at: () => graph?.scene?.snapshot ?? -1, // of the picture on screen
    select: (id) => graph.select(id),
    stats: () => graph.stats.report(graph.scene ? graph.scene.count : 0),
    reset: () => graph.stats.reset(),
    camera: () => ({ x: graph.camera.x, y: graph.camera.y, k: graph.camera.k }),
    setCamera: (text) => update({ camera: text }), // "x,y,zoom" as in a permalink
  },
};
