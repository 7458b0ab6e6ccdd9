// Search in a page without a server: the same words and filters as the server's, over a table of all names.

const MOST = 200;
const FILTER = /\b(op|d?type|pass|level|scope):(\S+)|\b(cost)>=?([\d.]+(?:e-?\d+)?%?)/gi;
const COLUMNS = ["name", "title", "op", "type", "born", "died", "where", "level"];

export function find(table, query) {
  const filters = {};
  for (const [, key, value, cost, most] of query.matchAll(FILTER)) filters[(key || cost).toLowerCase()] = (value || most).toLowerCase();
  const words = query.replace(FILTER, " ").toLowerCase().split(/\s+/).filter(Boolean);
  const all = table.cost.reduce((sum, ms) => sum + (ms ?? 0), 0);
  const rows = table.name.map((_, row) => row).filter((row) => fits(table, row, words, filters, all));
  const first = words[0] || filters.op || "";
  rows.sort((a, b) => distance(table, a, first) - distance(table, b, first));
  const shown = rows.slice(0, MOST);
  return { ...Object.fromEntries(COLUMNS.map((column) => [column, shown.map((row) => table[column][row])])), total: rows.length, scopes: [] };
}

function fits(table, row, words, filters, all) {
  const text = `${table.name[row]} ${table.title[row]} ${table.op[row]} ${table.text[row]}`.toLowerCase();
  if (!words.every((word) => text.includes(word))) return false;
  if (filters.op && !table.ops[row].some((op) => op.includes(filters.op))) return false;
  if (filters.level && table.level[row] !== filters.level) return false;
  const type = filters.dtype || filters.type;
  if (type && !table.type[row].toLowerCase().includes(type)) return false;
  if (filters.pass && !table.passes[row].includes(filters.pass)) return false;
  if (filters.scope && !inside(table, row, filters.scope)) return false;
  return !filters.cost || (table.cost[row] ?? -1) > parseFloat(filters.cost) * (filters.cost.endsWith("%") ? all / 100 : 1);
}

// A name, or one that it comes from, lies in a scope: what is before its last slash or dot.
function inside(table, row, scope) {
  const names = [table.name[row], table.title[row], ...table.text[row].split(" ")];
  const path = (name) => name.toLowerCase().replaceAll(".", "/").split("/").slice(0, -1).join("/");
  return names.some((name) => `/${path(name)}`.includes(`/${scope.replaceAll(".", "/")}`));
}

// What is called just so comes first, then what begins so; what only stems from it comes last.
function distance(table, row, word) {
  const names = [table.name[row].toLowerCase(), table.title[row].toLowerCase()];
  if (names.includes(word)) return 0;
  if (names.some((name) => name.startsWith(word))) return 1;
  return names.some((name) => name.includes(word)) ? 2 : 3;
}
