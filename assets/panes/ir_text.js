// The printed IR, line by line; a click on a line selects what it defines.

import { address } from "../core/api.js";
import { button, copy, el, replace } from "../core/dom.js";
import { watch } from "../core/pane.js";
import { select, state, subscribe } from "../core/state.js";
import { pieces } from "../core/tokens.js";
import { VirtualList } from "../core/virtual_list.js";

const MARKS = ["", "+", "−", "~", "⇄"];

export function drawIrText(element) {
  return listing(element, "text", "This recording has no graph yet.");
}

export function drawProgram(element) {
  return listing(element, "program", "The program appears once the graph has been turned into instructions.");
}

function listing(element, what, none) {
  let payload = null, list = null;
  const stop = watch(element, {
    keys: ["recording", "at"],
    path: (now) => (now.recording ? address(now.recording, `${what}/${now.at}`) : null),
    none: () => none,
    draw: (answer) => {
      payload = answer;
      list?.destroy();
      list = new VirtualList({ height: lineHeight(), className: "code", render: (index) => row(payload, index) });
      const text = () => payload.lines.join("\n");
      replace(element, el("div.code-head", {}, el("span.muted", {}, `${payload.title} · ${payload.lines.length.toLocaleString("en-US")} lines`),
        el("span.space"), button("Copy", () => copy(text()), { kind: "bare" })), list.element);
      list.setCount(payload.lines.length);
      follow();
    },
  });
  const follow = () => {
    if (!payload || !list) return;
    list.refresh();
    const { selected } = state();
    if (selected !== null) list.reveal(payload.names.indexOf(selected));
  };
  const stopSelected = subscribe(["selected"], follow);
  return () => { stop(); stopSelected(); list?.destroy(); };
}

export function lineHeight() {
  return state().projector ? 27 : 18;
}

function row(payload, index) {
  const name = payload.names[index], change = payload.state[index] || 0;
  const chosen = name !== "" && name === state().selected;
  return el(`div.code-line${chosen ? ".chosen" : ""}${name ? ".named" : ""}.c${change}`, {
    style: { height: `${lineHeight()}px` }, onclick: name ? () => select(name) : null,
  }, el("span.gutter", {}, String(index + 1)), el("span.mark", {}, MARKS[change]), el("span.source", {}, pieces(payload.lines[index], "ir")));
}
