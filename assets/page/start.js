// The first page: three doors and the gallery; any click ends on a compiled model.

import { get } from "../core/api.js";
import { button, el, empty, failed, icon, loading, replace } from "../core/dom.js";
import { bytes } from "../core/format.js";
import { goTo, onSession } from "../core/session.js";
import { state, subscribe, update } from "../core/state.js";
import { palette } from "../graph/palette.js";
import { compile, openPath } from "./compile.js";
import { openOverlay } from "./overlays.js";
import { coach } from "./coach.js";
import { openLesson } from "./lesson.js";
import { isModel, upload } from "./upload.js";

let first = ""; // the gallery's first card, which the first door opens

export function mountStart(element) {
  const gallery = el("div.gallery");
  const note = el("div.start-note", { "aria-live": "polite" });
  const recent = el("div.recent");
  let local = true;
  const draw = () => {
    const open = Boolean(state().recording);
    element.hidden = open;
    if (open) { replace(element); return; }
    document.documentElement.dataset.ready = "true";
    replace(element, el("div.start-page", {}, el("div.doors", {}, doors(note, local, recent), note), el("div.gallery-side", {}, el("h2", {}, "Gallery"), gallery)));
    load(gallery, note);
    loadRecent(recent);
  };
  get("/api/health", { fresh: true }).then((health) => { local = health.local; draw(); }, draw);
  wireDrop(note);
  return subscribe(["recording"], draw);
}

