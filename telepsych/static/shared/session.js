/**
 * Keeps a page private when nobody is using it: asks two minutes before the server locks the session, then covers the
 * page. What was typed stays. Tabs tell each other, so that one in use keeps the others open, a tab that is locked opens
 * again when its person is back, and nothing of one person is left on the screen of the next. A visit or waiting room
 * counts as somebody being here.
 *
 * <dialog data-module="shared/session"> with parts data-role "title", "soon", "stay", "locked", "sign-in"
 */
import { answerTo, Idle } from "./idle.js";
import { postJson } from "./http.js";
import { settleSent } from "./sent.js";
import { erase, Store } from "./store.js";
import { word } from "./words.js";

const LOOK_EVERY = 5_000;
const SIGNS_OF_LIFE = ["keydown", "pointerdown", "wheel", "touchstart"];
const BUSY = '[data-module~="visits/room"], [data-module~="visits/waiting"], [data-stays-open]';

export default class Session {
  constructor(dialog) {
    this.dialog = dialog;
    this.idle = new Idle({ limit: Number(document.body.dataset.idleSeconds) * 1000, now: Date.now() });
    this.tabs = "BroadcastChannel" in window ? new BroadcastChannel("telepsych-session") : null;
  }

  connect() {
    for (const sign of SIGNS_OF_LIFE) addEventListener(sign, () => this.#here(), { capture: true, passive: true });
    this.#part("stay").addEventListener("click", () => this.#stay());
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (!this.locked) this.#stay();
    });
    this.tabs?.addEventListener("message", ({ data }) => this.#heard(data));
    this.tabs?.postMessage({ extended: Date.now(), owner: document.body.dataset.owner });
    addEventListener("pagehide", () => this.locked && this.#wipe());
    addEventListener("pageshow", (event) => event.persisted && window.location.reload());
    document.addEventListener("telepsych:locked", () => this.#lock());
    document.addEventListener("visibilitychange", () => this.#look());
    for (const form of document.querySelectorAll("form[data-sign-out]")) form.addEventListener("submit", () => this.#leaving());
    this.timer = setInterval(() => this.#look(), LOOK_EVERY);
    settleSent(new Store(document.body.dataset.owner));
  }

  #here() {
    if (!this.dialog.open) this.idle.active(Date.now());
  }

  #look() {
    if (this.locked) return;
    if (document.querySelector(BUSY)) this.idle.active(Date.now());
    const todo = this.idle.at(Date.now());
    if (todo === "lock") this.#lock();
    else if (todo === "extend") this.#extend();
    else if (todo === "warn") this.#ask();
    else if (this.dialog.open) this.dialog.close();
  }

  #ask() {
    if (!this.dialog.open) this.dialog.showModal();
  }

  async #stay() {
    if (await this.#extend()) this.dialog.close();
  }

  async #extend() {
    if (this.extending) return false;
    this.extending = true;
    try {
      await postJson("/api/session/extend");
      this.idle.extended(Date.now());
      this.tabs?.postMessage({ extended: Date.now() });
      return true;
    } catch (error) {
      if (error.status === 401) this.#lock();
      return false;
    } finally {
      this.extending = false;
    }
  }

  #heard(said) {
    const todo = answerTo(said, { mine: document.body.dataset.owner, locked: this.locked });
    if (todo === "wipe") this.#giveWay();
    if (todo === "again") window.location.reload();
    if (todo !== "extended") return;
    this.idle.extended(said.extended);
    if (this.dialog.open && !this.locked) this.dialog.close();
  }

  /** Nothing of this person is left to see or to go back to; whoever is here now starts at their own first page. */
  #giveWay() {
    this.#wipe();
    window.location.replace("/");
  }

  #wipe() {
    document.body.replaceChildren();
    document.title = "";
  }

  #lock() {
    this.locked = true;
    document.body.dataset.locked = "";
    this.#part("title").textContent = word("locked_title");
    for (const name of ["soon", "stay"]) this.#part(name).hidden = true;
    for (const name of ["locked", "sign-in"]) this.#part(name).hidden = false;
    this.#part("sign-in").href = `/sign-in?next=${encodeURIComponent(window.location.pathname + window.location.search)}`;
    this.#ask();
  }

  #leaving() {
    this.tabs?.postMessage({ left: true });
    erase();
  }

  #part(name) {
    return this.dialog.querySelector(`[data-role="${name}"]`);
  }
}
