/**
 * Keeps what people type. `<form data-draft="place">` is saved to /api/drafts/<place> a moment after each change, and
 * filled in again after a reload, a new sign-in or on another device. While the server cannot be reached, a sealed copy
 * stays on this device. A text that is newer elsewhere is offered, never overwritten.
 *
 * Says how things stand in the [data-saved] beside the form. A script that sends the form by itself dispatches
 * "draft:sent" on it when the server has answered. The server drops a draft whose form it took (field `draft`).
 */
import { afterFailure, changedElsewhere, isEmpty, onOpening, same } from "./draft_rules.js";
import { Backoff } from "./backoff.js";
import { cameWith, fill, read } from "./form_fields.js";
import { getJson, putJson, remove } from "./http.js";
import { lock } from "./leaving.js";
import { settleSent } from "./sent.js";
import { Store } from "./store.js";
import { word } from "./words.js";

const LOCAL_AFTER = 250;
const SAVE_AFTER = 1_200;
const LOOKS = 8;
const LOOK_AGAIN = 400;

export default class Drafts {
  constructor(form) {
    this.form = form;
    this.place = form.dataset.draft;
    this.url = `/api/drafts/${encodeURIComponent(this.place)}`;
    this.store = new Store(document.body.dataset.owner);
    this.backoff = new Backoff({ first: 3_000, most: 30_000 });
    this.listening = new AbortController();
  }

  async connect() {
    this.rendered = cameWith(this.form);
    this.#nameForServer();
    this.#listen();
    if (!same(read(this.form), this.rendered)) this.#typed(); // before this script was here
    await this.#open();
  }

  disconnect() {
    this.listening.abort();
    clearTimeout(this.localTimer);
    clearTimeout(this.timer);
    if (this.dirty && !this.sent) this.#keepHere();
  }

  #listen() {
    const { signal } = this.listening;
    this.form.addEventListener("input", () => this.#typed(), { signal });
    this.form.addEventListener("change", () => this.#typed(), { signal });
    this.form.addEventListener("submit", () => this.#sending(), { signal });
    this.form.addEventListener("draft:sent", (event) => this.#forgetFor(event), { signal });
    addEventListener("online", () => this.dirty && this.#save(), { signal });
    addEventListener("pagehide", () => this.#leave(), { signal });
    addEventListener("pageshow", (event) => event.persisted && (this.sent = false), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.dirty && this.#save(), { signal });
  }

  /** The form tells the server which draft it was, so that the server drops it once it has taken the form. */
  #nameForServer() {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "draft", value: this.place });
    this.form.append(field);
  }

  async #open() {
    await this.#tidy();
    const local = await this.#kept();
    try {
      this.known = await this.#fromServer();
    } catch (error) {
      this.known = undefined;
      if (local) this.#show({ show: local.fields, restored: true, save: true });
      return this.#failed(error);
    }
    const correcting = Boolean(this.form.querySelector("[aria-invalid], .field--wrong"));
    if (this.dirty) return undefined;
    return this.#show(onOpening({ rendered: this.rendered, server: this.known, local, correcting }));
  }

  /** What the server holds. A page that was left a moment ago may still be on its way there. */
  async #fromServer() {
    for (let looks = this.#wasLeftJustNow() ? LOOKS : 1; ; looks -= 1) {
      const { fields } = await getJson(this.url, { background: true });
      if (looks <= 1 || this.dirty || !isEmpty(fields)) return fields;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
    }
  }

  #wasLeftJustNow() {
    const at = Number(sessionStorage.getItem(`left:${this.place}`) ?? 0);
    sessionStorage.removeItem(`left:${this.place}`);
    return Date.now() - at < LOOKS * LOOK_AGAIN;
  }

  #show({ show, offer, restored, save }) {
    if (!this.dirty && !same(show, this.rendered)) this.#fill(show);
    if (restored) this.#say("restored", word("draft_restored"));
    if (offer) this.#offer(offer);
    else if (save) this.#save();
  }

  #fill(fields) {
    fill(this.form, fields);
    this.form.dispatchEvent(new CustomEvent("draft:filled", { bubbles: true }));
  }

  #typed() {
    this.dirty = true;
    clearTimeout(this.localTimer);
    clearTimeout(this.timer);
    this.localTimer = setTimeout(() => this.#keepHere(), LOCAL_AFTER);
    this.timer = setTimeout(() => this.#save(), SAVE_AFTER);
  }

  async #save() {
    clearTimeout(this.timer);
    if (this.sent || this.offered || this.listening.signal.aborted) return;
    if (this.saving) return void (this.again = true);
    this.saving = true;
    const typed = read(this.form);
    try {
      const server = (await getJson(this.url, { background: true })).fields;
      if (changedElsewhere({ known: this.known, server, typed })) return this.#offer(server);
      await putJson(this.url, { fields: typed });
      await this.#savedThere(typed);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.saving = false;
      if (this.again) this.#typedMeanwhile();
    }
  }

