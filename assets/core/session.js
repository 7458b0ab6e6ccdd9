// What is known of the open recording: overview and ledger, kept up to date while the compiler still writes.

import { address, forget, get } from "./api.js";
import { published } from "./published.js";
import { state, subscribe, update } from "./state.js";

const POLL = 400;

const known = published({ recording: null, overview: null, passes: null, error: null });
let timer = 0;
let turn = 0;
let wanted = null; // a state to go to as soon as the recording has grown up to it

export const session = known.now;

// Calls `listener(session)` now and whenever overview or ledger change; returns a function that stops it.
export const onSession = known.listen;

function publish(changes) {
  known.publish({ ...session(), ...changes });
}

export function watchSession() {
  subscribe(["recording"], load);
  if (state().recording) load();
}

async function load() {
  const mine = (turn += 1);
  clearTimeout(timer);
  const { recording } = state();
  publish({ recording, overview: null, passes: null, error: null });
  if (recording) await refresh(mine);
}

// Compiling again starts from nothing: the state that was on screen comes back once it exists.
export function returnTo(at) {
  wanted = at;
}

export async function refresh(mine = turn) {
  const { recording } = state();
  try {
    const [overview, passes] = await Promise.all([
      get(address(recording, "overview"), { fresh: true }), get(address(recording, "passes"), { fresh: true }),
    ]);
    if (mine !== turn) return;
    const grown = session().overview && session().overview.snapshots !== overview.snapshots;
    const finished = session().overview && session().overview.status === "running" && overview.status !== "running";
    if (grown || finished) forget(`/api/r/${recording}/`);
    publish({ overview, passes, error: null });
    if (grown || finished) update({ version: state().version + 1 }, { undo: false });
    if (wanted !== null && wanted < overview.snapshots) {
      update({ at: wanted }, { undo: false });
      wanted = null;
    } else if (state().at >= overview.snapshots) update({ at: Math.max(0, overview.snapshots - 1) }, { undo: false });
    if (overview.status === "running" || passes.status === "running") timer = setTimeout(() => refresh(mine), POLL);
  } catch (error) {
    if (mine !== turn) return;
    publish({ error });
    if (error.status === 503) timer = setTimeout(() => refresh(mine), POLL);
  }
}

// Shows snapshot `at`; a pass is looked at in the colours of change until the person chooses otherwise.
export function goTo(at, more = {}) {
  const now = state();
  const colour = now.colourChosen ? now.colour : at === 0 ? "Family" : "Change";
  const tab = more.tab || (now.selected !== null ? now.tab : at === 0 ? "overview" : "changes");
  update({ at, base: null, colour, tab, ...more });
}

// The next (or previous) pass that changed something; with `any`, every pass counts.
export function stepPass(direction, any = false) {
  const rows = session().passes && session().passes.rows;
  if (!rows) return;
  const stops = rows.snapshot.filter((at, row) => at >= 0 && (any || at === 0 || rows.changes[row] > 0 || rows.state[row] === "failed"));
  const here = state().at;
  const next = direction > 0 ? stops.find((at) => at > here) : stops.filter((at) => at < here).pop();
  if (next !== undefined) goTo(next);
}

// The ledger row of snapshot `at`, or -1.
export function rowOf(at) {
  return session().passes ? session().passes.rows.snapshot.lastIndexOf(at) : -1;
}