function doors(note, local, recent) {
  const files = el("input.sr", { type: "file", multiple: true, accept: ".onnx,.pb,.glow,.data,.bin,.weights", "aria-label": "Model files", onchange: () => send([...files.files], note) });
  const path = el("input.field", { type: "text", placeholder: "/path/to/model.onnx", "aria-label": "Path of a model on this machine", spellcheck: "false" });
  const byPath = el("form.by-path", { onsubmit: (event) => { event.preventDefault(); attempt(note, () => openPath(path.value)); } }, path, el("button.button", { type: "submit" }, "Open"));
  return [
    door("play", "Watch a compiler think", "A small trained network on which most passes have something to do. Press n for the next one.",
      button("Start", () => openCard(first, note, true), { kind: "primary" })),
    door("file", "Open your model", "Drop an .onnx file anywhere, with its data files if it has any.",
      el("div.drop", { role: "button", tabindex: 0, onclick: () => files.click(), onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") files.click(); } }, "Drop files here, or choose them"), files,
      local ? byPath : null, recent),
    door("book", "Teach or learn", "A lesson walks through one model with questions to predict; or type a graph of your own and watch a pass.",
      lessonList(note), button("Write a graph", () => openOverlay("editor"))),
  ];
}

function door(glyph, title, text, ...more) {
  return el("section.door", {}, el("h2", {}, icon(glyph, 24), title), el("p", {}, text), more);
}

async function load(gallery, note) {
  replace(gallery, loading("Reading the gallery"));
  try {
    const { cards } = await get("/api/gallery", { fresh: true });
    first = cards.length ? cards[0].id : "";
    replace(gallery, cards.length ? cards.map((card) => galleryCard(card, note)) : empty("The gallery is empty."));
  } catch (error) {
    replace(gallery, failed(error, () => load(gallery, note)));
  }
}

async function loadRecent(recent) {
  const { recordings } = await get("/api/recordings", { fresh: true }).catch(() => ({ recordings: [] }));
  if (!recordings.length) { replace(recent); return; }
  replace(recent, el("h4", {}, "Recent"), recordings.slice(0, 5).map((one) => el("button.port", {
    type: "button", onclick: () => update({ recording: one.id, at: 0, selected: null, tab: "overview" }),
  }, el("span", {}, one.title || "a recording"), el("span.muted", {}, one.bound))));
}

function lessonList(note) {
  const list = el("div.lesson-list", {}, loading("Reading the lessons"));
  const load = () => get("/api/lessons", { fresh: true }).then(({ lessons }) => replace(list, lessons.length ? lessons.map((one) => el("button.port", {
    type: "button", title: one.summary, dataset: { lesson: one.name }, onclick: () => attempt(note, () => openLesson(one.name)),
  }, el("span", {}, one.title), el("span.muted", {}, `${one.minutes} min · ${one.steps} steps`))) : empty("No lessons are installed.")),
  (error) => replace(list, failed(error, load)));
  load();
  return list;
}

function galleryCard(card, note) {
  const canvas = el("canvas.thumb", { "aria-hidden": "true", width: 224, height: 96 });
  requestAnimationFrame(() => thumb(canvas, card.picture));
  return el("button.gallery-card", { type: "button", dataset: { card: card.id }, onclick: () => openCard(card.id, note) },
    canvas, el("strong", {}, card.title),
    el("span.muted", {}, `${card.nodes.toLocaleString("en-US")} nodes · ${card.weights} weights${card.compiled ? " · compiled" : ""}`),
    el("span", {}, card.answers));
}

// A card's picture: [x, y, w, h, family] per box, drawn to fit.
function thumb(canvas, picture) {
  if (!picture || !picture.length) return;
  const context = canvas.getContext("2d"), colours = palette();
  const right = Math.max(...picture.map(([x, , w]) => x + w)), bottom = Math.max(...picture.map(([, y, , h]) => y + h));
  const turned = bottom > right; // tall graphs lie down on the card
  const [long, short] = turned ? [bottom, right] : [right, bottom];
  const scale = Math.min((canvas.width - 16) / long, (canvas.height - 16) / short);
  for (const [x, y, w, h, family] of picture) {
    context.fillStyle = colours.bars[family];
    const [px, py, pw, ph] = turned ? [y, x, h, w] : [x, y, w, h];
    context.fillRect(8 + px * scale, (canvas.height - short * scale) / 2 + py * scale, Math.max(2, pw * scale), Math.max(2, ph * scale));
  }
}

async function openCard(id, note, watch = false) {
  await attempt(note, async () => {
    const made = await compile({ gallery: id });
    if (!made) return;
    const stop = onSession(({ overview }) => {
      if (!overview || state().recording !== made.recording) return;
      if (overview.first_change === null && overview.status === "running") return;
      queueMicrotask(() => stop());
      if (overview.first_change !== null && !watch) goTo(overview.first_change);
      coach();
    });
  });
}

async function attempt(note, work) {
  replace(note);
  try {
    await work();
  } catch (error) {
    replace(note, failed(error));
  }
}

async function send(files, note) {
  if (!files.length) return;
  const stop = new AbortController();
  const fill = el("span.fill"), text = el("span", {}, "");
  replace(note, el("div.sending", {}, text, el("span.track", {}, fill), button("Cancel", () => stop.abort(), { kind: "small" })));
  const total = files.reduce((sum, file) => sum + file.size, 0);
  try {
    const identifier = await upload(files, (sent) => {
      fill.style.width = `${total ? (sent / total) * 100 : 100}%`;
      text.textContent = `${bytes(sent)} of ${bytes(total)}`;
    }, stop.signal);
    replace(note);
    await compile({ upload: identifier });
  } catch (error) {
    replace(note, stop.signal.aborted ? el("p.muted", {}, "Cancelled; nothing was kept.") : failed(error));
  }
}

// The whole window takes files, on the start page and beside an open model.
function wireDrop(note) {
  const over = (event) => {
    if (![...(event.dataTransfer?.types || [])].includes("Files")) return;
    event.preventDefault();
    document.documentElement.classList.toggle("dropping", event.type === "dragover");
  };
  for (const name of ["dragover", "dragleave"]) window.addEventListener(name, over);
  window.addEventListener("drop", (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    document.documentElement.classList.remove("dropping");
    const files = [...event.dataTransfer.files];
    if (state().recording && !files.some(({ name }) => isModel(name))) openOverlay("given", { files });
    else send(files, note);
  });
}
