import assert from "node:assert/strict";
import { test } from "node:test";
import { Saver } from "../../telepsych/static/shared/saving.js";

/** A server that answers as told, one entry a request: a status that fails, or null for success. */
function server(...answers) {
  const taken = [];
  const send = async (value) => {
    const status = answers.shift() ?? null;
    if (status !== null) throw Object.assign(new Error("no"), { status });
    taken.push(value);
    return { saved: true };
  };
  return { taken, send };
}

function saver(send, pause = async () => {}) {
  const states = [];
  return { states, it: new Saver(send, (state) => states.push(state), { pause }) };
}

test("a value is saved and said so", async () => {
  const { taken, send } = server();
  const { states, it } = saver(send);
  it.put("several_days");
  assert.equal(await it.settled(), true);
  assert.deepEqual(taken, ["several_days"]);
  assert.deepEqual(states, ["saving", "saved"]);
  assert.equal(it.isWaiting, false);
});

test("without an answer from the server it is kept and sent again until it is taken", async () => {
  const { taken, send } = server(0, 503, 0);
  const { states, it } = saver(send);
  it.put("several_days");
  assert.equal(await it.settled(), true);
  assert.deepEqual(taken, ["several_days"]);
  assert.equal(states.filter((state) => state === "waiting").length, 3);
});

test("while one waits, the newest value wins and arrives last", async () => {
  const { taken, send } = server(0);
  const { it } = saver(send, () => new Promise(() => {}));
  it.put("several_days");
  await new Promise((done) => setImmediate(done));
  it.put("not_at_all");
  assert.equal(await it.settled(), true);
  assert.deepEqual(taken, ["not_at_all"]);
});

test("a value chosen while another is on its way is sent after it", async () => {
  const taken = [];
  let answer;
  const { it } = saver((value) => {
    taken.push(value);
    return value === "first" ? new Promise((done) => (answer = done)) : Promise.resolve({});
  });
  it.put("first");
  it.put("second");
  answer({});
  await it.settled();
  assert.deepEqual(taken, ["first", "second"]);
});

test("a refused value is not sent again, and the page is not told that it was saved", async () => {
  const { taken, send } = server(422);
  const { states, it } = saver(send);
  it.put("often");
  assert.equal(await it.settled(), false);
  assert.deepEqual(taken, []);
  assert.deepEqual(states, ["saving", "failed"]);
});

test("signed out for being away, it waits rather than gives up", async () => {
  const { taken, send } = server(401, 401);
  const { it } = saver(send);
  it.put("several_days");
  assert.equal(await it.settled(), true);
  assert.deepEqual(taken, ["several_days"]);
});

test("the connection coming back ends the pause", async () => {
  const { taken, send } = server(0);
  const { it } = saver(send, () => new Promise(() => {}));
  it.put("several_days");
  await new Promise((done) => setImmediate(done));
  it.hurry();
  await it.settled();
  assert.deepEqual(taken, ["several_days"]);
});