  #typedMeanwhile() {
    this.again = false;
    if (!same(read(this.form), this.known)) this.#save();
  }

  /** A page that goes away cannot wait: the server compares by itself, and a copy stays here if there is time. */
  #leave() {
    if (!this.dirty || this.sent) return;
    this.#keepHere();
    if (this.offered || this.known === undefined) return;
    sessionStorage.setItem(`left:${this.place}`, String(Date.now()));
    const last = { fields: read(this.form), known: this.known };
    putJson(this.url, last, { background: true, keepalive: true }).catch(() => undefined);
  }

  async #savedThere(typed) {
    this.known = typed;
    this.backoff.reset();
    this.dirty = !same(read(this.form), typed);
    if (this.sent) return;
    if (!this.dirty) await this.#dropHere();
    this.#say("saved", isEmpty(typed) ? "" : word("draft_saved"));
  }

  async #failed(error) {
    if (this.sent || error.status === undefined) return;
    const { say, again } = afterFailure(error.status);
    if (!this.dirty && !again) return;
    const isKept = this.dirty ? await this.#keepHere() : true;
    if (this.dirty) this.#say("local", word(isKept ? say : "draft_not_kept"));
    if (error.status === 401 && error.problem?.locked) lock();
    if (again && this.dirty) this.timer = setTimeout(() => this.#save(), this.backoff.next());
  }

  #sending() {
    this.sent = true;
    clearTimeout(this.timer);
    clearTimeout(this.localTimer);
    this.#keepHere();
  }

  /** Who sent the form may wait until the draft is gone, before drawing the form anew (`detail.until`). */
  #forgetFor({ detail }) {
    const forgotten = this.#forget();
    detail?.until?.push(forgotten);
  }

  async #forget() {
    this.dirty = false;
    this.known = {};
    clearTimeout(this.timer);
    clearTimeout(this.localTimer);
    this.#say("", "");
    await this.#dropHere();
    await remove(this.url).catch(() => undefined);
    this.sent = false;
  }

  /** Something else was typed in another window or device. Nothing is saved until the person has chosen. */
  #offer(other) {
    this.offered = true;
    const template = document.querySelector("template#draft-offer");
    const note = template?.content.firstElementChild.cloneNode(true);
    if (!note) return;
    note.querySelector('[data-role="other"]').textContent = preview(other);
    note.querySelector('[data-role="take"]').addEventListener("click", () => this.#choose(note, other));
    note.querySelector('[data-role="keep"]').addEventListener("click", () => this.#choose(note, null));
    this.form.prepend(note);
    note.scrollIntoView({ block: "center" });
    this.#say("newer", "");
    this.#keepHere();
  }

  #choose(note, other) {
    const mine = read(this.form);
    this.known = other ?? undefined;
    if (other) this.#fill({ ...mine, ...other });
    note.remove();
    this.offered = false;
    this.dirty = true;
    this.form.querySelector("textarea, input:not([type=hidden])")?.focus();
    return other ? this.#save() : this.#saveOver();
  }

  async #saveOver() {
    const typed = read(this.form);
    try {
      await putJson(this.url, { fields: typed });
      await this.#savedThere(typed);
    } catch (error) {
      this.#failed(error);
    }
  }

  #say(state, sentence) {
    const place = this.form.querySelector("[data-saved]") ?? document.querySelector("[data-saved]");
    if (!place) return;
    place.dataset.state = state;
    if (place.textContent !== sentence) place.textContent = sentence;
  }

  /** Keep a copy on this device. Answers whether that worked. */
  async #keepHere() {
    if (!this.store.isUsable) return false;
    try {
      await this.store.put(this.place, { fields: read(this.form), base: this.known ?? {} });
      return true;
    } catch {
      return false;
    }
  }

  async #kept() {
    return this.store.isUsable ? this.store.get(this.place).catch(() => null) : null;
  }

  async #dropHere() {
    if (this.store.isUsable) await this.store.drop(this.place).catch(() => undefined);
  }

  async #tidy() {
    await settleSent(this.store);
    if (this.store.isUsable) await this.store.tidy().catch(() => undefined);
  }
}

function preview(fields) {
  const longest = Object.values(fields).sort((one, other) => other.length - one.length)[0] ?? "";
  return longest.length > 200 ? `${longest.slice(0, 200)}…` : longest;
}
