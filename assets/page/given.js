// The form for what a run is given: a sample, files for the inputs, a seed, and files with what is expected of it.

import { address, get, post } from "../core/api.js";
import { button, el, failed, icon, loading, replace } from "../core/dom.js";
import { bytes } from "../core/format.js";
import { state } from "../core/state.js";
import { maps } from "../panes/maps.js";
import { attempt } from "./compile.js";
import { upload } from "./upload.js";

const KINDS = ".npz,.npy,.png,.jpg,.jpeg,.webp,.bmp,.gif", ARRAYS = ".npz,.npy";
const PAUSE = 200;

export function given(body, { close, files = [] }) {
  const { recording } = state();
  let stopped = false;
  replace(body, loading("Reading what the model takes"));
  const form = new GivenForm(recording, () => close());
  get(address(recording, "inputs"), { fresh: true }).then((asked) => {
    if (stopped) return;
    form.mount(body, asked);
    if (files.length) form.send(files, "inputs");
  }, (error) => replace(body, failed(error)));
  return () => { stopped = true; form.stop(); };
}

class GivenForm {
  constructor(recording, close) {
    Object.assign(this, { recording, close, turn: 0, timer: 0, sending: null, ready: false, rows: el("div.given-rows", { "aria-live": "polite" }), wanted: el("div", { "aria-live": "polite" }), note: el("div") });
    this.trial = { seed: 0, sample: "", recipe: {}, inputs: [], expected: [] };
  }

  mount(body, asked) {
    this.asked = asked;
    const before = asked.trial || {};
    const named = (list) => (list || []).map(({ input, kept, file }) => ({ input, kept, file }));
    Object.assign(this.trial, before, { inputs: named(before.inputs), expected: named(before.expected) });
    this.recipe = el("div.recipe", {}, Object.entries(asked.recipe).map(([key, choices]) => this.choice(key, choices)));
    this.run = button("Run", () => this.start(), { kind: "primary" });
    this.files = el("div.given-files");
    this.hoped = el("div.given-files");
    const seed = el("input.field.short", { type: "number", min: 0, step: 1, value: this.trial.seed, "aria-label": "Seed of random inputs", onchange: () => { this.trial.seed = Number(seed.value) || 0; this.look(); } });
    replace(body, el("div.given", {},
      el("section", {}, this.samples(), drop("Drop .npz, .npy or a picture here, or choose", "Files for the inputs", KINDS, (files) => this.send(files, "inputs")), this.files, this.recipe, this.rows,
        el("label.row", {}, el("span", {}, "Seed of what is random"), seed)),
      el("section", {}, el("h3", {}, "Expected of it ", el("span.muted.optional", {}, "optional: outputs or any inner value by name, such as another framework computed")),
        drop("Drop .npz or .npy here, or choose", "Files with expected values", ARRAYS, (files) => this.send(files, "expected")), this.hoped, this.wanted),
      this.note, el("div.actions", {}, this.run, el("span.muted", {}, "compiles again, with the same options"))));
    this.look();
  }

  choice(key, choices) {
    const given = this.trial.recipe[key] || "";
    const options = [key === "scale" ? el("option", { value: "" }, "usual") : null, ...choices.map(([value, words]) => el("option", { value, title: words, selected: value === given }, value))];
    const select = el("select", { "aria-label": key, onchange: () => { this.trial.recipe = { ...this.trial.recipe, [key]: select.value }; this.look(); } }, options);
    return el("label.choice", {}, el("span.muted", {}, `${key}:`), select);
  }

  samples() {
    const { samples } = this.asked;
    if (!samples.length) return null;
    const select = el("select", { "aria-label": "Sample of the gallery", onchange: () => { this.trial.sample = select.value; this.look(); } },
      el("option", { value: "" }, "none"), samples.map(([name, answer]) => el("option", { value: name, selected: name === this.trial.sample }, answer ? `${name} (answer: ${answer})` : name)));
    return el("label.row", {}, el("span", {}, "Sample"), select);
  }

