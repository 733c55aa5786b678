/**
 * The inbox page: keys, and saying that a person has read what arrived while they were looking. The list and the talk
 * refresh themselves (`data-fragment`); the composers stand outside them and keep what is typed.
 *
 * Keys J K Enter E A R ? do what the page's own links and buttons do. They are silent while somebody types, with a
 * modifier held, and when turned off on this device.
 */
import { ask } from "../shared/http.js";

const OFF = "telepsych-inbox-keys-off";

export default class Inbox {
  constructor(element) {
    this.element = element;
    this.listening = new AbortController();
    this.acts = {
      j: () => this.#move(1),
      k: () => this.#move(-1),
      r: () => document.querySelector("#reply")?.focus(),
      a: () => open("#item-assign"),
      e: () => open("#item-resolve"),
      "?": () => this.#showKeys(),
    };
  }

  connect() {
    const { signal } = this.listening;
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    document.addEventListener("click", (event) => event.target.closest('[data-role="keys"]') && this.#showKeys(), { signal });
    document.addEventListener("fragment:shown", () => this.#shown(), { signal });
    addEventListener("focus", () => this.#read(), { signal });
    this.#prepareKeys(signal);
    this.upTo = this.#newest();
  }

  disconnect() {
    this.listening.abort();
  }

  #prepareKeys(signal) {
    for (const button of document.querySelectorAll('[data-role="keys"]')) button.hidden = false;
    const box = document.querySelector('[data-role="keys-off"]');
    if (!box) return;
    box.checked = areOff();
    box.addEventListener("change", () => turn(box.checked), { signal });
  }

  #showKeys() {
    document.querySelector("#inbox-keys")?.showModal();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || areOff()) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog[open]")) return;
    const act = this.acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #move(step) {
    const rows = [...document.querySelectorAll(".queue__row")];
    if (!rows.length) return;
    const focused = rows.indexOf(document.activeElement);
    const at = focused >= 0 ? focused : rows.findIndex((row) => row.hasAttribute("aria-current"));
    const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1);
    rows[next].focus();
  }

  #shown() {
    for (const button of document.querySelectorAll('[data-role="keys"]')) button.hidden = false;
    this.#read();
  }

  #newest() {
    return Number(this.element.querySelector("[data-up-to]")?.dataset.upTo ?? 0);
  }

  /** What arrived is read once a person has the page in front of them. */
  async #read() {
    const newest = this.#newest();
    if (!this.element.dataset.read || newest <= this.upTo || !document.hasFocus()) return;
    this.upTo = newest;
    await ask(this.element.dataset.read, { method: "POST", background: true }).catch(() => undefined);
  }
}

function open(selector) {
  const panel = document.querySelector(selector);
  if (!panel) return;
  panel.open = true;
  panel.querySelector("select, textarea")?.focus();
}

function areOff() {
  try {
    return localStorage.getItem(OFF) === "1";
  } catch {
    return false;
  }
}

function turn(off) {
  try {
    if (off) localStorage.setItem(OFF, "1");
    else localStorage.removeItem(OFF);
  } catch {
    // A browser without storage keeps the keys on.
  }
}
