/**
 * A part of the page that the server draws: `<div data-fragment="/url">` is filled with what the address answers to a
 * request with `X-Fragment: 1`, and again on live news (`data-news="visit:news queue:news"`, first of all `visit:news`)
 * and after a form inside it was posted. Forms inside are posted in place; one with `data-whole-page` is not.
 *
 * Somebody typing inside is never interrupted: new content waits until they are done.
 */
import { ask } from "./http.js";
import { connect, disconnect } from "./loader.js";
import { live } from "./live.js";
import { pageOf } from "./trusted.js";
import { word } from "./words.js";

const SOON = 300;

export default class Fragment {
  constructor(element) {
    this.element = element;
    this.url = element.dataset.fragment;
    this.stops = [];
  }

  connect() {
    const names = (this.element.dataset.news ?? "visit:news").split(/\s+/).filter(Boolean);
    this.stops = [...names, "connect"].map((name) => live.on(name, () => this.refreshSoon()));
    live.connect();
    this.element.addEventListener("submit", (event) => this.#submit(event));
    this.element.addEventListener("focusout", () => this.waiting && this.refreshSoon());
    this.element.setAttribute("aria-live", "off");
    return this.element.childElementCount ? undefined : this.refresh();
  }

  disconnect() {
    for (const stop of this.stops) stop();
    clearTimeout(this.timer);
  }

  refreshSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), SOON);
  }

  /** Ask the server again, and show what changed. While a form is on its way its answer is what will be shown. */
  async refresh() {
    if (this.sending) return;
    try {
      const response = await ask(this.url, { background: true, headers: { "X-Fragment": "1" } });
      const text = await response.text();
      if (response.ok && !this.sending) this.#show(text);
    } catch {
      // The content on the page stays; the next news or reconnection asks again.
    }
  }

  async #submit(event) {
    const form = event.target;
    if (event.defaultPrevented || "wholePage" in form.dataset || form.method !== "post") return;
    event.preventDefault();
    event.stopPropagation();
    if (form.dataset.sending) return;
    form.dataset.sending = "1";
    this.sending = true;
    const body = new URLSearchParams(new FormData(form, event.submitter));
    try {
      const response = await ask(form.action, { method: "POST", body, headers: { "X-Fragment": "1" } });
      if (response.ok || response.status === 422) await this.#taken(form, response);
      else this.#failed(form);
    } catch {
      this.#failed(form);
    } finally {
      delete form.dataset.sending;
      this.sending = false;
    }
  }

  async #taken(form, response) {
    const text = await response.text();
    this.typed = false;
    const until = [];
    if (response.ok) form.dispatchEvent(new CustomEvent("draft:sent", { detail: { until } }));
    await Promise.all(until);
    if (response.redirected || !text.trim()) await this.#again();
    else this.#replace(text);
    this.element.dispatchEvent(new CustomEvent("fragment:posted", { bubbles: true, detail: { status: response.status } }));
  }

  async #again() {
    const response = await ask(this.url, { headers: { "X-Fragment": "1" } });
    if (response.ok) this.#replace(await response.text());
  }

  #failed(form) {
    const place = form.querySelector("[data-saved]") ?? form.querySelector('[role="status"]') ?? newStatus(form);
    place.textContent = word("not_sent");
  }

  #show(text) {
    if (text === this.shown) return;
    this.waiting = this.#isTyping();
    if (!this.waiting) this.#replace(text);
  }

  #isTyping() {
    const at = document.activeElement;
    return this.element.contains(at) && at.matches("input, textarea, select");
  }

  #replace(text) {
    const page = pageOf(text);
    const fresh = page.querySelector("#main") ?? page.body;
    const opened = [...this.element.querySelectorAll("details[open][id]")].map(({ id }) => id);
    const focused = this.element.contains(document.activeElement) ? document.activeElement.id : "";
    for (const child of this.element.children) disconnect(child);
    this.element.replaceChildren(...fresh.childNodes);
    for (const id of opened) this.element.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    this.shown = text;
    this.waiting = false;
    for (const child of this.element.children) connect(child);
    this.element.dispatchEvent(new CustomEvent("fragment:shown", { bubbles: true }));
  }
}

function newStatus(form) {
  const status = document.createElement("p");
  status.setAttribute("role", "status");
  status.className = "saved";
  form.append(status);
  return status;
}