  // Streams files, keeps them under their content, and looks at what they would do.
  async send(files, role, input = "") {
    if (!files.length) return;
    this.stop();
    const cancel = new AbortController();
    this.sending = cancel;
    const fill = el("span.fill"), text = el("span", {}, "");
    const total = files.reduce((sum, file) => sum + file.size, 0);
    replace(this.note, el("div.sending", {}, text, el("span.track", {}, fill), button("Cancel", () => cancel.abort(), { kind: "small" })));
    try {
      const identifier = await upload(files, (sent) => { fill.style.width = `${total ? (sent / total) * 100 : 100}%`; text.textContent = `${bytes(sent)} of ${bytes(total)}`; }, cancel.signal);
      const kept = await post(`/api/uploads/${identifier}/keep`, {});
      const fresh = kept.files.map((file) => ({ input, kept: kept.kept, file }));
      const replaced = (row) => fresh.some(({ file }) => file === row.file) || (input && row.input === input);
      this.trial[role] = [...this.trial[role].filter((row) => !replaced(row)), ...fresh];
      replace(this.note);
      this.look();
    } catch (error) {
      replace(this.note, cancel.signal.aborted ? el("p.muted", {}, "Cancelled; nothing was kept.") : failed(error));
    } finally {
      this.sending = null;
    }
  }

  stop() {
    this.turn += 1;
    clearTimeout(this.timer);
    this.sending?.abort();
  }

  listed(role) {
    return this.trial[role].map((row) => el("span.chip", {}, icon("file", 11), row.input ? `${row.input} = ${row.file}` : row.file,
      el("button.bare", { type: "button", "aria-label": `Without ${row.file}`, onclick: () => { this.trial[role] = this.trial[role].filter((other) => other !== row); this.look(); } }, icon("cross", 10))));
  }

  look() {
    const mine = (this.turn += 1);
    this.ready = false;
    this.run.disabled = true;
    replace(this.files, this.listed("inputs"));
    replace(this.hoped, this.listed("expected"));
    this.recipe.hidden = !this.trial.inputs.some(({ file }) => !/\.np[yz]$/i.test(file));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.seen(mine), PAUSE);
  }

  async seen(mine) {
    if (!this.rows.childElementCount) replace(this.rows, loading("Looking at the inputs"));
    try {
      const answer = await post(address(this.recording, "look"), this.trial);
      if (mine !== this.turn) return;
      replace(this.rows, answer.problem ? failed({ problem: answer.problem }) : answer.inputs.map((row) => this.input(row)));
      replace(this.wanted, answer.expected.map(expectation));
      this.run.disabled = Boolean(answer.problem) || [...answer.inputs, ...answer.expected].some((row) => row.problem);
    } catch (error) {
      if (mine === this.turn) { replace(this.rows, failed(error)); replace(this.wanted); }
    }
  }

  input(row) {
    const type = this.asked.inputs.find(({ name }) => name === row.name)?.type || "";
    const choose = el("input.sr", { type: "file", accept: KINDS, "aria-label": `File for ${row.name}`, onchange: () => this.send([...choose.files], "inputs", row.name) });
    return el(`div.given-input${row.problem ? ".bad" : ""}`, {},
      el("div.given-name", {}, el("strong.mono", {}, row.name), el("span.mono.muted", {}, type), choose, button("File…", () => choose.click(), { kind: "small", title: `A file for ${row.name}` })),
      row.problem ? failed({ problem: row.problem }) : el("p", {}, row.told), row.picture ? maps(row.picture, { compact: true, side: 72 }) : null);
  }

  start() {
    this.close();
    attempt({ recording: this.recording, trial: this.trial });
  }
}

function expectation(row) {
  return el("div.given-input", {}, el("div.given-name", {}, icon(row.problem ? "cross" : "check", 12), el("strong.mono", {}, row.name), el("span.mono.muted", {}, row.told)),
    row.problem ? failed({ problem: row.problem }) : null);
}

function drop(text, label, accept, send) {
  const choose = el("input.sr", { type: "file", multiple: true, accept, "aria-label": label, onchange: () => { send([...choose.files]); choose.value = ""; } });
  const take = (event) => {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    event.stopPropagation(); // the page behind takes files as models
    document.documentElement.classList.remove("dropping");
    send([...event.dataTransfer.files]);
  };
  return [el("div.drop.small", { role: "button", tabindex: 0, ondrop: take, onclick: () => choose.click(), onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") choose.click(); } }, text), choose];
}
