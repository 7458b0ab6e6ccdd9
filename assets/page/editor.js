// The .glow editor: type a graph, choose passes; text, picture and reasons follow.

import { get, post } from "../core/api.js";
import { el, empty, failed, replace } from "../core/dom.js";
import { palette } from "../graph/palette.js";
import { colouring } from "../graph/colour.js";
import { Camera } from "../graph/camera.js";
import { drawScene } from "../graph/draw.js";
import { buildScene } from "../graph/scene.js";

const WAIT = 60; // ms without a key before the text is sent; with a warm child all follows within 300
const EXAMPLE = `graph @small(%x: f32[1x8x16x16]) {
  const %one: f32[1] = splat 1
  %a: f32[1x8x16x16] = Relu(%x)
  %b: f32[1x8x16x16] = Relu(%a)
  %c: f32[1x8x16x16] = Mul(%b, %one)
  return "y"=%c
}
`;

export function editor(body, { text = EXAMPLE, passes = "arithmetic, eliminate_noop, cse, dce" } = {}) {
  const marks = JSON.parse(document.getElementById("glowviz-marks").textContent);
  const source = el("textarea.mono", { spellcheck: "false", dataset: { first: "" }, onfocus: () => { if (source.value === text) source.select(); }, "aria-label": "Graph text", oninput: later });
  const names = el("input.field.mono", { type: "text", value: passes, "aria-label": "Passes, separated by commas", oninput: later });
  source.value = text;
  const result = el("pre.mono.result"), reasons = el("div.reasons"), canvas = el("canvas");
  const picture = el("div.editor-picture", {}, canvas);
  let timer = 0, turn = 0, scene = null;
  const examples = el("select", { "aria-label": "Worked example", onchange: () => take(Number(examples.value)) }, el("option", { value: -1 }, "Worked examples"));
  let found = [];
  get("/api/glow/examples").then((answer) => {
    found = answer.examples;
    examples.append(...found.map((one, i) => el("option", { value: i }, `${one.passes.split("{")[0]}: ${one.caption}`)));
  }, () => { examples.hidden = true; });
  const take = (i) => {
    if (!found[i]) return;
    source.value = found[i].text;
    names.value = found[i].passes;
    run();
  };
  replace(body, el("div.editor", {}, el("div.column", {}, examples, el("label.row", {}, "Passes", names), source),
    el("div.column", {}, el("h3", {}, "After"), result, el("h3", {}, "Reasons"), reasons), picture));
  function later() {
    clearTimeout(timer);
    timer = setTimeout(run, WAIT);
  }
  async function run() {
    const mine = (turn += 1);
    try {
      const answer = await post("/api/glow", { text: source.value, passes: names.value.split(/,(?![^{]*\})/).map((name) => name.trim().replace(/^then /, "")).filter(Boolean) });
      if (mine !== turn) return;
      result.textContent = answer.text;
      replace(reasons, answer.reasons.length ? answer.reasons.map((line) => el("p.fact-line", {}, line)) : empty("Nothing changed."));
      scene = answer.scene ? buildScene(answer.scene) : null;
      picture.hidden = !scene;
      paint();
    } catch (error) {
      if (mine === turn) replace(reasons, failed(error));
    }
  }
  function paint() {
    if (!scene) return;
    const ratio = window.devicePixelRatio || 1, place = picture.getBoundingClientRect();
    canvas.width = place.width * ratio;
    canvas.height = place.height * ratio;
    const camera = new Camera();
    Object.assign(camera, { width: place.width, height: place.height, size: scene.size });
    camera.fit();
    const colours = palette();
    drawScene(canvas.getContext("2d"), scene, camera, ratio, { look: colouring(scene, "Change", colours, marks), colours, marks, near: null, only: null, fade: 1 });
  }
  run();
  return () => clearTimeout(timer);
}
