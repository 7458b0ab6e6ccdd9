// Search over the names of every state: what is gone is found too, and says when it went.

import { address, get } from "../core/api.js";
import { el, empty, failed, highlighted, replace } from "../core/dom.js";
import { goTo } from "../core/session.js";
import { state } from "../core/state.js";
import { chooser } from "./chooser.js";
import { openOverlay } from "./overlays.js";

const WAIT = 60;

// The state to show a hit in: this one if it lives here, else the first or last one in which it does.
function nearest(hit, at) {
  if (at < hit.born) return hit.born;
  return hit.died >= 0 && at >= hit.died ? hit.died - 1 : at;
}

export function searchOverlay(body, { close }) {
  let timer = 0, turn = 0, last = "";
  const scopes = el("div.scopes");
  const list = chooser(body, {
    placeholder: "Name, op:Conv, dtype:f32, scope:layers.3, pass:fuse, cost>5% … or > command",
    below: scopes,
    onquery: (query) => {
      clearTimeout(timer);
      if (query.startsWith(">")) { openOverlay("palette", { query: query.slice(1) }); return; }
      timer = setTimeout(() => ask(query), WAIT);
    },
    onchoose: (hit) => {
      close();
      goTo(nearest(hit, state().at), { selected: hit.name, tab: "life", base: null });
    },
  });
  const ask = async (query) => {
    const mine = (turn += 1);
    last = query;
    if (!query.trim()) { list.show([], empty("Type a name. Removed nodes are found too.")); replace(scopes); return; }
    try {
      const found = await get(address(state().recording, "search", { q: query }), { fresh: true });
      if (mine === turn) show(found);
    } catch (error) {
      if (mine === turn) list.show([], failed(error));
    }
  };
  const show = (found) => {
    const hits = found.name.map((name, i) => ({ name, title: found.title[i], op: found.op[i], type: found.type[i], born: found.born[i], died: found.died[i], where: found.where[i], why: found.why?.[i] || "" }));
    list.show(hits, hits.length ? null : empty(`Nothing is called “${last}” in any state.`), (hit) => [
      el("span.hit-title", {}, highlighted(hit.title, last)), el("span.muted.mono", {}, highlighted(hit.name === hit.title ? "" : hit.name, last)),
      el("span.op", {}, hit.op), el("span.space"), el(`span.where${hit.where ? ".gone" : ""}`, {}, hit.where),
      hit.why ? el("span.hit-why", {}, hit.why) : null,
    ]);
    replace(scopes, found.total > hits.length ? el("span.muted", {}, `${hits.length} of ${found.total.toLocaleString("en-US")} shown`) : null,
      (found.scopes || []).slice(0, 8).map(([scope, count]) => el("span.chip", {}, `${scope} ${count}`)));
  };
  ask("");
  return () => clearTimeout(timer);
}
