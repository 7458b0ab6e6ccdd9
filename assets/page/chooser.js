// A field with a list under it that arrows and Enter walk: search and the command palette share it.

import { el, replace } from "../core/dom.js";

// Returns {show(items, instead, render)}; `onchoose(item)` is called on Enter and click.
export function chooser(body, { placeholder, onquery, onchoose, below = null }) {
  const list = el("div.choices", { role: "listbox", id: "choices", "aria-label": "Found" });
  const note = el("div", { role: "status" });
  const field = el("input.field.big", {
    type: "text", placeholder, "aria-label": placeholder, role: "combobox", "aria-expanded": "true", "aria-controls": "choices", spellcheck: "false",
    oninput: () => onquery(field.value), onkeydown: key,
  });
  let items = [], at = 0;
  const mark = () => {
    [...list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === at)));
    field.setAttribute("aria-expanded", String(items.length > 0));
    field.setAttribute("aria-activedescendant", items.length ? `choice-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  function key(event) {
    if (event.key === "ArrowDown") at = Math.min(items.length - 1, at + 1);
    else if (event.key === "ArrowUp") at = Math.max(0, at - 1);
    else if (event.key === "Enter") { if (items[at]) onchoose(items[at]); event.preventDefault(); return; }
    else return;
    event.preventDefault();
    mark();
  }
  replace(body, field, below, note, list);
  return {
    show(next, instead, render) {
      items = next;
      at = 0;
      replace(note, instead);
      list.hidden = !next.length;
      replace(list, next.map((item, i) => el("div.choice-row", { role: "option", id: `choice-${i}`, onclick: () => onchoose(item) }, render(item))));
      mark();
    },
  };
}
