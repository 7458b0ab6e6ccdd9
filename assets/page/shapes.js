// The form for dimensions that the file leaves open: one field each, with what it belongs to.

import { el, failed, replace } from "../core/dom.js";
import { compile, openPath } from "./compile.js";

export function shapesForm(body, { request, dims, close }) {
  const note = el("div");
  const fields = dims.map((dim) => ({
    dim, input: el("input.field.short", { type: "number", min: 1, step: 1, required: true, value: dim.default ?? "", "aria-label": `${dim.name} of ${dim.input}` }),
  }));
  const submit = async (event) => {
    event.preventDefault();
    const shapes = Object.fromEntries(fields.map(({ dim, input }) => [dim.name, Number(input.value)]));
    close();
    try {
      if (request.path) await openPath(request.path, shapes);
      else await compile({ ...request, shapes });
    } catch (error) {
      replace(document.querySelector(".start-note") || note, failed(error));
    }
  };
  replace(body, el("form.shapes", { onsubmit: submit },
    el("p", {}, "This model leaves dimensions open. Machine code needs them fixed; they stand beside every number afterwards."),
    fields.map(({ dim, input }) => el("label.row", {}, el("span.mono", {}, dim.name), el("span.muted", {}, `${dim.input}, position ${dim.position}`), input)),
    note, el("div.actions", {}, el("button.button.primary", { type: "submit" }, "Compile"))));
}
