/**
 * The thinking behind the lock: when to ask whether somebody is still there, and when to lock. Pure; times are in
 * milliseconds. The server decides; this only knows its rule: `limit` after its last sign of life.
 */
export const WARN_BEFORE = 120_000;
const EXTEND_EVERY = 60_000;

export class Idle {
  constructor({ limit, now }) {
    this.limit = limit;
    this.seen = now;
    this.touched = now;
  }

  /** The server had a sign of life, from this tab or another. */
  extended(at) {
    this.seen = Math.max(this.seen, at);
  }

  /** The person moved, typed or spoke. */
  active(at) {
    this.touched = at;
  }

  /** What to do at a moment: "lock", "warn", "extend" (somebody is here, and the server should know), or "wait". */
  at(now) {
    const left = this.seen + this.limit - now;
    if (left <= 0) return "lock";
    if (this.touched > this.seen && now - this.seen >= Math.min(EXTEND_EVERY, this.limit / 4)) return "extend";
    return left <= Math.min(WARN_BEFORE, this.limit / 2) ? "warn" : "wait";
  }
}

/**
 * What a tab does when another tab of this browser speaks: "wipe" (somebody else is signed in here now, or nobody is),
 * "again" (its own person is back, and this tab is still locked), "extended", or nothing.
 */
export function answerTo({ left, extended, owner }, { mine, locked }) {
  if (left) return "wipe";
  if (owner && mine && owner !== mine) return "wipe";
  if (owner && locked) return "again";
  return extended ? "extended" : "";
}
