import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../../telepsych/static/shared/backoff.js";
import { answerTo, Idle, WARN_BEFORE } from "../../telepsych/static/shared/idle.js";

const LIMIT = 15 * 60_000;

test("asks two minutes before the end, then locks", () => {
  const idle = new Idle({ limit: LIMIT, now: 0 });
  assert.equal(idle.at(LIMIT - WARN_BEFORE - 1), "wait");
  assert.equal(idle.at(LIMIT - WARN_BEFORE), "warn");
  assert.equal(idle.at(LIMIT), "lock");
});

test("somebody typing keeps the session by telling the server now and then", () => {
  const idle = new Idle({ limit: LIMIT, now: 0 });
  idle.active(30_000);
  assert.equal(idle.at(31_000), "wait");
  assert.equal(idle.at(61_000), "extend");
  idle.extended(61_000);
  assert.equal(idle.at(200_000), "wait");
  assert.equal(idle.at(61_000 + LIMIT - WARN_BEFORE), "warn");
});

test("a sign of life in another tab counts, an older one does not", () => {
  const idle = new Idle({ limit: LIMIT, now: 100_000 });
  idle.extended(50_000);
  assert.equal(idle.at(100_000 + LIMIT - WARN_BEFORE - 1), "wait");
  idle.extended(400_000);
  assert.equal(idle.at(100_000 + LIMIT), "wait");
});

test("a very short limit still leaves time to answer", () => {
  const idle = new Idle({ limit: 60_000, now: 0 });
  assert.equal(idle.at(29_000), "wait");
  assert.equal(idle.at(30_000), "warn");
  assert.equal(idle.at(60_000), "lock");
});

test("another tab's word: extended, one's own person back, somebody else, or nobody", () => {
  const open = { mine: "a", locked: false };
  const locked = { mine: "a", locked: true };
  assert.equal(answerTo({ extended: 1 }, open), "extended");
  assert.equal(answerTo({ extended: 1, owner: "a" }, open), "extended");
  assert.equal(answerTo({ extended: 1, owner: "a" }, locked), "again");
  for (const tab of [open, locked]) {
    assert.equal(answerTo({ extended: 1, owner: "b" }, tab), "wipe");
    assert.equal(answerTo({ left: true }, tab), "wipe");
  }
  assert.equal(answerTo({}, open), "");
});

test("waits longer each time, up to a limit, and never all at once", () => {
  const backoff = new Backoff({ first: 1_000, most: 5_000, random: () => 0.5 });
  assert.deepEqual([1, 2, 3, 4, 5].map(() => backoff.next()), [1_000, 2_000, 4_000, 5_000, 5_000]);
  backoff.reset();
  assert.equal(backoff.next(), 1_000);
  const early = new Backoff({ random: () => 0 });
  const late = new Backoff({ random: () => 1 });
  assert.ok(early.next() < late.next());
});
