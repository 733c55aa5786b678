import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../../telepsych/static/messaging/outbox.js";
import { Backoff } from "../../telepsych/static/shared/backoff.js";

class Memory {
  isUsable = true;
  kept = new Map();
  async get(name) {
    return this.kept.get(name) ?? null;
  }
  async put(name, value) {
    this.kept.set(name, structuredClone(value));
  }
  async drop(name) {
    this.kept.delete(name);
  }
}

const failure = (status) => Object.assign(new Error(`status ${status}`), { status });

function made({ send, store = new Memory() }) {
  const told = [];
  const later = [];
  const outbox = new Outbox({
    name: "outbox:1",
    send,
    store,
    backoff: new Backoff({ first: 1_000, most: 30_000 }),
    onChange: (letter, state) => told.push(`${letter.clientId} ${state}`),
    later: (act, pause) => later.push({ act, pause }),
  });
  return { outbox, told, later, store };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

async function retryUntilQuiet({ later }) {
  while (later.length > 0) {
    await later.shift().act();
    await settled();
  }
}

test("a letter is sent under the same name until the server answers", async () => {
  const names = [];
  const answers = [failure(0), failure(503), failure(500), failure(429)];
  const box = made({
    send: async ({ clientId }) => {
      names.push(clientId);
      if (answers.length > 0) throw answers.shift();
      return { seq: 1 };
    },
  });
  await box.outbox.add({ clientId: "a", body: "Hello" });
  await settled();
  assert.equal(box.store.kept.get("outbox:1").letters[0].body, "Hello");
  await retryUntilQuiet(box);
  assert.deepEqual(names, ["a", "a", "a", "a", "a"]);
  assert.equal(box.told.at(-1), "a delivered");
  assert.equal(box.store.kept.size, 0);
});

test("pauses grow, differ, and never end", async () => {
  const pauses = [];
  const box = made({ send: async () => Promise.reject(failure(0)) });
  await box.outbox.add({ clientId: "a", body: "Hello" });
  for (let round = 0; round < 12; round += 1) {
    await settled();
    const { act, pause } = box.later.shift();
    pauses.push(pause);
    act();
  }
  assert.ok(pauses[0] >= 750 && pauses[0] <= 1_250);
  assert.ok(pauses.at(-1) >= 22_500 && pauses.at(-1) <= 37_500);
});

test("a page that comes later takes up what was left, with the same names and in order", async () => {
  const store = new Memory();
  const before = made({ send: async () => Promise.reject(failure(0)), store });
  for (const clientId of ["a", "b"]) await before.outbox.add({ clientId, body: clientId });
  const sent = [];
  const after = made({ send: async ({ clientId }) => sent.push(clientId), store });
  await after.outbox.open();
  await settled();
  assert.deepEqual(sent, ["a", "b"]);
  assert.equal(store.kept.size, 0);
});

test("what the server will never take is given back, and the next letter goes on", async () => {
  const box = made({ send: async ({ clientId }) => (clientId === "a" ? Promise.reject(failure(422)) : { seq: 1 }) });
  await box.outbox.add({ clientId: "a", body: "x" });
  await box.outbox.add({ clientId: "b", body: "y" });
  await settled();
  assert.deepEqual(box.told.filter((line) => !line.endsWith("saved")), ["a refused", "b delivered"]);
});

test("signed out, it waits and says so", async () => {
  const box = made({ send: async () => Promise.reject(failure(401)) });
  await box.outbox.add({ clientId: "a", body: "x" });
  await settled();
  assert.equal(box.told.at(-1), "a locked");
  assert.equal(box.store.kept.get("outbox:1").letters.length, 1);
});

test("without a store it says that the page must stay open", async () => {
  const box = made({ send: async () => Promise.reject(failure(0)), store: { isUsable: false } });
  assert.equal(await box.outbox.add({ clientId: "a", body: "x" }), false);
  assert.equal(box.outbox.isKept, false);
});
