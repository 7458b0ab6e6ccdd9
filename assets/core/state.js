// The one state every pane shares: what is open, what is selected, how it is shown; the address bar mirrors it.

const DEFAULTS = {
  recording: null,      // id, or null on the start page
  against: null,        // id of the run that this one is a what-if of; its numbers stand beside
  at: 0,                // snapshot on the canvas
  base: null,           // snapshot it is compared with; null = the one before
  selected: null,       // value name
  colour: "Family",
  colourChosen: false,  // true once the person has picked a mode; until then passes switch to Change
  fold: "blocks",
  opened: [],           // unfolded blocks, by name
  constants: false,
  union: false,         // draw this run and the one it is compared with as one picture
  focus: false,         // draw only what is within 2 steps of the selection
  tab: "overview",
  dock: null,           // null = closed, else the left tab
  dock2: null,          // the right tab, or null
  kernel: null,         // kernel in the code panes; null follows the selection
  camera: null,         // "x,y,zoom": the world point in the middle of the canvas; null = as the picture opens
  lesson: null,         // name of the lesson that is taught, and its step from 0
  step: 0,
  tolerance: 2e-5,      // error, of max |reference|, from which a value counts as wrong
  codeLine: 0,          // line of LLVM IR pointed at, from 1; 0 = none
  left: 300, right: 340, dockHeight: 300,
  hideLeft: false, hideRight: false,
  theme: null,          // "light" | "dark"; null follows the system
  projector: false,
  version: 0,           // grows when the recording has changed on the server
};
const REMEMBERED = ["left", "right", "dockHeight", "hideLeft", "hideRight", "theme", "projector"];
const LINKED = ["recording", "against", "at", "base", "selected", "colour", "fold", "opened", "constants", "union", "focus", "tab", "dock", "dock2", "kernel",
  "camera", "lesson", "step", "tolerance"];
const NUMBERS = ["at", "base", "step"];
const STORAGE = "glowviz.view";

let current = { ...DEFAULTS };
const listeners = new Set();
let depth = 0; // how many of our own entries lie before this one in the browser's history

export function state() {
  return { ...current };
}

// Calls `listener(state, changed)` whenever one of `keys` changes; returns a function that stops it.
export function subscribe(keys, listener) {
  const entry = { keys: new Set(keys), listener };
  listeners.add(entry);
  return () => listeners.delete(entry);
}

// Changes several fields at once, tells the listeners of those that differ, and writes the address. A change of
// what is shown becomes an entry of the browser's history, so that Back and Forward undo and redo it.
export function update(changes, { undo = true } = {}) {
  const changed = Object.keys(changes).filter((key) => !same(current[key], changes[key]));
  if (!changed.length) return;
  current = { ...current, ...changes };
  remember();
  if (changed.some((key) => LINKED.includes(key))) writeAddress(undo);
  tell(changed);
}

// Selects a value as a click on it does: its card comes forward, unless a tab about the selection is open already.
export function select(name, more = {}) {
  update({ selected: name, ...(name !== null && ["overview", "changes"].includes(current.tab) ? { tab: "life" } : {}), ...more });
}

function tell(changed) {
  const set = new Set(changed);
  for (const entry of [...listeners]) { // one of them may end another
    if (listeners.has(entry) && changed.some((key) => entry.keys.has(key))) entry.listener(state(), set);
  }
}

// Takes back the last change of what is shown, as the browser's Back does, but never leaves the page.
export function undo() {
  if (depth > 0) history.back();
  return depth > 0;
}

export function redo() {
  history.forward();
}

// The address of exactly this view.
export function permalink() {
  return `${location.origin}${location.pathname}${viewText()}`;
}

function same(one, other) {
  return one === other || (Array.isArray(one) && Array.isArray(other) && JSON.stringify(one) === JSON.stringify(other));
}

function remember() {
  try {
    localStorage.setItem(STORAGE, JSON.stringify(Object.fromEntries(REMEMBERED.map((key) => [key, current[key]]))));
  } catch {
    // A private window or an exported file page may refuse storage; the view then simply starts afresh.
  }
}

function viewText() {
  const query = new URLSearchParams();
  for (const key of LINKED) {
    if (!same(current[key], DEFAULTS[key])) query.set(key, typeof current[key] === "string" ? current[key] : JSON.stringify(current[key]));
  }
  return query.size ? `?${query}` : "";
}

// An address of a file takes no query in every browser: there the view travels behind a #.
const inFile = location.protocol === "file:";

function writeAddress(push) {
  if (push) depth += 1;
  const view = viewText();
  const address = inFile ? `#${view}` : `${location.pathname}${view}${location.hash}`;
  history[push ? "pushState" : "replaceState"]({ depth }, "", address);
}

// Reads what the last visit left and what the address says; the address wins.
export function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORAGE) || "{}");
    for (const key of REMEMBERED) if (key in kept && typeof kept[key] === typeof (DEFAULTS[key] ?? "")) current[key] = kept[key];
  } catch {
    // Unreadable storage is the same as none.
  }
  depth = history.state?.depth || 0;
  readAddress();
}

// The view in which an exported page was saved.
function savedView() {
  return document.querySelector("meta[name=glowviz-view]")?.content || "";
}

function readAddress() {
  const query = new URLSearchParams(inFile ? location.hash.slice(1) || savedView() : location.search);
  for (const key of LINKED) {
    const text = query.get(key);
    if (text === null) { current[key] = DEFAULTS[key]; continue; }
    const value = DEFAULTS[key] === null || typeof DEFAULTS[key] === "string" ? text : parse(text);
    if (NUMBERS.includes(key)) current[key] = Number.isInteger(Number(text)) ? Number(text) : DEFAULTS[key];
    else if (key === "opened") current[key] = Array.isArray(value) ? value.map(String) : [];
    else if (key === "tolerance") current[key] = value >= 0 && value <= 1 ? Number(value) : DEFAULTS[key];
    else if (typeof DEFAULTS[key] === "boolean") current[key] = value === true;
    else current[key] = text;
  }
  if (query.has("colour")) current.colourChosen = true;
  for (const key of ["recording", "against"]) if (current[key] !== null && !/^[0-9a-f]{32}$/.test(current[key])) current[key] = null;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

window.addEventListener("popstate", (event) => {
  const before = { ...current };
  depth = event.state?.depth || 0;
  readAddress();
  if (inFile) current.recording = before.recording;
  const changed = LINKED.filter((key) => !same(before[key], current[key]));
  if (changed.length) tell(changed);
});
