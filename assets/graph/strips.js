// What lies between two heights: boxes or edges listed by horizontal strips of the world, so that a frame looks only at what is in sight.

const STRIP = 768;

// `top` and `bottom` give the extent of entry i in world px.
export function buildStrips(count, top, bottom) {
  let first = Infinity, last = -Infinity;
  const from = new Int32Array(count), to = new Int32Array(count);
  for (let i = 0; i < count; i += 1) {
    from[i] = Math.floor(top(i) / STRIP);
    to[i] = Math.max(from[i], Math.floor(bottom(i) / STRIP));
    if (from[i] < first) first = from[i];
    if (to[i] > last) last = to[i];
  }
  const strips = count ? last - first + 1 : 0;
  const start = new Uint32Array(strips + 1);
  for (let i = 0; i < count; i += 1) for (let s = from[i]; s <= to[i]; s += 1) start[s - first + 1] += 1;
  for (let s = 0; s < strips; s += 1) start[s + 1] += start[s];
  const list = new Uint32Array(start[strips]);
  const next = start.slice();
  for (let i = 0; i < count; i += 1) for (let s = from[i]; s <= to[i]; s += 1) { list[next[s - first]] = i; next[s - first] += 1; }
  return { first, strips, start, list, seen: new Uint32Array(count), turn: 0 };
}

// Every entry that may touch the heights [top, bottom], each once, in the order of strips.
export function between(index, top, bottom) {
  const low = Math.max(0, Math.floor(top / STRIP) - index.first);
  const high = Math.min(index.strips - 1, Math.floor(bottom / STRIP) - index.first);
  index.turn += 1;
  const found = [];
  for (let at = low <= high ? index.start[low] : 0, end = low <= high ? index.start[high + 1] : 0; at < end; at += 1) {
    const entry = index.list[at];
    if (index.seen[entry] === index.turn) continue;
    index.seen[entry] = index.turn;
    found.push(entry);
  }
  return found;
}

// No fewer than there are: how many entries the strips of these heights list.
export function countBetween(index, top, bottom) {
  const low = Math.max(0, Math.floor(top / STRIP) - index.first);
  const high = Math.min(index.strips - 1, Math.floor(bottom / STRIP) - index.first);
  return low <= high ? index.start[high + 1] - index.start[low] : 0;
}
