// Payloads by address: fetched once, kept while they are likely to be asked for again, inlined in an exported page.

import { exported, inlined } from "./inlined.js";

const KEPT = 64;
const answers = new Map();

export class Problem extends Error {
  constructor(problem, status) {
    super(problem.what);
    this.problem = problem;
    this.status = status;
  }
}

// Returns a promise of the JSON at `path`; answers of unfinished recordings must pass `fresh`.
export function get(path, { fresh = false } = {}) {
  if (exported) {
    const answer = inlined(path);
    return answer === null ? Promise.reject(notExported(path)) : Promise.resolve(answer);
  }
  if (!fresh && answers.has(path)) {
    const answer = answers.get(path);
    answers.delete(path);
    answers.set(path, answer);
    return answer;
  }
  const answer = request("GET", path);
  answers.set(path, answer);
  answer.catch(() => answers.delete(path));
  if (answers.size > KEPT) answers.delete(answers.keys().next().value);
  return answer;
}

export function forget(prefix) {
  for (const path of [...answers.keys()]) if (path.startsWith(prefix)) answers.delete(path);
}

export function post(path, body) {
  return request("POST", path, body);
}

export function remove(path) {
  return request("DELETE", path);
}

async function request(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem({
      what: "The server did not answer.",
      where: path.split("?")[0],
      expected: "glowviz running on this address.",
      remedy: "Start it again with “glowviz”, then reload the page.",
    }, 0);
  }
  const answer = await response.json().catch(() => null);
  if (answer && answer.dims) return answer; // 422: the model leaves dimensions open, and says which
  if (!response.ok) throw new Problem((answer && answer.problem) || unexpected(response.status, path), response.status);
  return answer;
}

function unexpected(status, path) {
  return {
    what: `The server refused the request (${status}).`,
    where: path.split("?")[0],
    expected: "An answer in JSON.",
    remedy: "Reload the page; if it happens again, report it with this text.",
  };
}

function notExported(path) {
  return new Problem({
    what: "This exported page does not carry that view.",
    where: path.split("?")[0],
    expected: "A payload saved with the page.",
    remedy: "Open the recording in glowviz to see it.",
  }, 404);
}

// The address of a payload of one recording, with only the options that are set.
export function address(recording, what, options = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(options)) {
    if (value !== null && value !== undefined && value !== "") query.set(key, typeof value === "string" ? value : JSON.stringify(value));
  }
  return `/api/r/${recording}/${what}${query.size ? "?" + query : ""}`;
}
