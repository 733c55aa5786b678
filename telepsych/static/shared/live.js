/**
 * The live connection: hints that something is worth looking at again, never content. One per page, made when a module
 * asks for it. WebSocket only; a one-time ticket is fetched anew for every attempt to connect.
 *
 *   live.connect()            begin; does nothing when begun
 *   live.on(event, listener)  answers a function that stops listening. "connect" is told after every (re)connection,
 *                             "disconnect" when the line is lost
 *   live.emit(event, data)    resolves to the server's answer, `{ok: false, error: "no-answer"}` when none comes
 */
import { io } from "socket.io-client";
import { Backoff } from "./backoff.js";
import { getJson } from "./http.js";
import { leave, lock } from "./leaving.js";

const ANSWER_WITHIN = 8_000;

export class Live {
  constructor({ connectTo = io, fetchTicket = () => getJson("/api/live-ticket", { background: true }), onSignedOut = signedOut } = {}) {
    Object.assign(this, { connectTo, fetchTicket, onSignedOut });
    this.listeners = new Map();
    this.backoff = new Backoff();
  }

  on(event, listener) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event).add(listener);
    return () => this.listeners.get(event).delete(listener);
  }

  get isConnected() {
    return Boolean(this.socket?.connected);
  }

  async emit(event, data = {}) {
    if (!this.socket) return { ok: false, error: "not-connected" };
    try {
      return await this.socket.timeout(ANSWER_WITHIN).emitWithAck(event, data);
    } catch {
      return { ok: false, error: "no-answer" };
    }
  }

  async connect() {
    if (this.begun) return;
    this.begun = true;
    await this.#open();
  }

  /** End the connection for good. */
  close() {
    this.begun = false;
    this.over = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  async #open() {
    const first = await this.#ticket();
    if (!first) return;
    this.socket = this.connectTo(first.url, {
      transports: ["websocket"],
      withCredentials: true,
      reconnectionDelay: 500,
      reconnectionDelayMax: 10_000,
      auth: (give) => this.#giveTicket(give, first),
    });
    this.socket.on("connect", () => {
      this.backoff.reset();
      this.#tell("connect", {});
    });
    this.socket.on("connect_error", () => this.#comeBack());
    this.socket.on("disconnect", (reason) => {
      this.#tell("disconnect", { reason });
      if (reason === "io server disconnect") this.#comeBack();
    });
    this.socket.on("signed-out", (news) => this.#end(news));
    this.socket.onAny((event, data) => event !== "signed-out" && this.#tell(event, data ?? {}));
  }

  /** The ticket that came with the address serves the first attempt; every later attempt fetches its own. */
  async #giveTicket(give, first) {
    const ticket = first.used ? await this.#ticket() : first;
    first.used = true;
    if (ticket) give({ ticket: ticket.ticket });
    else this.socket.disconnect();
  }

  async #ticket() {
    try {
      return await this.fetchTicket();
    } catch (error) {
      if (error.status === 401) this.#end({ locked: Boolean(error.problem?.locked) });
      else this.#later(() => (this.socket ? this.socket.connect() : this.#open()));
      return null;
    }
  }

  /** After a refusal the library does not try again by itself. */
  #comeBack() {
    if (!this.over && this.socket && !this.socket.active) this.#later(() => this.socket.connect());
  }

  #later(act) {
    if (this.over) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(act, this.backoff.next());
  }

  #end(news) {
    this.close();
    this.#tell("signed-out", news ?? {});
    this.onSignedOut(news ?? {});
  }

  #tell(event, data) {
    for (const listener of this.listeners.get(event) ?? []) listener(data);
  }
}

function signedOut({ locked }) {
  if (locked) lock();
  else leave();
}

export const live = new Live();
