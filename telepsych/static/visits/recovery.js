/**
 * When to restart ICE and when to stop trying, for one connection. Pure: it is told what happens and what time it is.
 *
 * It follows `connectionState`, because `iceConnectionState` may stay "disconnected" for good after a relay died.
 * The polite side waits a little longer each time, so that the two sides rarely restart at the same moment.
 * All times are milliseconds on one clock.
 */
export const GIVE_UP_AFTER = 75_000;

const FIRST_CONNECTION = 8_000;
const DISCONNECTED = 2_500;
const BETWEEN_RESTARTS = 6_000;
const LONGEST_BETWEEN = 10_000;
const POLITE_WAITS = 1_500;

export class Recovery {
  constructor({ polite, now, giveUpAfter = GIVE_UP_AFTER }) {
    this.patience = polite ? POLITE_WAITS : 0;
    this.giveUpAfter = giveUpAfter;
    this.state = "new";
    this.stateSince = now;
    this.troubleSince = now;
    this.restarts = 0;
    this.restartedAt = null;
    this.hurried = false;
  }

  /** The connection's state is now this one. */
  see(state, now) {
    if (state === this.state) return;
    this.state = state;
    this.stateSince = now;
    if (state === "connected") this.#settle();
    else this.troubleSince ??= now;
  }

  /** Something outside got better, such as the network: the next restart is due at once. */
  hurry() {
    this.hurried = this.troubleSince !== null;
  }

  /** What to do now: "wait", "restart" (counted as done) or "lost". */
  due(now) {
    if (this.troubleSince === null) return "wait";
    if (now - this.troubleSince >= this.giveUpAfter) return "lost";
    if (!this.hurried && now < this.#nextRestart()) return "wait";
    this.hurried = false;
    this.restarts += 1;
    this.restartedAt = now;
    return "restart";
  }

  /** Restarts in this trouble that had their time and did not help. */
  failures(now) {
    if (this.restarts === 0) return 0;
    return now < this.restartedAt + this.#spacing() ? this.restarts - 1 : this.restarts;
  }

  #settle() {
    this.troubleSince = null;
    this.restarts = 0;
    this.restartedAt = null;
    this.hurried = false;
  }

  #spacing() {
    return Math.min(BETWEEN_RESTARTS + 1_000 * (this.restarts - 1), LONGEST_BETWEEN) + this.patience;
  }

  #nextRestart() {
    if (this.restarts > 0) return this.restartedAt + this.#spacing();
    if (this.state === "failed") return this.stateSince + this.patience;
    if (this.state === "disconnected") return this.stateSince + DISCONNECTED + this.patience;
    return this.stateSince + FIRST_CONNECTION + this.patience;
  }
}
