import assert from "node:assert/strict";
import { test } from "node:test";
import { Order, Reader } from "../../telepsych/static/messaging/order.js";
import { uuid7 } from "../../telepsych/static/messaging/uuid7.js";

const event = (seq) => ({ seq });

test("events in any order, twice over, come out once and in order", () => {
  for (let run = 0; run < 200; run += 1) {
    const order = new Order(0);
    const all = Array.from({ length: 30 }, (_, place) => event(place + 1));
    const dealt = [...all, ...all].sort(() => Math.random() - 0.5);
    const seen = [];
    while (dealt.length > 0) seen.push(...order.take(dealt.splice(0, 1 + Math.floor(Math.random() * 4))));
    assert.deepEqual(seen.map(({ seq }) => seq), all.map(({ seq }) => seq));
  }
});

test("an early event is not shown, and asks for the gap before it", () => {
  const order = new Order(3);
  assert.deepEqual(order.take([event(6)]), []);
  assert.equal(order.upTo, 3);
  assert.ok(order.isBehind());
  assert.deepEqual(order.take([event(4), event(5)]).map(({ seq }) => seq), [4, 5, 6]);
  assert.ok(!order.isBehind(6));
  assert.ok(order.isBehind(7));
});

test("a hint during a request leads to one more request, and nothing is shown twice", async () => {
  const server = [event(1), event(2)];
  const shown = [];
  let asked = 0;
  const reader = new Reader({
    order: new Order(0),
    fetchAfter: async (after) => {
      asked += 1;
      const events = server.filter(({ seq }) => seq > after);
      if (asked === 1) {
        server.push(event(3));
        reader.hinted(3);
      }
      await Promise.resolve();
      return { events, up_to: server.length };
    },
    show: (events) => shown.push(...events.map(({ seq }) => seq)),
  });
  await reader.catchUp();
  assert.deepEqual(shown, [1, 2, 3]);
});

test("a failed request shows nothing, and the next one starts where the last good one ended", async () => {
  let fails = true;
  const asked = [];
  const reader = new Reader({
    order: new Order(4),
    fetchAfter: async (after) => {
      asked.push(after);
      if (fails) throw new Error("offline");
      return { events: after < 5 ? [event(5)] : [], up_to: 5 };
    },
    show: () => {},
  });
  await assert.rejects(reader.catchUp());
  fails = false;
  await reader.catchUp();
  assert.deepEqual(asked, [4, 4, 5]);
});

test("names are version 7 UUIDs, in the order of time", () => {
  const names = [0, 1, 1_800_000_000_000, 1_800_000_000_001].map((now) => uuid7({ now }));
  for (const name of names) assert.match(name, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual([...names].sort(), names);
});
