// The status line: where in the pipeline, what is selected, what runs, and whose weights these are.

import { el, icon, replace } from "../core/dom.js";
import { onSession, session } from "../core/session.js";
import { state, subscribe, update } from "../core/state.js";
import { cancelJob, onJob } from "./compile.js";
import { cancelSaving, onSaving } from "./saving.js";

export function mountStatus(element) {
  let job = null, saving = null;
  const draw = () => {
    const { overview } = session();
    const { at, selected, base } = state();
    const weights = overview?.weights;
    replace(element,
      overview ? el("span", {}, at === 0 ? "imported" : `pass ${at}/${Math.max(at, overview.snapshots - 1)}`) : null,
      base !== null ? el("span", {}, `compared with ${base}`) : null,
      selected !== null ? el("span.cutoff", {}, `selected ${selected}`) : null,
      job ? progress(job, cancelJob) : null,
      saving ? progress(saving, cancelSaving) : null,
      el("span.space"),
      weights && weights.kind !== "trained" ? el("span", { title: weights.text }, `${weights.kind} weights`) : null);
  };
  const stops = [onSession(draw), subscribe(["at", "selected", "base"], draw), onJob((next) => { job = next; draw(); }),
    onSaving((next) => { saving = next; draw(); })];
  return () => stops.forEach((stop) => stop());
}

function progress(job, cancel) {
  if (job.state === "failed") {
    return el("span.job.bad", {}, icon("cross", 12), ` ${job.problem?.what || "The job failed."} `,
      job.problem?.remedy ? `${job.problem.remedy} ` : null,
      el("button.bare", { type: "button", onclick: job.id === null ? cancel : () => update({ dock: "problems" }) }, job.id === null ? "Close" : "What to do"));
  }
  const share = job.total ? job.done / job.total : 0;
  return el("span.job", {}, `job: ${job.stage || "waiting"}${job.total === 100 ? ` ${job.done} %` : job.total ? ` ${job.done}/${job.total}` : ""} `,
    el("span.track", {}, el("span.fill", { style: { width: `${Math.round(share * 100)}%` } })),
    el("button.bare", { type: "button", onclick: cancel }, "Cancel"));
}
