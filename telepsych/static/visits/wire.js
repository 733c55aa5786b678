/** Small JSON requests to our own server that do not wait for ever. They throw `Failed` with the status (0: no answer). */
const PATIENCE = 8_000;

export class Failed extends Error {
  constructor(status, detail) {
    super(detail ?? `status ${status}`);
    this.status = status;
    this.detail = detail;
  }
}

export function getJson(url) {
  return ask(url, { headers: { Accept: "application/json" } });
}

export function postJson(url, body, { keepalive = false } = {}) {
  const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRF-Token": token };
  return ask(url, { method: "POST", headers, body: JSON.stringify(body), keepalive });
}

async function ask(url, options) {
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(url, { credentials: "same-origin", ...options, signal }).catch(() => null);
  if (!response) throw new Failed(0);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Failed(response.status, answer.detail);
  return answer;
}
