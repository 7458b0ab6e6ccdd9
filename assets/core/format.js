// Numbers as people read them: three digits, a unit, a real minus sign.

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Math.abs(count);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) { size /= 1024; unit += 1; }
  return `${count < 0 ? "−" : ""}${unit ? digits(size) : size} ${units[unit]}`;
}

export function digits(value, count = 3) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e300) return value < 0 ? "−∞" : "∞"; // JSON knows no infinity
  if (size >= 10 ** count) return Math.round(value).toLocaleString("en-US").replace("-", "−");
  const text = size >= 1e-4 ? Number(value.toPrecision(count)).toString() : value.toExponential(0);
  return text.replace("-", "−");
}

export function milliseconds(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms >= 1000) return `${digits(ms / 1000)} s`;
  if (ms >= 0.1 || ms === 0) return `${digits(ms)} ms`;
  return ms >= 1e-4 ? `${digits(ms * 1000)} µs` : `${Math.round(ms * 1e6)} ns`; // clocks tell no part of a nanosecond
}

// A time with its spread in the same unit, no finer than the time's own last digit.
export function spreadTime(ms, spread) {
  const text = milliseconds(ms);
  if (!spread || text === "–") return text;
  const [number, unit] = text.split(" ");
  const factor = { s: 1e-3, ms: 1, "µs": 1e3, ns: 1e6 }[unit];
  const shown = (spread * factor).toFixed((number.split(".")[1] || "").length);
  return Number(shown) ? `${number} ±${shown} ${unit}` : text;
}

export function flops(count) {
  for (const [size, unit] of [[1e9, "GFLOP"], [1e6, "MFLOP"], [1e3, "kFLOP"]]) if (count >= size) return `${digits(count / size)} ${unit}`;
  return `${Math.round(count)} FLOP`;
}

export function hex(address, size = 6) {
  return "0x" + address.toString(16).toUpperCase().padStart(size, "0");
}

export function count(number, noun, plural = noun + "s") {
  return `${number.toLocaleString("en-US")} ${number === 1 ? noun : plural}`;
}
