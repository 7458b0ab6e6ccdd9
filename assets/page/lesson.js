// A lesson over an open model: one step at a time, a caption, a question to predict, and the answer when asked for.

import { get } from "../core/api.js";
import { button, el, failed, icon, loading, replace } from "../core/dom.js";
import { bind } from "../core/keys.js";
import { onSession, session } from "../core/session.js";
import { state, subscribe, update } from "../core/state.js";
import { compile } from "./compile.js";

const LETTERS = "ABCD";
const PLAIN = { base: null, selected: null, tab: "overview", dock: null, dock2: null, opened: [], fold: "blocks", focus: false, kernel: null, camera: null };

export async function openLesson(name) {
  const made = await compile({ lesson: name });
  if (made) update({ lesson: name, step: 0 }, { undo: false });
}

export function mountLesson() {
  const panel = el("aside.lesson", { role: "complementary", "aria-label": "Lesson", hidden: true });
  (document.getElementById("page") || document.body).append(panel);
  makeRoom(panel);
  let lesson = null, chosen = -1, revealed = false, wanted = null;
  const inside = document.getElementById("glowviz-lesson"); // an exported lesson brings its steps
  const linked = new URLSearchParams(inside ? location.hash.slice(1) : location.search).has("lesson");
  let shown = linked ? `${inside ? "0".repeat(32) : state().recording} ${state().step}` : "";
  const load = async () => {
    const { lesson: name, recording } = state(), page = document.getElementById("page");
    if (page && panel.parentNode !== page) page.append(panel); // it stands on the dock, wherever that ends
    panel.hidden = !name || !recording;
    document.body.classList.toggle("teaching", !panel.hidden);
    if (panel.hidden || lesson?.name === name) { draw(); return; }
    lesson = null;
    replace(panel, loading("Reading the lesson"));
    try {
      lesson = inside ? JSON.parse(inside.textContent) : await get(`/api/lessons/${encodeURIComponent(name)}`, { fresh: true });
      show();
    } catch (error) {
      replace(panel, failed(error, load), button("Close", close, { kind: "small" }));
    }
  };
  // The step's view waits until the compiler has come to its pass.
  const show = () => {
    if (!lesson) return;
    const { step, recording } = state();
    chosen = -1;
    revealed = false;
    wanted = lesson.steps[step]?.view || null;
    const key = `${recording} ${step}`;
    if (shown === key) wanted = null; // a permalink or Back already says what is shown
    shown = key;
    apply();
    draw();
  };
  const apply = () => {
    const { passes } = session();
    if (!wanted || !passes) return;
    const at = wanted.pass === undefined ? wanted.state : stateOf(passes.rows, wanted.pass);
    if (at === undefined || !passes.rows.snapshot.includes(at)) return;
    const { pass, state: number, ...fields } = wanted;
    wanted = null;
    update({ ...PLAIN, colour: at === 0 ? "Family" : "Change", ...fields, at }, { undo: false });
  };
  const draw = () => {
    if (!lesson || panel.hidden) return;
    const { step } = state(), one = lesson.steps[step];
    if (!one) { update({ step: 0 }); return; }
    replace(panel,
      el("header", {}, el("strong", {}, lesson.title), el("span.muted", {}, `step ${step + 1} of ${lesson.steps.length}`), el("span.space"),
        el("button.bare", { type: "button", "aria-label": "Leave the lesson", onclick: close }, icon("cross"))),
      el("p.caption", {}, one.caption), one.question ? ask(one.question) : null,
      el("div.actions", {}, button("Back", () => go(-1), { glyph: "left", disabled: step === 0, title: "Page Up" }),
        one.question && !revealed ? button("Reveal", () => { revealed = true; draw(); }) : null, el("span.space"),
        button(step + 1 < lesson.steps.length ? "Next" : "Done", () => (step + 1 < lesson.steps.length ? go(1) : close()), { kind: "primary", title: "Page Down" })));
  };
  const ask = (question) => el("section.question", {}, el("p", {}, question.text),
    el("div.options", { role: "radiogroup", "aria-label": question.text }, question.options.map((text, i) => {
      const right = revealed && i === question.answer, wrong = revealed && i === chosen && !right;
      return el(`button.option${right ? ".right" : ""}${wrong ? ".wrong" : ""}`, { type: "button", role: "radio", "aria-checked": String(i === chosen), onclick: () => { chosen = i; draw(); } },
        el("kbd", {}, LETTERS[i]), el("span", {}, text), right ? icon("check") : wrong ? icon("cross") : null);
    })), revealed ? el("p.because", { "aria-live": "polite" }, `${LETTERS[question.answer]}. ${question.because}`) : null);
  const go = (by) => { if (lesson) update({ step: Math.max(0, Math.min(lesson.steps.length - 1, state().step + by)) }); };
  const close = () => update({ lesson: null, step: 0 });
  subscribe(["lesson", "recording"], load);
  subscribe(["step"], show);
  onSession(apply);
  bind("PageDown", { group: "Lesson", label: "Next step", run: () => go(1), when: () => !panel.hidden });
  bind("PageUp", { group: "Lesson", label: "Previous step", run: () => go(-1), when: () => !panel.hidden });
  load();
}

const LEAST = 200; // px of a picture; with an open dock and a long question the panel may cover more of it

// The canvas ends above the panel, so that what a step points at is not behind it.
function makeRoom(panel) {
  const fit = () => {
    const canvas = document.getElementById("region-canvas") || document.querySelector(".region.canvas");
    if (!canvas) return;
    const covered = panel.hidden ? 0 : canvas.getBoundingClientRect().bottom - panel.getBoundingClientRect().top + 4;
    const room = Math.max(0, Math.min(covered, canvas.clientHeight - LEAST));
    canvas.style.paddingBottom = room ? `${Math.round(room)}px` : "";
  };
  new ResizeObserver(fit).observe(panel);
  subscribe(["dock", "dockHeight", "projector"], () => requestAnimationFrame(fit));
}

// The first state of that pass in which it did something.
function stateOf(rows, name) {
  const row = rows.name.findIndex((one, i) => one === name && rows.snapshot[i] > 0 && rows.changes[i] > 0);
  return row < 0 ? undefined : rows.snapshot[row];
}
