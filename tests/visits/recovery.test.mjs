import assert from "node:assert/strict";
import { test } from "node:test";
import { GIVE_UP_AFTER, Recovery } from "../../telepsych/static/visits/recovery.js";

/** What happens in half-second steps after the states given as {at: state}: [[seconds, what], …] without waiting. */
function run(recovery, states, until) {
  const happened = [];
  for (let now = 0; now <= until * 1000; now += 500) {
    if (states[now / 1000]) recovery.see(states[now / 1000], now);
    const due = recovery.due(now);
    if (due !== "wait") happened.push([now / 1000, due]);
    if (due === "lost") break;
  }
  return happened;
}

const made = (polite = false) => new Recovery({ polite, now: 0 });
const restarts = (happened) => happened.filter(([, what]) => what === "restart").map(([at]) => at);

test("a connection that holds is left alone", () => {
  assert.deepEqual(run(made(), { 1: "connecting", 2: "connected" }, 300), []);
});

test("a short interruption mends itself", () => {
  assert.deepEqual(run(made(), { 1: "connected", 10: "disconnected", 12: "connected" }, 60), []);
});

test("disconnected restarts after 2.5 s, the polite side after 4", () => {
  const states = { 1: "connected", 10: "disconnected" };
  assert.equal(restarts(run(made(false), states, 20))[0], 12.5);
  assert.equal(restarts(run(made(true), states, 20))[0], 14);
});

test("failed restarts at once", () => {
  assert.equal(restarts(run(made(), { 1: "connected", 10: "failed" }, 20))[0], 10);
});

test("it tries again and again for at least 60 s, and then says so", () => {
  const happened = run(made(), { 1: "connected", 10: "failed" }, 300);
  const [at, what] = happened.at(-1);
  assert.equal(what, "lost");
  assert.ok(at - 10 >= 60);
  assert.equal(at - 10, GIVE_UP_AFTER / 1000);
  assert.ok(restarts(happened).length >= 7);
  const gaps = restarts(happened).map((each, index, all) => (index ? each - all[index - 1] : 6));
  assert.ok(gaps.every((gap) => gap >= 6 && gap <= 10), String(gaps));
});

test("moving between states does not start the clock again", () => {
  const states = { 1: "connected", 10: "disconnected", 15: "failed", 16: "connecting", 30: "failed", 60: "connecting" };
  assert.equal(run(made(), states, 300).at(-1)[0], 85);
});

test("a first connection that does not come about is tried again, and given up too", () => {
  const happened = run(made(), {}, 300);
  assert.equal(restarts(happened)[0], 8);
  assert.deepEqual(happened.at(-1), [75, "lost"]);
});

test("each trouble has its own time", () => {
  const states = { 1: "connected", 10: "failed", 60: "connected", 70: "failed" };
  assert.equal(run(made(), states, 300).at(-1)[0], 145);
});

test("a network that comes back is used at once", () => {
  const recovery = made();
  run(recovery, { 1: "connected", 10: "failed" }, 11);
  recovery.hurry();
  assert.equal(recovery.due(11_500), "restart");
  assert.equal(recovery.due(12_000), "wait");
});

test("nothing is hurried while all is well", () => {
  const recovery = made();
  run(recovery, { 1: "connected" }, 2);
  recovery.hurry();
  assert.equal(recovery.due(2_500), "wait");
});

test("a restart counts as failed once it had its time, and all are forgotten when the line is back", () => {
  const recovery = made();
  run(recovery, { 1: "connected", 10: "failed" }, 15.5);
  assert.equal(recovery.failures(15_500), 0);
  assert.equal(recovery.failures(16_000), 1);
  recovery.due(16_000);
  assert.equal(recovery.failures(16_500), 1);
  recovery.see("connected", 17_000);
  assert.equal(recovery.failures(30_000), 0);
});
