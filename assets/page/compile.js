// Starting a compilation and following its job; a model with free dimensions first asks for them.

import { forget, get, post, remove } from "../core/api.js";
import { published } from "../core/published.js";
import { goTo, onSession, refresh, returnTo, session } from "../core/session.js";
import { state, update } from "../core/state.js";
import { openOverlay } from "./overlays.js";

const POLL = 350;
const { now: current, listen, publish } = published(null);
let following = null; // the recording whose job is asked after

// Calls `listener(job)` now and on each change; job is null when nothing runs.
export const onJob = listen;

// Asks the server to compile; `request` names a model, an upload, a gallery card or a recording to compile again.
export async function compile(request) {
  return started(request, await post("/api/compile", request));
}

// The same from inside an open recording: a refusal is told in the status line.
export async function attempt(request) {
  try {
    return await compile(request);
  } catch (error) {
    publish({ state: "failed", problem: error.problem || { what: String(error.message || error) } });
    return null;
  }
}

export async function openPath(path, shapes = null) {
  return started({ path }, await post("/api/open", shapes ? { path, shapes } : { path }));
}

function started(request, answer) {
  if (answer.dims) { openOverlay("shapes", { request, dims: answer.dims }); return null; }
  const again = request.recording !== undefined && request.recording !== answer.recording;
  if (again) returnTo(state().at);
  update({ recording: answer.recording, at: 0, ...(again ? { against: request.recording, tab: request.trial ? "values" : "compare" } : { against: null, union: false, camera: null, selected: null, opened: [], tab: "overview", colour: "Family", colourChosen: false }) });
  if (answer.job && following !== answer.job) follow(answer.job);
  return answer;
}

// A recording that is still being written has a job of its own name; whoever opens the page follows it.
onSession(({ recording, overview }) => {
  if (overview?.status === "running" && following !== recording) follow(recording);
});

async function follow(identifier) {
  following = identifier;
  try {
    const next = await get(`/api/jobs/${identifier}`, { fresh: true });
    next.id = identifier;
    if (following !== identifier) return;
    if (["done", "cancelled", "failed"].includes(next.state)) {
      following = null;
      publish(next.state === "failed" ? next : null);
      forget(`/api/r/${identifier}/`);
      update({ version: state().version + 1 }, { undo: false });
      await refresh();
      if (next.state !== "done") showFailure(identifier);
      return;
    }
    publish(next);
    setTimeout(() => { if (following === identifier) follow(identifier); }, POLL);
  } catch {
    following = null;
    publish(null);
  }
}

// What went wrong is shown where it went wrong: the last good state, with the node that was in hand.
function showFailure(identifier) {
  const { recording, passes } = session();
  const problem = recording === identifier ? passes?.rows.problem?.find(Boolean) : null;
  if (problem && problem.snapshot >= 0) goTo(problem.snapshot, { selected: problem.name || null, tab: "overview" });
}

export async function cancelJob() {
  if (!current()) return;
  const { id } = current();
  await remove(`/api/jobs/${id}`).catch(() => {});
  publish(null);
  if (following === null) follow(id);
}
