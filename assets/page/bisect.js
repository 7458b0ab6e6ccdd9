// Bisect: which pass first changes a result by more than a tolerance, and which single rewrite in it.

import { address, get, post, remove } from "../core/api.js";
import { button, el, failed, icon, replace } from "../core/dom.js";
import { goTo } from "../core/session.js";
import { state } from "../core/state.js";
import { toleranceField } from "./tolerance.js";

const POLL = 250;

export function bisect(body, { close }) {
  const tolerance = toleranceField("Tolerance, of the largest value");
  const result = el("div.bisect-result", { "aria-live": "polite" });
  const again = button("Search again", () => search(), { kind: "small" });
  let check = null, timer = 0, closed = false;
  replace(body, el("div.bisect", {}, el("label.row", {}, el("span", {}, "Outputs may differ by"), tolerance, el("span.muted", {}, "of their largest value"), again), result));
  const stop = () => { clearTimeout(timer); if (check !== null) remove(`/api/checks/${check}`).catch(() => {}); check = null; };
  const search = async () => {
    stop();
    replace(result, waiting("starting"));
    try {
      ({ check } = await post(address(state().recording, "bisect"), { tolerance: state().tolerance }));
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
  if (!answer.found) return el("p.good", {}, icon("check", 12), ` No pass changes a result by more than ${answer.tolerance} of its largest value (${answer.steps} states compared).`);
  const show = () => { close(); goTo(answer.snapshot, { selected: answer.name || null, tab: answer.name ? "life" : "changes" }); };
  return el("section.problem", {},
    el("h4", {}, icon("cross"), ` ${answer.pass} (pass ${answer.snapshot}) is the first whose result is wrong.`),
    el("p", {}, answer.difference),
    answer.rewrite ? el("p.rewrite", {}, `Rewrite ${answer.rewrite} of the pass: rule ${answer.rule} at ${answer.name}. Its reason: ${answer.reason}`) : el("p", {}, answer.note),
    el("div.actions", {}, button("Show it", show, { kind: "primary" }),
      answer.files.map((name) => el("a.button.small", { href: `/api/checks/${number}/${name}`, download: name }, name))));
}
