// What every pane does alike: load a payload for the state it shows, and say when there is none, not yet, or an error.

import { get } from "./api.js";
import { empty, failed, loading, replace } from "./dom.js";
import { state, subscribe } from "./state.js";

// watch(element, {keys, path(state), draw(payload, state), none}) loads whenever one of `keys` changes.
// `path` returns null when there is nothing to show; then `none(state)` is the sentence to print.
export function watch(element, { keys, path, draw, none, fresh = () => false }) {
  let turn = 0, shown = null;
  const load = async () => {
    const mine = (turn += 1);
    const now = state();
    const wanted = path(now);
    if (wanted === null) {
      shown = null;
      replace(element, empty(none ? none(now) : "Nothing to show."));
      return;
    }
    const slow = setTimeout(() => { if (mine === turn && shown !== wanted) replace(element, loading()); }, 150);
    try {
      const payload = await get(wanted, { fresh: fresh(now) });
      if (mine !== turn) return;
      clearTimeout(slow);
      draw(payload, now);
      shown = wanted;
    } catch (error) {
      if (mine !== turn) return;
      shown = null;
      replace(element, failed(error, load));
    } finally {
      clearTimeout(slow);
    }
  };
  load();
  const ends = subscribe([...keys, "version"], load);
  return () => { turn += 1; ends(); }; // an answer that comes later belongs to nobody: another pane has the place by then
}
