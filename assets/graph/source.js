// The address of the scene that the shared state asks for, and of the ones a person may ask for next.

import { address, get } from "../core/api.js";

export function sceneAddress(now, at = now.at) {
  const union = now.union && now.against !== null;
  const base = union ? null : at === now.at && now.base !== null ? now.base : at > 0 ? at - 1 : null;
  return address(now.recording, `scene/${at}`, {
    base, fold: now.fold, open: now.opened.length ? now.opened : null, constants: now.constants ? 1 : null, with: union ? now.against : null,
  });
}

// Fetches the neighbours of the snapshot on screen, so that stepping needs no wait.
export function prefetch(now, last) {
  for (const at of [now.at + 1, now.at - 1]) {
    if (at >= 0 && at <= last) get(sceneAddress(now, at)).catch(() => {});
  }
}
