// What colour means right now: one of six modes gives every box its ground, its bar and its printed number.

import { state } from "../core/state.js";
import { digits, bytes, milliseconds } from "../core/format.js";

export const MODES = ["Family", "Change", "Time", "Memory", "Error", "Type"];
export const CHANGE_ICONS = ["", "plus", "minus", "tilde", "swap"];
const HEAT = { Time: "time", Memory: "memory", Error: "error" };
const TYPE_HUES = [0, 4, 2, 3, 1, 5];

// Returns {ground(box), bar(box), text(box), number(box), entries} for the mode; entries feed the legend.
export function colouring(scene, mode, colours, marks) {
  if (mode === "Change") return byChange(scene, colours, marks);
  if (mode === "Type") return byType(scene, colours);
  if (HEAT[mode]) return byHeat(scene, HEAT[mode], colours);
  return byFamily(scene, colours, marks);
}

function byFamily(scene, colours, marks) {
  const present = [...new Set(scene.family)].sort();
  return {
    ground: (box) => colours.tints[scene.family[box]],
    bar: (box) => colours.bars[scene.family[box]],
    text: () => colours.ink,
    number: () => "",
    entries: present.map((f) => ({ icon: marks.families[f].key, colour: colours.bars[f], label: marks.families[f].title })),
  };
}

function byChange(scene, colours, marks) {
  const states = new Set(scene.state);
  return {
    ground: (box) => (scene.state[box] ? colours.panel : colours.hover),
    bar: (box) => (scene.state[box] ? colours.changes[scene.state[box]] : colours.control),
    text: (box) => (scene.state[box] === 0 ? colours.muted : colours.ink),
    number: () => "",
    marks: true,
    entries: [1, 2, 3, 4].map((s) => ({
      icon: CHANGE_ICONS[s], colour: colours.changes[s], label: marks.changes[s].key, faint: !states.has(s), form: marks.changes[s].form,
    })),
  };
}

function byType(scene, colours) {
  const hue = (box) => (scene.type[box] < 0 ? 5 : TYPE_HUES[Math.min(scene.type[box], TYPE_HUES.length - 1)]);
  return {
    ground: (box) => colours.tints[hue(box)],
    bar: (box) => colours.bars[hue(box)],
    text: () => colours.ink,
    number: (box) => (scene.type[box] < 0 ? "" : scene.types[scene.type[box]]),
    entries: scene.types.slice(0, TYPE_HUES.length).map((type, i) => ({ icon: "linear", colour: colours.bars[TYPE_HUES[i]], label: type })),
  };
}

function byHeat(scene, key, colours) {
  const heat = scene.heat[key];
  const values = heat ? heat.values : [];
  const most = values.reduce((best, value) => (value > best ? value : best), 0);
  const known = (box) => values[box] !== null && values[box] !== undefined;
  const { tolerance } = state();
  const error = key === "error";
  const share = error ? (value) => distance(value, tolerance) : (value) => value / most;
  const level = (box) => (!known(box) || (!most && !error) ? -1 : Math.round(share(values[box]) * 16));
  const beyond = (box) => error && known(box) && values[box] > tolerance;
  const top = new Set([...values.keys()].filter((b) => values[b] > 0).sort((a, b) => values[b] - values[a]).slice(0, 10));
  const shown = (value) => printed(value, heat.unit);
  return {
    ground: (box) => (level(box) < 0 ? colours.panel : colours.ramp[level(box)]),
    bar: (box) => (level(box) < 0 ? colours.line : beyond(box) ? colours.changes[2] : colours.ramp[level(box)]),
    text: (box) => (level(box) < 0 ? colours.muted : colours.onRamp[level(box)]),
    number: (box) => (top.has(box) || beyond(box) ? `${beyond(box) ? "✕ " : ""}${shown(values[box])}` : ""),
    icon: (box) => (level(box) < 0 ? colours.muted : colours.onRamp[level(box)]),
    heat: true,
    entries: error ? heldAgainst(values, tolerance, shown) : most ? [{ ramp: true, low: shown(0), high: shown(most) }] : [],
    missing: most || (error && values.some((value) => value !== null)) ? "" : `no ${key} known at this state`,
  };
}

// Errors spread over many powers of ten: the tolerance stands in the middle, four powers to either side.
const POWERS = 4;

function distance(value, tolerance) {
  if (!value) return 0;
  const powers = tolerance ? Math.log10(value / tolerance) : POWERS;
  return Math.min(1, Math.max(0, (powers + POWERS) / (2 * POWERS)));
}

function heldAgainst(values, tolerance, shown) {
  const measured = values.filter((value) => value !== null && value !== undefined);
  if (!measured.length) return [];
  const beyond = measured.filter((value) => value > tolerance).length;
  const place = (power) => shown(tolerance * 10 ** power);
  return [{ ramp: true, low: place(-POWERS), high: place(POWERS), tolerance, beyond: beyond ? `✕ ${beyond} of ${measured.length} beyond` : `✓ all ${measured.length} within` }];
}

function printed(value, unit) {
  if (unit === "B") return bytes(value);
  if (unit === "ms") return milliseconds(value);
  return `${digits(value)}${unit ? " " + unit : ""}`;
}
