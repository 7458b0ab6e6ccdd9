// The breadcrumb: the model, the frames around the selection, and the selection; each a button that selects, the model lets go.

import { el, replace } from "../core/dom.js";
import { session } from "../core/session.js";
import { framesAround, selectable } from "./scene.js";

export function crumbs(view, box) {
  const { scene, trail } = view;
  trail.hidden = box < 0;
  if (box < 0) return;
  const path = [...framesAround(scene, box), box];
  const steps = path.map((one) => crumb(scene.title[one], one === box, () => view.select(selectable(scene, one))));
  replace(trail, [crumb(session().overview?.name || "model", false, () => view.select(null)), ...steps]
    .flatMap((step, at) => (at ? [el("span.muted", { "aria-hidden": "true" }, "/"), step] : [step])));
}

function crumb(text, here, onclick) {
  return el("button.bare", { type: "button", "aria-current": here ? "location" : null, onclick }, text);
}
