// Why passes left the selected node as it is.

import { address } from "../core/api.js";
import { button, el, empty, replace } from "../core/dom.js";
import { exported } from "../core/inlined.js";
import { watch } from "../core/pane.js";
import { session } from "../core/session.js";
import { state } from "../core/state.js";
import { attempt } from "../page/compile.js";

export function drawWhy(element) {
  return watch(element, {
    keys: ["recording", "at", "selected"],
    path: (now) => (now.recording && now.selected !== null ? address(now.recording, `why/${now.at}`, { name: now.selected }) : null),
    none: () => "Click a box to read why it was not fused, merged or removed.",
    draw: (payload) => replace(element, payload.remarks.length ? el("div.card-stack", {}, payload.remarks.map(remark))
      : empty("No pass had a reason to leave this alone: no rule starts at this kind of node, or every rule that does has fired.")),
  });
}

export function remark(one) {
  return el(`section.remark.${one.kind.replace(" ", "-")}`, {},
    el("h4", {}, one.rule, el("span.muted", {}, ` · ${one.pass}`)),
    one.lines.map((line) => el("p.fact-line", {}, line)),
    one.would ? el("p.fact-line", {}, one.would) : null,
    one.action && !exported ? button(one.action.label, () => act(one.action), { kind: "small" }) : null);
}

function act(action) {
  const { disabled = [] } = session().overview || {};
  attempt({ recording: state().recording, disable: action.disable ?? disabled, ...(action.before ? { before: action.before } : {}) });
}
