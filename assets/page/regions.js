// The five regions: draggable widths that are remembered, sides that hide, and a canvas that never gets too narrow.

import { state, subscribe, update } from "../core/state.js";

const NARROWEST = 480, SIDE = [220, 560], SPLIT = 5;

export function wireRegions() {
  const page = document.getElementById("page");
  const show = () => {
    const now = state();
    page.style.setProperty("--left", now.hideLeft ? "0px" : `${now.left}px`);
    page.style.setProperty("--right", now.hideRight ? "0px" : `${now.right}px`);
    page.style.setProperty("--dock", now.dock ? `${now.dockHeight}px` : "var(--size-dock-closed)");
    page.classList.toggle("no-left", now.hideLeft);
    page.classList.toggle("no-right", now.hideRight);
    page.classList.toggle("dock-open", Boolean(now.dock));
    page.classList.toggle("starting", !now.recording);
  };
  show();
  subscribe(["left", "right", "hideLeft", "hideRight", "dock", "dockHeight", "recording"], show);
  const told = () => ["left", "right"].forEach((side) => document.getElementById(`splitter-${side}`).setAttribute("aria-valuenow", state()[side]));
  subscribe(["left", "right"], told);
  splitter("splitter-left", "left", 1);
  splitter("splitter-right", "right", -1);
  told();
}

function splitter(id, key, direction) {
  const bar = document.getElementById(id);
  const other = key === "left" ? "right" : "left";
  const hidden = key === "left" ? "hideLeft" : "hideRight", otherHidden = key === "left" ? "hideRight" : "hideLeft";
  const set = (width) => {
    const room = window.innerWidth - NARROWEST - 2 * SPLIT - (state()[otherHidden] ? 0 : state()[other]);
    update({ [key]: Math.round(Math.max(SIDE[0], Math.min(SIDE[1], room, width))) }, { undo: false });
  };
  bar.tabIndex = 0;
  bar.setAttribute("aria-orientation", "vertical");
  bar.setAttribute("aria-valuemin", SIDE[0]);
  bar.setAttribute("aria-valuemax", SIDE[1]);
  bar.setAttribute("aria-label", key === "left" ? "Width of the ledger" : "Width of the inspector");
  bar.addEventListener("pointerdown", (event) => {
    bar.setPointerCapture(event.pointerId);
    const start = event.clientX, width = state()[key];
    const move = (now) => set(width + (now.clientX - start) * direction);
    bar.addEventListener("pointermove", move);
    bar.addEventListener("pointerup", () => bar.removeEventListener("pointermove", move), { once: true });
  });
  bar.addEventListener("dblclick", () => update({ [hidden]: !state()[hidden] }));
  bar.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    set(state()[key] + (event.key === "ArrowRight" ? 16 : -16) * direction);
    event.preventDefault();
    event.stopPropagation();
  });
}
