/**
 * Letters on their way. Each keeps the id it was given at first and is sent again, with growing jittered pauses, until
 * the server has answered: an answer that got lost is given once more, and nothing arrives twice. They go out in order.
 *
 * `send({clientId, body})` answers or throws an error with a `status` (0: no answer). `store` keeps what waits on this
 * device: {get, put, drop}; without one it waits in memory, and `isKept` is false.
 */
const FINAL = new Set([400, 403, 404, 409, 413, 422]);
const WAITS_FOR_SIGN_IN = 401;

export class Outbox {
  constructor({ name, send, store, backoff, onChange = () => {}, later = (act, pause) => setTimeout(act, pause) }) {
    Object.assign(this, { name, send, store, backoff, onChange, later });
    this.waiting = [];
  }

  get isKept() {
    return Boolean(this.store?.isUsable);
  }

  /** Take up what an earlier page left on this device. */
  async open() {
    const left = this.isKept ? await this.store.get(this.name).catch(() => null) : null;
    for (const letter of left?.letters ?? []) if (!this.#has(letter.clientId)) this.#take(letter);
    this.flush();
  }

  /** Take a letter. Answers whether this device keeps it should the page go away now. */
  async add(letter) {
    this.#take(letter);
    const kept = await this.#keep();
    this.flush();
    return kept;
  }

  /** Try now what waits: called after a pause, when the line is back, when the page is looked at. */
  async flush() {
    if (this.sending || this.waiting.length === 0) return;
    this.sending = true;
    clearTimeout(this.timer);
    const letter = this.waiting[0];
    try {
      this.#done(letter, "delivered", await this.send(letter));
    } catch (error) {
      this.#failed(letter, error);
    } finally {
      this.sending = false;
    }
    await this.#keep();
    if (this.goOn) this.flush();
  }

  #take(letter) {
    this.waiting.push(letter);
    this.onChange(letter, "saved");
  }

  #done(letter, state, answer) {
    this.waiting = this.waiting.filter((one) => one.clientId !== letter.clientId);
    this.backoff.reset();
    this.goOn = true;
    this.onChange(letter, state, answer);
  }

  #failed(letter, error) {
    this.goOn = false;
    if (FINAL.has(error.status)) return this.#done(letter, "refused", error);
    this.onChange(letter, error.status === WAITS_FOR_SIGN_IN ? "locked" : "saved", error);
    this.timer = this.later(() => this.flush(), this.backoff.next());
    return undefined;
  }

  #has(clientId) {
    return this.waiting.some((letter) => letter.clientId === clientId);
  }

  async #keep() {
    if (!this.isKept) return false;
    try {
      if (this.waiting.length > 0) await this.store.put(this.name, { letters: this.waiting });
      else await this.store.drop(this.name);
      return true;
    } catch {
      return false;
    }
  }
}
