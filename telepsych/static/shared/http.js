/**
 * Small requests to our own server that do not wait for ever. They throw `Failed` with the status (0: no answer) and the
 * server's sentence. `background` says that no person asked: it does not count as a sign of life.
 */
const PATIENCE = 15_000;

export class Failed extends Error {
  constructor(status, problem = {}) {
    super(problem.detail ?? `status ${status}`);
    this.status = status;
    this.detail = problem.detail;
    this.problem = problem;
  }
}

export function getJson(url, options) {
  return sendJson("GET", url, undefined, options);
}

export function postJson(url, body = {}, options) {
  return sendJson("POST", url, body, options);
}

export function putJson(url, body, options) {
  return sendJson("PUT", url, body, options);
}

export function remove(url, options) {
  return sendJson("DELETE", url, undefined, options);
}

/** The page's token against requests that another site made a browser send. */
export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

/** A fetch that is ours: with patience, the token, and `Failed` instead of silence. Answers the response, whatever its status. */
export async function ask(url, { background = false, patience = PATIENCE, headers = {}, ...options } = {}) {
  const unsafe = !["GET", "HEAD"].includes(options.method ?? "GET");
  const all = {
    ...(unsafe ? { "X-CSRF-Token": csrfToken() } : {}),
    ...(background ? { "X-Background": "1" } : {}),
    ...headers,
  };
  const signal = options.signal ?? AbortSignal.timeout(patience);
  const response = await fetch(url, { credentials: "same-origin", ...options, headers: all, signal }).catch(() => null);
  if (!response) throw new Failed(0);
  return response;
}

async function sendJson(method, url, body, options = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await ask(url, { ...options, method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) throw new Failed(response.status, answer);
  return answer;
}
