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
  if (size >= 10 ** count) return Math.round(value).toLocaleString("en-US").replace("-", "−");
  const text = size >= 1e-4 ? Number(value.toPrecision(count)).toString() : value.toExponential(0);
  return text.replace("-", "−");
}

export function milliseconds(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms >= 1000) return `${digits(ms / 1000)} s`;
  return ms >= 0.1 || ms === 0 ? `${digits(ms)} ms` : `${digits(ms * 1000)} µs`;
}

export function hex(address, size = 6) {
  return "0x" + address.toString(16).toUpperCase().padStart(size, "0");
}

export function count(number, noun, plural = noun + "s") {
  return `${number.toLocaleString("en-US")} ${number === 1 ? noun : plural}`;
}
