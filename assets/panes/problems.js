// What went wrong, in place, with what to do and a report to copy.

import { address } from "../core/api.js";
import { button, copy, el, empty, icon, replace } from "../core/dom.js";
import { watch } from "../core/pane.js";
import { goTo, session } from "../core/session.js";
import { state } from "../core/state.js";
import { attempt } from "../page/compile.js";

export function drawProblems(element) {
  return watch(element, {
    keys: ["recording"],
    path: (now) => (now.recording ? address(now.recording, "problems") : null),
    none: () => "No model is open.",
    fresh: () => true,
    draw: (payload) => replace(element, payload.problems.length ? el("div.card-stack.problems", {}, payload.problems.map(problemCard)) : empty("No problems.")),
  });
}

export function problemCard(problem) {
  const cut = (kind) => address(state().recording, `cutout/${problem.snapshot}`, { name: problem.name, kind });
  const what = problem.name ? "Save cut-out" : "Save the state before it";
  return el("section.problem", { role: "alert" },
    el("h4", {}, icon(problem.sign === "!" ? "warning" : "cross"), " ", problem.what),
    problem.where ? el("p.where", {}, problem.where) : null,
    problem.expected ? el("p", {}, problem.expected) : null,
    problem.remedy ? el("p", {}, problem.remedy) : null,
    el("div.actions", {},
      problem.report ? button("Copy report", () => copy(problem.report), { kind: "small" }) : null,
      (problem.cutout || []).map((kind) => el("a.button.small", { href: cut(kind), download: `cutout.${kind}` }, `${what} (.${kind})`)),
      problem.snapshot >= 0 ? button("Show the state before it", () => goTo(problem.snapshot, { selected: problem.name || null }), { kind: "small" }) : null,
      problem.skip ? button("Skip this pass and go on", () => skip(problem), { kind: "small" }) : null));
}

function skip(problem) {
  const { disabled = [] } = session().overview || {};
  attempt({ recording: state().recording, disable: [...disabled, problem.stage] });
}
