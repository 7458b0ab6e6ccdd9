// A run is saved as one file by a job: the status line says how far it is and can cancel it; then the file comes as a download.

import { address, get, post, remove } from "../core/api.js";
import { permalink, state } from "../core/state.js";

const POLL = 200;
const listeners = new Set();
let job = null; // {id, state, stage, done, total, problem} of the saving under way, or of the one that failed

// Calls `listener(job)` now and on each change; job is null when nothing is being saved.
export function onSaving(listener) {
  listeners.add(listener);
  listener(job);
  return () => listeners.delete(listener);
}

function publish(next) {
  job = next;
  listeners.forEach((listener) => listener(job));
}

// `kind` is "page" (one HTML file that opens at this view) or "answers" (everything as JSON).
export async function save(kind) {
  if (job && job.state !== "failed") return;
  publish({ id: null, state: "running", stage: "Saving", done: 0, total: 100 });
  try {
    const view = permalink().split("?")[1] || "";
    const { check } = await post(address(state().recording, "save"), { kind, view: `?${view}` });
    if (job === null) { remove(`/api/checks/${check}`).catch(() => {}); return; } // cancelled before it had a number
    publish({ ...job, id: check });
    await follow(check);
  } catch (error) {
    if (job !== null) publish({ id: null, state: "failed", problem: error.problem || { what: String(error.message || error) } });
  }
}

async function follow(check) {
  while (job?.id === check) {
    const now = await get(`/api/checks/${check}`, { fresh: true });
    if (job?.id !== check) return;
    if (now.state === "done") {
      publish(null);
      location.assign(`/api/checks/${check}/${now.answer.files[0]}`);
    } else if (now.state === "failed" || now.state === "cancelled") {
      publish({ id: null, state: "failed", problem: now.problem || { what: "Saving was cancelled by somebody else." } });
    } else {
      publish({ id: check, state: now.state, stage: now.stage, done: now.done, total: 100 });
      await new Promise((resolve) => { setTimeout(resolve, POLL); });
    }
  }
}

export function cancelSaving() {
  if (job?.id != null) remove(`/api/checks/${job.id}`).catch(() => {});
  publish(null);
}
