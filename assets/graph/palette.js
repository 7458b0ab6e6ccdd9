// The colours of the current theme, read from the CSS variables once per theme change.

const NAMES = ["canvas", "panel", "ink", "muted", "line", "control", "accent", "accent-tint", "hover", "heat-low", "heat-high"];

let cached = null;

export function palette() {
  if (cached) return cached;
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  const colours = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
  colours.bars = range(8).map((n) => read(`family-${n}-bar`));
  colours.tints = range(8).map((n) => read(`family-${n}-tint`));
  colours.changes = range(5).map((n) => read(`change-${n}`));
  colours.ramp = range(17).map((n) => mix(colours["heat-low"], colours["heat-high"], n / 16));
  colours.onRamp = colours.ramp.map((ground) => better(ground, colours.ink, colours.panel));
  cached = colours;
  return cached;
}

export function forgetPalette() {
  cached = null;
}

function range(count) {
  return [...Array(count).keys()];
}

function channels(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function mix(one, other, share) {
  const [a, b] = [channels(one), channels(other)];
  return "#" + a.map((value, i) => Math.round(value + (b[i] - value) * share).toString(16).padStart(2, "0")).join("");
}

function luminance(colour) {
  const [r, g, b] = channels(colour).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function better(ground, one, other) {
  const contrast = (text) => {
    const pair = [luminance(text), luminance(ground)].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  };
  return contrast(one) >= contrast(other) ? one : other;
}
