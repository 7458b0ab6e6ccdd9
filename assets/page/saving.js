// A run is saved as one file by a job: the status line says how far it is and can cancel it; then the file comes as a download.

import { address, get, post, remove } from "../core/api.js";
import { published } from "../core/published.js";
import { permalink, state } from "../core/state.js";

const POLL = 200;
// {id, state, stage, done, total, problem} of the saving under way, or of the one that failed; null without one
const { now: saving, listen, publish } = published(null);

// Calls `listener(job)` now and on each change; job is null when nothing is being saved.
export const onSaving = listen;

// `kind` is "page" (one HTML file that opens at this view) or "answers" (everything as JSON).
export async function save(kind) {
  if (saving() && saving().state !== "failed") return;
  publish({ id: null, state: "running", stage: "Saving", done: 0, total: 100 });
  try {
    const view = permalink().split("?")[1] || "";
    const { check } = await post(address(state().recording, "save"), { kind, view: `?${view}` });
    if (saving() === null) { remove(`/api/checks/${check}`).catch(() => {}); return; } // cancelled before it had a number
    publish({ ...saving(), id: check });
    await follow(check);
  } catch (error) {
    if (saving() !== null) publish({ id: null, state: "failed", problem: error.problem || { what: String(error.message || error) } });
  }
}

async function follow(check) {
  while (saving()?.id === check) {
    const now = await get(`/api/checks/${check}`, { fresh: true });
    if (saving()?.id !== check) return;
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
  if (saving()?.id != null) remove(`/api/checks/${saving().id}`).catch(() => {});
  publish(null);
}
