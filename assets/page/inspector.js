// The inspector: five tabs, one of them shown.

import { el, replace } from "../core/dom.js";
import { exported } from "../core/inlined.js";
import { state, subscribe, update } from "../core/state.js";
import { drawChanges } from "../panes/changes.js";
import { drawCompare } from "../panes/compare.js";
import { drawLife } from "../panes/life_card.js";
import { drawOverview } from "../panes/overview.js";
import { drawValues } from "../panes/values.js";
import { drawWhy } from "../panes/why.js";

const TABS = [["overview", "Overview", drawOverview], ["life", "Life", drawLife], ["values", "Values", drawValues],
  ["why", "Why?", drawWhy], ["changes", "Changes", drawChanges], ["compare", "Compare", drawCompare]];
const shownTabs = () => TABS.filter(([key]) => key !== "compare" || !exported || state().against !== null);

export function mountInspector(element) {
  const list = el("div.pane-tabs", { role: "tablist", "aria-label": "Inspector", dataset: { ownArrows: "" }, onkeydown: arrows });
  const body = el("div.tab-body", { role: "tabpanel" });
  replace(element, list, body);
  let stop = () => {}, shown = null;
  const show = () => {
    const { tab } = state();
    replace(list, shownTabs().map(([key, label]) => el("button.pane-tab", {
      type: "button", role: "tab", "aria-selected": String(key === tab), tabindex: key === tab ? 0 : -1, onclick: () => update({ tab: key }),
    }, label)));
    if (shown === tab) return;
    stop();
    shown = tab;
    body.scrollTop = 0;
    const draw = (TABS.find(([key]) => key === tab) || TABS[0])[2];
    stop = draw(body);
  };
  show();
  const ends = subscribe(["tab", "recording", "against"], show);
  return () => { stop(); ends(); };
}

function arrows(event) {
  const direction = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!direction) return;
  const tabs = shownTabs();
  const at = tabs.findIndex(([key]) => key === state().tab);
  update({ tab: tabs[(at + direction + tabs.length) % tabs.length][0] });
  event.currentTarget.querySelector("[aria-selected=true]").focus();
  event.preventDefault();
  event.stopPropagation();
}
