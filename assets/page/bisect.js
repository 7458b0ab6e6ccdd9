// Bisect: which pass first changes a result, or takes more memory or time, or makes a pattern come or go; and which rewrite.

import { address, get, post, remove } from "../core/api.js";
import { button, el, failed, icon, replace } from "../core/dom.js";
import { goTo } from "../core/session.js";
import { state } from "../core/state.js";
import { toleranceField } from "./tolerance.js";

const POLL = 250;
const HEADINGS = {
  peak: ({ limit }) => (limit === null ? "is the first that raises the peak." : "is the first that passes the limit."),
  time: () => "slows the run down most.", pattern: ({ present }) => (present ? "makes it." : "takes it away."),
};
const NOT_FOUND = {
  peak: ({ limit }) => (limit === null ? " No pass raises the peak of live memory." : " No pass brings live memory above the limit."),
  time: ({ percent }) => ` Without any one pass the run is not faster by more than ${percent} % and the spread.`,
  pattern: ({ query, present }) => ` No pass makes ${query} ${present ? "appear" : "disappear"}.`,
};

// Each question: its name in the list, its fields, and what the server is asked.
function questions() {
  const number = (label, value, more = {}) => el("input.field.short", { type: "number", min: 0, step: "any", value, "aria-label": label, ...more });
  const limit = number("Limit in MiB; empty = any rise", "", { placeholder: "any" }), percent = number("Percent", "5");
  const query = el("input.field.mono", { type: "text", value: "Conv > BatchNormalization", spellcheck: "false", "aria-label": "Ops, each reading the one before it" });
  const goes = el("select", { "aria-label": "Appears or disappears" }, el("option", { value: "" }, "disappears"), el("option", { value: "1" }, "appears"));
  return {
    numbers: ["A result changes", [el("span", {}, "by more than"), toleranceField("Tolerance, of the largest value"), el("span.muted", {}, "of its largest value")], () => ({ tolerance: state().tolerance })],
    peak: ["Memory grows", [el("span", {}, "beyond"), limit, el("span.muted", {}, "MiB alive at once (empty: at all)")], () => ({ question: { kind: "peak", limit: limit.value === "" ? null : Number(limit.value) * 2 ** 20 } })],
    time: ["A run gets slower", [el("span", {}, "by more than"), percent, el("span.muted", {}, "% and the spread; each pass is left out in turn")], () => ({ question: { kind: "time", percent: Number(percent.value) } })],
    pattern: ["A pattern", [query, goes], () => ({ question: { kind: "pattern", query: query.value, present: goes.value === "1" } })],
  };
}

export function bisect(body, { close }) {
  const asked = questions(), fields = el("span.bisect-fields");
  const kind = el("select", { "aria-label": "What a pass must do to be found", onchange: () => { stop(); choose(); replace(result, el("p.muted", {}, "Each pass is looked at, and then each of its rewrites.")); } },
    Object.entries(asked).map(([key, [label]]) => el("option", { value: key }, label)));
  const choose = () => { replace(fields, asked[kind.value][1]); again.textContent = kind.value === "numbers" ? "Search again" : "Search"; };
  const result = el("div.bisect-result", { "aria-live": "polite" });
  const again = button("Search again", () => search(), { kind: "small" });
  let check = null, timer = 0, closed = false;
  replace(body, el("div.bisect", {}, el("div.row", {}, kind, fields, again), result));
  choose();
  fields.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches("input")) search(); });
  const stop = () => { clearTimeout(timer); if (check !== null) remove(`/api/checks/${check}`).catch(() => {}); check = null; };
  const search = async () => {
    stop();
    replace(result, waiting("starting"));
    try {
      ({ check } = await post(address(state().recording, "bisect"), asked[kind.value][2]()));
      await look();
    } catch (error) {
      replace(result, failed(error, search));
    }
  };
  const look = async () => {
    const now = await get(`/api/checks/${check}`, { fresh: true });
    if (closed || check === null) return;
    if (now.state === "queued" || now.state === "running") {
      replace(result, waiting(now.stage || now.state, now.done, () => { stop(); replace(result, el("p.muted", {}, "Cancelled.")); }));
      timer = setTimeout(() => look().catch((error) => replace(result, failed(error, search))), POLL);
      return;
    }
    const { answer, problem } = now;
    const number = check;
    check = null;
    replace(result, answer ? told(answer, number, close) : failed({ problem: problem || { what: "The search was cancelled." } }, search));
  };
  search();
  return () => { closed = true; stop(); };
}

function waiting(stage, done = 0, cancel = null) {
  return el("div.job", {}, el("span", {}, stage, " "), el("span.track", {}, el("span.fill", { style: { width: `${done}%` } })),
    cancel ? button("Cancel", cancel, { kind: "small" }) : null);
}

function told(answer, number, close) {
  if (!answer.found && answer.question) return el("p.good", {}, icon("check", 12), NOT_FOUND[answer.question.kind](answer.question));
  if (!answer.found) return el("p.good", {}, icon("check", 12), ` No pass changes a result by more than ${answer.tolerance} of its largest value (${answer.steps} states compared).`);
  const show = () => { close(); goTo(answer.snapshot, { selected: answer.name || null, tab: answer.name ? "life" : "changes" }); };
  return el("section.problem", {},
    el("h4", {}, icon("cross"), ` ${answer.pass} (pass ${answer.snapshot}) ${answer.question ? HEADINGS[answer.question.kind](answer.question) : "is the first whose result is wrong."}`),
    el("p", {}, answer.difference),
    answer.rewrite ? el("p.rewrite", {}, `Rewrite ${answer.rewrite} of the pass: rule ${answer.rule} at ${answer.name}. Its reason: ${answer.reason}`) : null,
    answer.note ? el("p", {}, answer.note) : null,
    answer.nodes ? el("p.muted", {}, `The cut-out has ${answer.nodes} ${answer.nodes === 1 ? "node" : "nodes"}: as ONNX, as text, and with a test that fails as long as the pass does this.`) : null,
    el("div.actions", {}, button("Show it", show, { kind: "primary" }),
      answer.files.map((name) => el("a.button.small", { href: `/api/checks/${number}/${name}`, download: name }, name))));
}
