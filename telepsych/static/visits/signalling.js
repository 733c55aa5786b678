/** What one visit's room says and hears over the live connection. */

const PATIENCE = 5_000;
const TRIES = 3;

export class Signalling {
  /** `live` has `on(event, fn)` and `emit(event, data)`, which returns a promise of the server's answer. */
  constructor(live, visit) {
    this.live = live;
    this.visit = visit;
    this.closed = false;
  }

  /** Bring a payload to one participant. Throws when the server refuses or cannot be reached. */
  send(to, payload) {
    return this.#emit("visit:signal", { visit: this.visit, to, payload });
  }

  /** Say that this page takes part, or no longer does. The live connection says it for us when it breaks. */
  announce(here) {
    return this.#emit("presence", { visit: this.visit, here }).catch(() => undefined);
  }

  onSignal(act) {
    this.#on("visit:signal", ({ from, payload }) => act(from, payload));
  }

  onPresence(act) {
    this.#on("presence", ({ present, newcomer, joined }) => act({ present, newcomer: newcomer ?? joined ?? null }));
  }

  onNews(act) {
    this.#on("visit:news", act);
  }

  onReconnected(act) {
    this.live.on("connect", () => this.closed || act());
  }

  close() {
    this.closed = true;
  }

  #on(event, act) {
    this.live.on(event, (data) => !this.closed && data.visit === this.visit && act(data));
  }

  /** A full or briefly absent server is asked again; a refusal is final. */
  async #emit(event, data) {
    for (let left = TRIES; ; left -= 1) {
      const answer = await within(PATIENCE, this.live.emit(event, data));
      if (answer?.ok !== false) return answer;
      if (left <= 1 || ![429, 503].includes(answer.status)) throw new Error(`${event}: ${answer.status}`);
      await new Promise((resolve) => setTimeout(resolve, 1_000 * (answer.retry_after ?? 1)));
    }
  }
}

function within(milliseconds, promise) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no answer")), milliseconds));
  return Promise.race([promise, late]);
}
