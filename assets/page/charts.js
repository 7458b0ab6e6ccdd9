// Opens the charts dialog, which Dash draws; only ids travel to the server.

import { state, subscribe } from "../core/state.js";

export function openCharts() {
  const dash = window.dash_clientside;
  if (!dash?.set_props) return;
  tell(dash);
  dash.set_props("charts", { opened: true });
}

function tell(dash) {
  dash.set_props("charts-shown", { data: { recording: state().recording, theme: document.documentElement.dataset.theme, version: state().version } });
}

subscribe(["theme"], () => {
  const dash = window.dash_clientside;
  if (dash?.set_props && document.getElementById("charts-shown") && state().recording) tell(dash);
});
