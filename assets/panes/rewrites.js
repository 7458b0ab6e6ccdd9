// Rewrite by rewrite: steps through every firing of a rule, of all rules, of one, or of those that touch a value.

import { address, get } from "../core/api.js";
import { el, icon, replace } from "../core/dom.js";
import { goTo } from "../core/session.js";
import { state } from "../core/state.js";

let filter = { kind: "any", value: "" }; // what is stepped through, kept while the page is open
let place = null;                        // {recording, row}: the rewrite that was stepped to last
const watchers = new Set();

async function rows() {
  const { recording } = state();
  return recording ? (await get(address(recording, "rewrites"))).rows : null;
}

function fitting(table) {
  return [...table.snapshot.keys()].filter((row) => filter.kind === "any" || (filter.kind === "rule" ? table.rule[row] === filter.value : table.touches[row].includes(filter.value)));
}

// Goes to the next (or previous) rewrite that fits; from another state, to the first of that state or after it.
export async function stepRewrite(direction) {
  const table = await rows().catch(() => null);
  if (!table) return;
  const { at, recording, selected } = state();
  const list = fitting(table);
  const here = place && place.recording === recording && table.snapshot[place.row] === at ? place.row : null;
  const next = direction > 0 ? list.find((row) => (here === null ? table.snapshot[row] >= at && (at > 0 || table.snapshot[row] > 0) : row > here))
    : [...list].reverse().find((row) => (here === null ? table.snapshot[row] <= at : row < here));
  if (next === undefined) return;
  place = { recording, row: next };
  goTo(table.snapshot[next], { selected: filter.kind === "touching" ? selected : table.name[next], tab: "changes", colour: "Change" });
  watchers.forEach((show) => show());
}

// Steps through the rewrites of one rule, or those that touch one value, from here on.
export function follow(kind, value, direction = 1) {
  filter = { kind, value };
  place = null;
  watchers.forEach((show) => show());
  return direction ? stepRewrite(direction) : null;
}

// The value whose rewrites are stepped through, or null.
export function followed() {
  return filter.kind === "touching" ? filter.value : null;
}

// The line at the head of the Changes tab: what is stepped through, where it stands, and the reason of that rewrite.
export function stepper() {
  const line = el("section.stepper", { "aria-live": "polite" });
  const show = async () => {
    if (!line.isConnected && line.dataset.shown) { watchers.delete(show); return; }
    const table = await rows().catch(() => null);
    if (!table) { replace(line); return; }
    line.dataset.shown = "true";
    const { selected, recording } = state();
    const list = fitting(table), row = place && place.recording === recording ? place.row : -1;
    const options = [["any", "", "any rewrite"], ...[...new Set(table.rule)].sort().map((rule) => ["rule", rule, `rule ${rule}`])];
    const value = filter.kind === "touching" ? filter.value : selected;
    if (value) options.push(["touching", value, `touching ${value}`]);
    const choice = el("select", { "aria-label": "Which rewrites are stepped through", onchange: () => { const [kind, which] = options[choice.selectedIndex]; follow(kind, which, 0); } },
      options.map(([kind, which, label]) => el("option", { selected: kind === filter.kind && which === filter.value }, label)));
    const arrow = (name, direction, label) => el("button.bare", { type: "button", title: label, "aria-label": label, onclick: () => stepRewrite(direction) }, icon(name));
    const at = list.indexOf(row);
    replace(line, el("div.row", {}, arrow("left", -1, "Previous rewrite (W)"), arrow("right", 1, "Next rewrite (w)"), choice,
      el("span.muted", {}, `${at >= 0 ? `${(at + 1).toLocaleString("en-US")} of ` : ""}${list.length.toLocaleString("en-US")}`)),
    at >= 0 && table.snapshot[row] === state().at ? el("p.reason", {}, `${table.rule[row]} at ${table.name[row]}: ${table.reason[row]}`) : null);
  };
  watchers.add(show);
  show();
  return line;
}
