// Another engine beside our kernels: measured here at a click, or read from the profile that somebody gives.

import { address, forget, get, post, remove } from "../core/api.js";
import { button, el, icon, replace } from "../core/dom.js";
import { exported } from "../core/inlined.js";
import { milliseconds, spreadTime } from "../core/format.js";
import { state, update } from "../core/state.js";
import { upload } from "../page/upload.js";

const POLL = 300;

// The line above the table: what the peer took, or how to get to know it.
export function peerLine({ peer, total, alone }) {
  const place = el("span.peer", { "aria-live": "polite" });
  replace(place, alone && !alone.alone ? el("span.not-alone", { title: "Times of this run may be too long" }, icon("warning", 12), ` ${alone.told}`) : null,
    peer ? told(peer, total) : null, exported || !total ? null : controls(place, peer));
  return place;
}

function told(peer, total) {
  const whole = peer.total;
  const ratio = whole && total ? ` · ${(whole.ms / total.ms).toFixed(2)} × ours` : "";
  return el("span", { title: [peer.told, ...peer.notes].join("\n") }, peer.told.includes("not alone") ? [icon("warning", 12), " "] : null,
    `${peer.engine} ${peer.version} `, whole ? `${spreadTime(whole.ms, whole.spread)} (n=${whole.samples})${ratio}` : "",
    el("span.muted", {}, ` sum of its nodes ${milliseconds(peer.sum_ms)}`), peer.source === "given" ? el("span.chip", {}, "from a file") : null,
    peer.notes.length ? el("span.muted", {}, " ", icon("warning", 12), ` ${peer.notes.length === 1 ? "1 note" : `${peer.notes.length} notes`}`) : null);
}

function controls(place, peer) {
  const file = el("input", { type: "file", accept: ".json,application/json", hidden: true, "aria-label": "Profile of onnxruntime", onchange: () => {
    if (file.files.length) start(place, async () => ({ upload: await upload([file.files[0]], () => {}, new AbortController().signal) }));
  } });
  return [
    button(peer ? "Measure again" : "Beside onnxruntime", () => start(place, async () => ({})), { kind: "small", title: "Time this model in onnxruntime, in a process of its own, while nothing else is timed" }),
    button("Its profile…", () => file.click(), { kind: "small", title: "Read the JSON file that onnxruntime's profiling wrote" }), file,
  ];
}

async function start(place, ask) {
  const { recording } = state();
  try {
    const { check } = await post(address(recording, "peer"), await ask());
    await follow(place, check);
    forget(`/api/r/${recording}/`);
    if (state().recording === recording) update({ version: state().version + 1 }, { undo: false });
  } catch (error) {
    const { what = error.message, remedy = "" } = error.problem || {};
    replace(place, el("span", { role: "alert" }, icon("cross", 12), ` ${what} ${remedy}`), button("Again", () => start(place, ask), { kind: "small" }));
  }
}

// Resolves when the check is done; throws what it ended with.
async function follow(place, check) {
  const path = `/api/checks/${check}`;
  for (;;) {
    const now = await get(path, { fresh: true });
    if (now.state === "done") return;
    if (now.state !== "queued" && now.state !== "running") throw Object.assign(new Error("Cancelled."), { problem: now.problem || { what: "Cancelled." } });
    replace(place, el("span", { "aria-busy": "true" }, now.stage || now.state), button("Cancel", () => remove(path).catch(() => {}), { kind: "small" }));
    await new Promise((resolve) => { setTimeout(resolve, POLL); });
  }
}
