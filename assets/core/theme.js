// Light or dark, and the projector's larger type: one attribute and one variable on the root element.

import { state, subscribe, update } from "./state.js";

const system = window.matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  const { theme } = state();
  return theme ? theme === "dark" : system.matches;
}

export function applyTheme() {
  const show = () => {
    const mode = isDark() ? "dark" : "light";
    document.documentElement.dataset.theme = mode;
    document.documentElement.style.setProperty("--scale", state().projector ? "1.5" : "1");
    document.documentElement.toggleAttribute("data-projector", state().projector);
    // Mantine's own components follow the same switch.
    if (window.dash_clientside?.set_props && document.getElementById("page")) {
      window.dash_clientside.set_props("mantine", { forceColorScheme: mode });
    }
  };
  show();
  subscribe(["theme", "projector"], show);
  system.addEventListener("change", () => { if (!state().theme) update({ theme: null, version: state().version + 1 }); show(); });
}

export function toggleTheme() {
  update({ theme: isDark() ? "light" : "dark" });
}
