/**
 * Saves a value as it changes. One request at a time; the newest value wins; what could not be sent is kept and sent
 * again until it is taken, sooner when the connection is back. What the server refuses is not sent again.
 *
 * `send(value)` answers what the server said, or throws an error with a `status` (0: no answer).
 * `say(state, answer or error)` hears "saving", "saved", "waiting" and "failed".
 */
import { Backoff } from "./backoff.js";
import { putJson } from "./http.js";
import { lock } from "./leaving.js";
import { Store } from "./store.js";

export class Saver {
  #next;
  #running = null;
  #wake = () => {};

  constructor(send, say, { backoff = new Backoff({ most: 20_000 }), pause = (ms) => new Promise((done) => setTimeout(done, ms)) } = {}) {
    Object.assign(this, { send, say, backoff, pause });
    this.state = "idle";
  }

  /** Whether something is not with the server yet. */
  get isWaiting() {
    return this.#running !== null;
  }

  put(value) {
    this.#next = { value };
    this.#running ??= this.#run().finally(() => (this.#running = null));
    this.#wake();
  }

  /** Try again now rather than at the end of the pause. */
  hurry() {
    this.#wake();
  }

  /** Resolves once nothing is being sent any more: true when the last value was taken. */
  async settled() {
    await this.#running;
    return this.state !== "failed";
  }

  async #run() {
    while (this.#next) {
      const current = this.#next;
      this.#tell("saving");
      try {
        const answer = await this.send(current.value);
        if (this.#next === current) this.#next = undefined;
        this.backoff.reset();
        this.#tell("saved", answer);
      } catch (problem) {
        await this.#failed(problem, current);
      }
    }
  }

  async #failed(problem, current) {
    if (isWorthAnotherTry(problem.status)) {
      this.#tell("waiting", problem);
      await Promise.race([this.pause(this.backoff.next()), new Promise((done) => (this.#wake = done))]);
    } else {
      if (this.#next === current) this.#next = undefined;
      this.#tell("failed", problem);
    }
  }

  #tell(state, heard) {
    this.state = state;
    this.say(state, heard);
  }
}

function isWorthAnotherTry(status) {
  return [0, 401, 408, 429].includes(status) || status >= 500;
}

/**
 * Saves a question's form on every change, says so in `[data-saved]`, and lets the form go only when nothing is waiting.
 * Without a connection the fields are kept, sealed, on this device, and sent when the question is opened again.
 *
 * <form data-url="…" data-saving data-saved-word data-waiting data-failed>: where to, and the words.
 * `read(form)` answers the value, or undefined when there is nothing to save yet. When the server answers `goto`, the
 * page goes there at once.
 */
export class SavingForm {
  constructor(form, read, { send = putJson, go = (url) => window.location.assign(url), store } = {}) {
    Object.assign(this, { form, read, go });
    this.store = store ?? new Store(document.body.dataset.owner);
    this.place = `answer:${form.dataset.url}`;
    this.saver = new Saver((answer) => send(form.dataset.url, { answer }), (state, heard) => this.#heard(state, heard));
    this.listening = new AbortController();
  }

  async connect() {
    const { signal } = this.listening;
    this.rendered = fieldsOf(this.form);
    this.form.addEventListener("change", () => this.#changed(), { signal });
    this.form.addEventListener("submit", (event) => this.#submitted(event), { signal });
    addEventListener("online", () => this.saver.hurry(), { signal });
    addEventListener("pageshow", (event) => event.persisted && (this.leaving = false), { signal });
    await this.#sendKept();
  }

  disconnect() {
    this.listening.abort();
  }

  #changed() {
    const value = this.read(this.form);
    if (value !== undefined) this.saver.put(value);
  }

  #heard(state, heard) {
    this.#say(state);
    if (state === "waiting") this.#keep();
    if (state === "waiting" && heard.problem?.locked) lock();
    if (state === "saved" || (state === "failed" && heard.status !== 403)) this.#drop();
    if (state === "saved" && heard?.goto) this.go(heard.goto);
  }

  #say(state) {
    const place = document.querySelector("[data-saved]");
    if (!place) return;
    const { saving, savedWord, waiting, failed } = this.form.dataset;
    place.dataset.state = { saved: "saved", waiting: "local" }[state] ?? state;
    place.textContent = { saving, saved: savedWord, waiting, failed }[state];
  }

  /** Without a connection the page stays, with the answer on it; otherwise the form goes once the saving is done. */
  async #submitted(event) {
    if (this.leaving || (navigator.onLine && !this.saver.isWaiting)) return;
    event.preventDefault();
    if (!navigator.onLine) {
      this.#say("waiting");
      this.#changed();
      return;
    }
    const button = event.submitter;
    this.saver.hurry();
    await this.saver.settled();
    this.leaving = true;
    this.form.requestSubmit(button);
  }

  /** What this device could not send before: unless the question was answered elsewhere since. */
  async #sendKept() {
    const kept = this.store.isUsable ? await this.store.get(this.place).catch(() => null) : null;
    if (!kept) return;
    if (JSON.stringify(kept.rendered) !== JSON.stringify(this.rendered)) {
      this.#drop();
      return;
    }
    fillIn(this.form, kept.fields);
    this.#changed();
  }

  async #keep() {
    if (!this.store.isUsable) return;
    await this.store.put(this.place, { fields: fieldsOf(this.form), rendered: this.rendered }).catch(() => undefined);
  }

  #drop() {
    if (this.store.isUsable) this.store.drop(this.place).catch(() => undefined);
  }
}

/** Names and values as they stand, without what the page itself put in. */
function fieldsOf(form) {
  return [...new FormData(form)].filter(([name]) => !["csrf_token", "reviewing"].includes(name));
}

function fillIn(form, fields) {
  for (const control of form.elements) {
    const given = fields.filter(([name]) => name === control.name).map(([, value]) => value);
    if (["radio", "checkbox"].includes(control.type)) control.checked = given.includes(control.value);
    else if (["text", "number"].includes(control.type)) control.value = given[0] ?? control.value;
  }
}
