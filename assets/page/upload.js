// Models travel as streams: each dropped file is sent as it lies on the disk, with progress and cancel.

import { post, Problem, remove } from "../core/api.js";

// Sends `files` and returns the upload's id; `progress(sent, total)` is called as bytes leave.
export async function upload(files, progress, signal) {
  const { upload: identifier, limit } = await post("/api/uploads", {});
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const big = files.find((file) => file.size > limit);
  if (big) throw new Problem({ what: `${big.name} is too big for this server.`, expected: `At most ${(limit / 2 ** 30).toFixed(1)} GiB.`, remedy: "Open it by path on your own machine." }, 413);
  let before = 0;
  try {
    for (const file of files) {
      await send(identifier, file, (sent) => progress(before + sent, total), signal);
      before += file.size;
    }
  } catch (error) {
    remove(`/api/uploads/${identifier}`).catch(() => {});
    throw error;
  }
  return identifier;
}

// XMLHttpRequest, because fetch cannot report how much of a body has left.
function send(identifier, file, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/api/uploads/${identifier}?name=${encodeURIComponent(file.webkitRelativePath || file.name)}`);
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => (request.status < 300 ? resolve() : reject(refused(request, file)));
    request.onerror = () => reject(new Problem({ what: `Sending ${file.name} broke off.`, remedy: "Check that glowviz still runs, then drop the file again." }, 0));
    request.onabort = () => reject(new Problem({ what: `Sending ${file.name} was cancelled.` }, 0));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function refused(request, file) {
  try {
    return new Problem(JSON.parse(request.responseText).problem, request.status);
  } catch {
    return new Problem({ what: `The server refused ${file.name} (${request.status}).` }, request.status);
  }
}

export function isModel(name) {
  return /\.(onnx|pb|glow|glowrec)$/i.test(name);
}
