// A line from which stretches are taken out: what lies beyond them moves up, and nothing changes its order.

// `gone` and `kept` are lists of [low, high]; what is gone and not kept is taken out. Returns place → place.
export function squeeze(gone, kept) {
  const out = without(united(gone), united(kept));
  const before = [0];
  for (const [low, high] of out) before.push(before.at(-1) + high - low);
  return (at) => {
    let first = 0, end = out.length; // how many stretches begin before `at`
    while (first < end) {
      const middle = (first + end) >> 1;
      if (out[middle][0] < at) first = middle + 1; else end = middle;
    }
    return first ? at - before[first - 1] - Math.min(at, out[first - 1][1]) + out[first - 1][0] : at;
  };
}

function united(list) {
  const found = [];
  for (const [low, high] of list.filter((one) => one[1] > one[0]).sort((a, b) => a[0] - b[0])) {
    const last = found.at(-1);
    if (last && low <= last[1]) last[1] = Math.max(last[1], high);
    else found.push([low, high]);
  }
  return found;
}

// What of `gone` is not in `kept`; both are sorted and without overlaps.
function without(gone, kept) {
  const found = [];
  let k = 0;
  for (const [low, high] of gone) {
    let from = low;
    while (k < kept.length && kept[k][1] <= from) k += 1;
    for (let i = k; i < kept.length && kept[i][0] < high; i += 1) {
      if (kept[i][0] > from) found.push([from, kept[i][0]]);
      from = Math.max(from, kept[i][1]);
    }
    if (from < high) found.push([from, high]);
  }
  return found;
}
