// Keys of the page: passes, sides, dock, theme, search and help.

import { exported } from "../core/inlined.js";
import { bind } from "../core/keys.js";
import { stepPass } from "../core/session.js";
import { redo, state, undo, update } from "../core/state.js";
import { toggleTheme } from "../core/theme.js";
import { follow, followed, stepRewrite } from "../panes/rewrites.js";
import { openCharts } from "./charts.js";
import { closeOverlay, openOverlay } from "./overlays.js";

export function pageKeys() {
  const open = () => Boolean(state().recording);
  const add = (key, group, label, run, when = open) => bind(key, { group, label, run, when });
  add(["n"], "Passes", "Next pass that changed something", () => stepPass(1));
  add(["p"], "Passes", "Previous pass that changed something", () => stepPass(-1));
  add(["N"], "Passes", "Next pass, quiet ones too", () => stepPass(1, true));
  add(["P"], "Passes", "Previous pass, quiet ones too", () => stepPass(-1, true));
  add(["w"], "Passes", "Next rewrite (of the rule or value chosen in Changes)", () => stepRewrite(1));
  add(["W"], "Passes", "Previous rewrite", () => stepRewrite(-1));
  add(["x"], "Passes", "Next rewrite that touches the selection", () => touching(1), () => open() && state().selected !== null);
  add(["X"], "Passes", "Previous rewrite that touches the selection", () => touching(-1), () => open() && state().selected !== null);
  add(["["], "Page", "Show or hide the ledger", () => update({ hideLeft: !state().hideLeft }));
  add(["]"], "Page", "Show or hide the inspector", () => update({ hideRight: !state().hideRight }));
  add(["d"], "Page", "Open or close the dock", () => update({ dock: state().dock ? null : "text" }));
  add(["g"], "Page", "Charts", openCharts);
  add(["l"], "Page", "Light or dark", toggleTheme, () => true);
  add(["J"], "Page", "Projector: larger type", () => update({ projector: !state().projector }), () => true);
  add(["/"], "Find", "Search in all states", () => openOverlay("search"));
  add([">", "Ctrl+k"], "Find", "Run a command", () => openOverlay("palette"), () => true);
  add(["e"], "Page", "Write a graph and watch passes", () => openOverlay("editor"), () => !exported);
  add(["?"], "Find", "These keys", () => openOverlay("help"), () => true);
  add(["u", "Ctrl+z"], "Page", "Take back the last change of view", () => undo());
  add(["U", "Ctrl+y"], "Page", "Do it again", redo);
  bind("Escape", { group: "Page", label: "Close, or let go of the selection", run: escape });
}

// From one rewrite of the selected value to the next, over all passes.
function touching(direction) {
  const { selected } = state();
  if (followed() === selected) stepRewrite(direction);
  else follow("touching", selected, direction);
}

// Esc takes away one level: overlay, then selection, then the comparison.
function escape() {
  if (closeOverlay()) return true;
  const now = state();
  if (document.activeElement && document.activeElement !== document.body) document.activeElement.blur();
  if (now.focus) update({ focus: false });
  else if (now.selected !== null) update({ selected: null, tab: now.at === 0 ? "overview" : now.tab === "life" ? "changes" : now.tab });
  else if (now.base !== null) update({ base: null });
  else if (now.union) update({ union: false });
  else return false;
  return true;
}
