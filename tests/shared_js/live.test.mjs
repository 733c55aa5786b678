import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Live } from "../../telepsych/static/shared/live.js";

/** A socket as the library's, without a line: the test says what happens on it. */
class Socket {
  constructor(options) {
    this.options = options;
    this.handlers = new Map();
    this.active = true;
    this.connects = 0;
    this.closed = false;
  }

  on(event, act) {
    this.handlers.set(event, act);
  }

  onAny(act) {
    this.any = act;
  }

  connect() {
    this.connects += 1;
  }

  disconnect() {
    this.active = false;
  }

  close() {
    this.closed = true;
  }

  timeout() {
    return { emitWithAck: async (event, data) => this.answer(event, data) };
  }

  /** What the library asks for when an attempt has reached the server. */
  ticket() {
    return new Promise((resolve) => this.options.auth(resolve));
  }
}

function made({ fail } = {}) {
  const tickets = [];
  const signedOut = [];
  let socket;
  const live = new Live({
    connectTo: (url, options) => (socket = new Socket({ url, ...options })),
    fetchTicket: async () => {
      if (fail?.now) throw Object.assign(new Error(), fail.now);
      tickets.push(tickets.length + 1);
      return { ticket: `ticket-${tickets.length}`, url: "http://127.0.0.1:1" };
    },
    onSignedOut: (news) => signedOut.push(news),
  });
  return { live, tickets, signedOut, socket: () => socket };
}

test("every attempt shows a ticket of its own", async () => {
  const { live, socket } = made();
  await live.connect();
  await live.connect();
  assert.deepEqual(socket().options.transports, ["websocket"]);
  assert.deepEqual(await socket().ticket(), { ticket: "ticket-1" });
  assert.deepEqual(await socket().ticket(), { ticket: "ticket-2" });
  assert.deepEqual(await socket().ticket(), { ticket: "ticket-3" });
});

test("listeners hear every connection and the server's news, until they stop", async () => {
  const { live, socket } = made();
  const heard = [];
  const stop = live.on("queue:news", (data) => heard.push(data));
  live.on("connect", () => heard.push("connect"));
  await live.connect();
  socket().handlers.get("connect")();
  socket().any("queue:news", { a: 1 });
  stop();
  socket().any("queue:news", { a: 2 });
  socket().handlers.get("connect")();
  assert.deepEqual(heard, ["connect", { a: 1 }, "connect"]);
});

test("an answer comes back, and silence is an answer too", async () => {
  const { live, socket } = made();
  assert.deepEqual(await live.emit("presence", {}), { ok: false, error: "not-connected" });
  await live.connect();
  socket().answer = (event, data) => ({ ok: true, event, data });
  assert.deepEqual(await live.emit("presence", { here: true }), { ok: true, event: "presence", data: { here: true } });
  socket().answer = () => {
    throw new Error("timeout");
  };
  assert.deepEqual(await live.emit("presence", {}), { ok: false, error: "no-answer" });
});

test("a refusal is tried again after a while", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { live, socket } = made();
  await live.connect();
  socket().active = false;
  socket().handlers.get("connect_error")(new Error("refused"));
  assert.equal(socket().connects, 0);
  mock.timers.tick(60_000);
  assert.equal(socket().connects, 1);
  mock.timers.reset();
});

test("a server that cannot be reached at first is tried again", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const fail = { now: { status: 0 } };
  const { live, socket } = made({ fail });
  await live.connect();
  assert.equal(socket(), undefined);
  fail.now = null;
  mock.timers.tick(60_000);
  await new Promise(setImmediate);
  assert.ok(socket());
  mock.timers.reset();
});

test("signing out ends the line for good", async () => {
  const { live, socket, signedOut } = made();
  await live.connect();
  socket().handlers.get("signed-out")({ locked: false });
  assert.ok(socket().closed);
  assert.deepEqual(signedOut, [{ locked: false }]);
  socket().active = false;
  socket().handlers.get("disconnect")("io server disconnect");
  assert.equal(socket().connects, 0);
});

test("a session that is over gives no ticket, and the page is told", async () => {
  const { live, signedOut } = made({ fail: { now: { status: 401, problem: { locked: true } } } });
  await live.connect();
  assert.deepEqual(signedOut, [{ locked: true }]);
});
