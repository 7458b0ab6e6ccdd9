// Payloads that came with the file: answers for api.js, unpacked once, where there is no server.

import { find } from "./find.js";
import { refold } from "./refold.js";

const holder = document.getElementById("glowviz-payloads");
const payloads = holder ? await unpacked(holder.textContent) : null;

export const exported = payloads !== null;

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

// The payload for an address, or null. Life cards, refusals and values are told once for all states.
export function inlined(path) {
  const [route, query = ""] = path.split("?");
  const options = new URLSearchParams(query), name = options.get("name");
  if (route.endsWith("/search")) return find(told(`${route.replace(/search$/, "names")}`), options.get("q") || "");
  if (/\/(life|why|values)\/\d+$/.test(route)) return about(route.replace(/\/\d+$/, ""), name);
  if (/\/scene\/\d+$/.test(route)) return picture(route, options);
  if (/\/(text|program|memory)\/\d+$/.test(route)) return told(path) || newest(route);
  return told(name === null ? path : `${route}?name=${name}`);
}

// States that look alike are told once.
function told(path) {
  const found = payloads[path] ?? null;
  if (!found || !found.same) return found;
  const [, at] = path.match(/\/(\d+)(?:\?|$)/) || [];
  const other = payloads[found.same];
  return "snapshot" in other ? { ...other, snapshot: Number(at), base: Number(at) ? Number(at) - 1 : null } : other;
}

// Boxes of the graph's ends stand for the values that come in and go out.
function about(route, name) {
  return told(`${route}?name=${name}`) || told(`${route}?name=${(name || "").replace(/^(input|output):/, "")}`);
}

// The page has each state with all blocks folded and with all unfolded; what lies between is made from the latter.
function picture(route, options) {
  const base = options.get("base"), at = Number(route.split("/").pop()), fold = options.get("fold") || "blocks";
  if (base !== null && Number(base) !== at - 1) return null;
  const opened = JSON.parse(options.get("open") || "[]");
  const seen = (more) => told(`${route}?fold=${fold}${more}${options.get("constants") ? "&constants=1" : ""}`);
  const all = opened.length ? seen("&open=all") : null;
  return all ? refold(all, opened) : seen("");
}

// The newest text that is not newer than the state; else the oldest there is.
function newest(route) {
  const wanted = Number(route.split("/").pop()), prefix = route.replace(/\d+$/, "");
  const states = Object.keys(payloads).filter((key) => key.startsWith(prefix)).map((key) => Number(key.slice(prefix.length)));
  states.sort((a, b) => a - b);
  const at = states.filter((state) => state <= wanted).pop() ?? states[0];
  return at === undefined ? null : told(prefix + at);
}
