/** How long to wait before trying again: twice as long each time up to a limit, never all at once. */
export class Backoff {
  constructor({ first = 1_000, most = 30_000, random = Math.random } = {}) {
    Object.assign(this, { first, most, random });
    this.tries = 0;
  }

  /** Milliseconds until the next try. */
  next() {
    const full = Math.min(this.first * 2 ** this.tries, this.most);
    this.tries += 1;
    return Math.round(full * (0.75 + 0.5 * this.random()));
  }

  reset() {
    this.tries = 0;
  }
}
