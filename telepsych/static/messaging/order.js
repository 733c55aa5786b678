/**
 * Keeps a conversation's events in order. `upTo` is the highest number up to which nothing is missing: the only thing a
 * reader may ask on from. Events that come early wait until the gap before them is filled; none is given out twice.
 */
export class Order {
  constructor(upTo = 0) {
    this.upTo = upTo;
    this.early = new Map();
  }

  /** Take events in any order; answers those that are now next, in order. */
  take(events) {
    for (const event of events) if (event.seq > this.upTo) this.early.set(event.seq, event);
    const next = [];
    while (this.early.has(this.upTo + 1)) {
      this.upTo += 1;
      next.push(this.early.get(this.upTo));
      this.early.delete(this.upTo);
    }
    return next;
  }

  /** Whether something up to this number has not been seen: a hint, or an early event, shows a gap. */
  isBehind(seq = 0) {
    return seq > this.upTo || this.early.size > 0;
  }
}

/**
 * Fetches what is missing, one request at a time: a hint during a request leads to one more afterwards.
 * `fetchAfter(seq)` answers {events, up_to}; `show(events)` is given events in order.
 */
export class Reader {
  constructor({ order, fetchAfter, show }) {
    Object.assign(this, { order, fetchAfter, show });
  }

  async catchUp() {
    if (this.running) return void (this.again = true);
    this.running = true;
    try {
      do {
        this.again = false;
        await this.#drain();
      } while (this.again);
    } finally {
      this.running = false;
    }
    return undefined;
  }

  async hinted(seq) {
    if (this.order.isBehind(seq)) await this.catchUp();
  }

  /** Ask on from the last number without a gap until nothing new comes. */
  async #drain() {
    for (;;) {
      const before = this.order.upTo;
      const { events } = await this.fetchAfter(before);
      const next = this.order.take(events);
      if (next.length > 0) this.show(next);
      if (this.order.upTo === before) return;
    }
  }
}
