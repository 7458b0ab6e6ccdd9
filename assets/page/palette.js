// The command palette: every key's command, every pass, every tab, by typing a part of its name.

import { copy, el, empty } from "../core/dom.js";
import { table } from "../core/keys.js";
import { goTo, session } from "../core/session.js";
import { exported } from "../core/inlined.js";
import { permalink, state, update } from "../core/state.js";
import { MODES } from "../graph/colour.js";
import { savePicture } from "./bar.js";
import { chooser } from "./chooser.js";
import { attempt } from "./compile.js";
import { DOCK_TABS } from "./dock.js";
import { openOverlay } from "./overlays.js";
import { save } from "./saving.js";

export function paletteOverlay(body, { close, query: typed = "" }) {
  const all = commands();
  const list = chooser(body, {
    placeholder: "Type a command, a pass or a view",
    onquery: (query) => show(query),
    onchoose: (command) => { close(); command.run(); },
  });
  const show = (query) => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = all.filter(({ label, group }) => words.every((word) => `${group} ${label}`.toLowerCase().includes(word))).slice(0, 60);
    list.show(found, found.length ? null : empty("No command matches."), (command) => [
      el("span.muted.group-name", {}, command.group), el("span", {}, command.label), el("span.space"), command.keys ? el("kbd", {}, command.keys) : null,
    ]);
  };
  body.querySelector("input").value = typed.trim();
  show(typed);
}

function saves() {
  const { recording, at } = state();
  const file = (what, label) => ({ group: "Save", label, run: () => { location.assign(`/api/r/${recording}/${what}`); } });
  const picture = { group: "Save", label: "What the canvas shows as PNG", run: savePicture };
  if (exported) return [picture];
  return [picture, file("trace.json", "Times as a Chrome trace, for Perfetto"), { group: "Save", label: "All answers as JSON", run: () => save("answers") },
    { group: "Save", label: "This run as one HTML page", run: () => save("page") }, file(`picture/${at}`, "This picture as SVG"), file("recording.glowrec", "The recording")];
}

function commands() {
  const { passes } = session();
  const keyed = table().filter((binding) => !binding.when || binding.when({ target: document.body }))
    .filter((binding) => !binding.keys.includes("ArrowDown"))
    .map((binding) => ({ group: binding.group, label: binding.label, keys: binding.keys[0], run: () => binding.run({ key: binding.keys[0], target: document.body }) }));
  const views = passes ? DOCK_TABS.map(([key, label]) => ({ group: "Show", label, run: () => showDock(key) })) : [];
  const colours = passes ? MODES.map((mode) => ({ group: "Colour by", label: mode, run: () => update({ colour: mode, colourChosen: true }) })) : [];
  const rows = passes ? passes.rows.snapshot.map((at, row) => ({ at, name: passes.rows.name[row], row })).filter(({ at }) => at >= 0)
    .map(({ at, name, row }) => ({ group: "Go to pass", label: `${at} ${name}`, keys: passes.rows.fired[row] || null, run: () => goTo(at) })) : [];
  const more = [
    { group: "Model", label: "Open another model", run: () => update({ recording: null, selected: null, at: 0 }) },
    { group: "Model", label: "Try passes on a graph", run: () => openOverlay("editor") },
    ...(passes ? saves() : []),
    ...(passes ? [{ group: "Share", label: "Copy the link to exactly this view", run: () => { copy(permalink()); } }] : []),
    ...(passes && !exported ? [{ group: "Model", label: "Compile again with other settings", run: () => openOverlay("settings") }] : []),
  ];
  return [...keyed, ...views, ...colours, ...more, ...(passes && !exported ? runs(passes) : []), ...rows];
}

// What a click on a button elsewhere starts: the search for a wrong pass, a finding's remedy, a run without a pass.
function runs({ rows }) {
  const { recording } = state(), { overview } = session(), off = overview?.disabled || [];
  const tries = (overview?.findings || []).filter((one) => one.action)
    .map(({ text, action }) => ({ group: "Finding", label: `${action.label}: ${text}`, run: () => attempt({ recording, ...action.request }) }));
  const names = [...new Set(rows.name.filter((_, row) => rows.snapshot[row] > 0 && !rows.required[row] && rows.level[row] !== "kernels"))];
  const switches = names.map((name) => ({ group: "Run", label: `${off.includes(name) ? "with" : "without"} ${name}`,
    run: () => attempt({ recording, disable: off.includes(name) ? off.filter((other) => other !== name) : [...off, name] }) }));
  return [{ group: "Run", label: "Bisect: the first pass that changes a result", run: () => openOverlay("bisect") }, ...tries, ...switches];
}

// Opens a view of the dock and goes into it: what it shows is walked with arrows from there.
async function showDock(key) {
  update({ dock: key });
  for (let wait = 0; wait < 40; wait += 1) {
    const inside = document.querySelector(".dock-side .virtual, .dock-side .scrub, .dock-side .state");
    if (inside && !inside.classList.contains("loading")) { inside.focus(); return; }
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
