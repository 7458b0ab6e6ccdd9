// Payloads that came with the file: answers for api.js, and a search over their names where there is no server.

const holder = document.getElementById("glowviz-payloads");
const payloads = holder ? JSON.parse(holder.textContent) : null;

export const exported = payloads !== null;

// The payload for an address, or null. Life cards, program and memory are kept once for all states.
export function inlined(path) {
  if (path in payloads) return payloads[path];
  const [route, query = ""] = path.split("?");
  const name = new URLSearchParams(query).get("name");
  if (route.endsWith("/search")) return search(new URLSearchParams(query).get("q") || "");
  if (/\/life\/\d+$/.test(route)) return payloads[`${route.replace(/\/\d+$/, "")}?name=${name}`] ?? null;
  if (route.endsWith("/kernel")) return payloads[`${route}?name=${name}`] ?? null;
  if (/\/(program|memory)\/\d+$/.test(route)) return payloads[route.replace(/\/\d+$/, "")] ?? null;
  if (/\/text\/\d+$/.test(route)) return nearestText(route);
  return null;
}

function nearestText(route) {
  const wanted = Number(route.split("/").pop()), prefix = route.replace(/\d+$/, "");
  const states = Object.keys(payloads).filter((key) => key.startsWith(prefix)).map((key) => Number(key.slice(prefix.length)));
  const nearest = states.sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0];
  return nearest === undefined ? null : payloads[prefix + nearest];
}

function search(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = { name: [], title: [], op: [], type: [], level: [], born: [], died: [], where: [], scopes: [], total: 0 };
  for (const [key, life] of Object.entries(payloads)) {
    if (!key.includes("/life?name=") || !words.every((word) => `${life.name} ${life.title} ${life.op} ${life.origin.join(" ")}`.toLowerCase().includes(word))) continue;
    found.total += 1;
    if (found.name.length >= 100) continue;
    const row = { name: life.name, title: life.title, op: life.op, type: life.type, level: "graph", born: life.born ?? 0, died: life.died ?? -1, where: life.gone ? "gone" : "" };
    for (const [column, value] of Object.entries(row)) found[column].push(value);
  }
  return found;
}
