// Settings of a compilation: threads, precision and which passes run.

import { address, get } from "../core/api.js";
import { button, el, replace } from "../core/dom.js";
import { session } from "../core/session.js";
import { state } from "../core/state.js";
import { attempt } from "./compile.js";

export function settings(body, { close }) {
  const { overview, passes } = session();
  if (!overview || !passes) { replace(body, el("p", {}, "No model is open.")); return; }
  const off = new Set(overview.disabled || []);
  const threads = el("input.field.short", { type: "number", min: 1, max: 256, value: overview.threads || 1, "aria-label": "Threads" });
  const precision = el("select.field", { "aria-label": "Precision" }, ["f32", "bf16"].map((name) => el("option", { value: name, selected: name === overview.precision }, name)));
  const rows = passes.rows.name.map((name, row) => ({ name, row })).filter(({ row }) => passes.rows.snapshot[row] !== 0 && passes.rows.level[row] !== "kernels");
  const seen = new Set();
  const switches = rows.filter(({ name }) => !seen.has(name) && seen.add(name)).map(({ name, row }) => {
    const box = el("input", { type: "checkbox", checked: !off.has(name), disabled: Boolean(passes.rows.required[row]) });
    return { name, box, line: el("label.switch", {}, box, el("span.mono", {}, name), passes.rows.required[row] ? el("span.muted", {}, "required") : null) };
  });
  const order = el("textarea.mono.order", { rows: 10, spellcheck: "false", "aria-label": "Order of graph passes, as YAML", disabled: true });
  const knobs = el("div.knobs", {}, el("p.muted", {}, "Reading the options of passes"));
  let ordered = "", fields = [];
  get(address(state().recording, "order"), { fresh: true }).then(({ yaml, options }) => {
    ordered = order.value = yaml;
    order.disabled = false;
    fields = options.flatMap((one) => one.options.map((option) => knob(one.pass, option)));
    replace(knobs, fields.map(({ line }) => line));
  }, (error) => { order.value = `# ${error.message}`; replace(knobs, el("p.muted", {}, error.message)); });
  const run = () => {
    close();
    attempt({ ...(order.disabled || order.value === ordered ? {} : { order: order.value }), ...(fields.length ? { options: chosen(fields) } : {}), recording: state().recording, threads: Number(threads.value), precision: precision.value, disable: switches.filter(({ box }) => !box.checked).map(({ name }) => name) });
  };
  replace(body, el("div.settings", {},
    el("label.row", {}, el("span", {}, "Threads"), threads),
    el("label.row", {}, el("span", {}, "Precision"), precision),
    el("h3", {}, "Passes"), el("div.switches", {}, switches.map(({ line }) => line)),
    el("details", {}, el("summary", {}, "Options of passes"), knobs),
    el("details", {}, el("summary", {}, "Order of graph passes (YAML)"), order),
    el("div.actions", {}, button("Compile", run, { kind: "primary" }))));
}

// One option of a pass as a field of its kind; `read` gives its value.
function knob(pass, { name, kind, value, default: usual }) {
  const label = `${pass} ${name}`;
  const field = kind === "bool" ? el("input", { type: "checkbox", checked: value, "aria-label": label })
    : el("input.field.short", { type: kind === "str" ? "text" : "number", step: kind === "float" ? "any" : 1, value, "aria-label": label });
  const read = () => (kind === "bool" ? field.checked : kind === "str" ? field.value : Number(field.value));
  return { pass, name, read, line: el("label.switch", { title: `usually ${usual}` }, kind === "bool" ? field : null, el("span.mono", {}, `${pass}.${name}`), kind === "bool" ? null : field) };
}

function chosen(fields) {
  const options = {};
  for (const { pass, name, read } of fields) (options[pass] ||= {})[name] = read();
  return options;
}
