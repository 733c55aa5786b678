/**
 * One conversation: sends letters without leaving the page, and shows what is new as it comes.
 *
 * <div data-module="messaging/conversation" data-conversation data-up-to data-read-by-team data-words> with parts
 * data-role "letters", "composer" (a form with `body` and `client_id`), "help", "promise" and the template "letter".
 * The form is an ordinary one: where this module does not run, it is posted to the same service.
 */
import { Backoff } from "../shared/backoff.js";
import { Failed, getJson, postJson, putJson } from "../shared/http.js";
import { live } from "../shared/live.js";
import { lock } from "../shared/leaving.js";
import { Store } from "../shared/store.js";
import { Order, Reader } from "./order.js";
import { Outbox } from "./outbox.js";
import { uuid7 } from "./uuid7.js";

const LOOK_EVERY = 30_000;

export default class Conversation {
  constructor(element) {
    this.element = element;
    this.id = element.dataset.conversation;
    this.url = `/api/conversations/${this.id}`;
    this.words = JSON.parse(element.dataset.words);
    this.readByTeam = Number(element.dataset.readByTeam);
    this.letters = this.#part("letters");
    this.form = this.#part("composer");
    this.order = new Order(Number(element.dataset.upTo));
    this.reader = new Reader({
      order: this.order,
      fetchAfter: (seq) => getJson(`${this.url}/sync?after=${seq}`, { background: true }),
      show: (events) => this.#show(events),
    });
    this.outbox = new Outbox({
      name: `outbox:${this.id}`,
      send: (letter) => putJson(`${this.url}/messages/${letter.clientId}`, { body: letter.body }),
      store: new Store(document.body.dataset.owner),
      backoff: new Backoff({ first: 1_000, most: 30_000 }),
      onChange: (letter, state, answer) => this.#changed(letter, state, answer),
    });
    this.listening = new AbortController();
  }

  async connect() {
    const { signal } = this.listening;
    this.form?.addEventListener("submit", (event) => this.#submit(event), { signal, capture: true });
    addEventListener("online", () => this.#back(), { signal });
    addEventListener("focus", () => this.#back(), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#back(), { signal });
    this.off = [
      live.on("conversation:news", ({ conversation, seq }) => conversation === this.id && this.#catchUp(seq)),
      live.on("connect", () => this.#back()),
    ];
    this.timer = setInterval(() => document.visibilityState === "visible" && this.#catchUp(), LOOK_EVERY);
    live.connect();
    await this.outbox.open();
    await this.#catchUp();
  }

  disconnect() {
    this.listening.abort();
    clearInterval(this.timer);
    for (const stop of this.off ?? []) stop();
  }

  #back() {
    this.outbox.flush();
    return this.#catchUp();
  }

  async #catchUp(seq) {
    try {
      await (seq === undefined ? this.reader.catchUp() : this.reader.hinted(seq));
      this.#noteRead();
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      if (error.status === 401 && error.problem.locked) lock();
    }
  }

  /** Before other listeners hear of it: neither the draft nor the once-only guard is to think that the page leaves. */
  async #submit(event) {
    const body = this.form.elements.body.value.trim();
    if (!body) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const letter = { clientId: uuid7(), body, at: Date.now() };
    if (await this.outbox.add(letter)) this.#emptyComposer();
    else this.inComposer = letter.clientId;
  }

  #emptyComposer() {
    this.form.reset();
    this.form.elements.body.value = "";
    this.form.dispatchEvent(new CustomEvent("draft:sent"));
    this.form.elements.body.focus();
  }

  #changed(letter, state, answer) {
    const shown = this.#waiting(letter);
    shown.dataset.state = state === "delivered" ? "" : state === "refused" ? "failed" : "local";
    this.#say(shown, this.#words(state));
    if (state === "locked" && answer?.problem?.locked) lock();
    if (state === "delivered") this.#delivered(letter, shown, answer);
    if (state === "refused") this.#refused(letter, shown, answer);
  }

  #words(state) {
    if (state === "saved" && !this.outbox.isKept) return this.words.unkept;
    return this.words[state];
  }

  #delivered(letter, shown, answer) {
    shown.dataset.seq = answer.seq;
    this.#place(shown);
    if (this.inComposer === letter.clientId && this.form.elements.body.value.trim() === letter.body) this.#emptyComposer();
    if (answer.help) this.#help(answer.help);
    this.#catchUp(answer.seq);
  }

  /** The server will not take it as it is: the words go back to where they can be changed. */
  #refused(letter, shown, error) {
    const { body } = this.form.elements;
    if (!body.value.includes(letter.body)) body.value = [body.value, letter.body].filter(Boolean).join("\n\n");
    body.dispatchEvent(new Event("input", { bubbles: true }));
    this.#say(shown, error.problem?.fields?.body ?? error.detail ?? this.words.refused);
  }

  #show(events) {
    for (const event of events) {
      if (event.type === "message") this.#message(event);
      else if (event.type === "receipt" && event.side === "team") this.readByTeam = Math.max(this.readByTeam, event.up_to);
    }
    this.#standings();
  }

  #message(event) {
    const shown = this.#find(event) ?? this.#letter();
    shown.dataset.seq = event.seq;
    shown.dataset.state = "";
    if (event.client_id) shown.dataset.clientId = event.client_id;
    this.#fill(shown, { by: event.by, when: event.when, body: event.body, mine: event.mine });
    this.#place(shown);
  }

  #find({ seq, client_id: clientId }) {
    const mine = clientId && this.letters.querySelector(`[data-client-id="${CSS.escape(clientId)}"]`);
    return mine || this.letters.querySelector(`[data-seq="${Number(seq)}"]`);
  }

  #waiting(letter) {
    const known = this.letters.querySelector(`[data-client-id="${CSS.escape(letter.clientId)}"]`);
    if (known) return known;
    const shown = this.#letter();
    shown.dataset.clientId = letter.clientId;
    const when = new Date(letter.at).toLocaleTimeString(document.documentElement.lang || "en", { hour: "numeric", minute: "2-digit" });
    this.#fill(shown, { by: this.words.you, when, body: letter.body, mine: true });
    this.letters.append(shown);
    return shown;
  }

  #letter() {
    return this.element.querySelector('template[data-role="letter"]').content.firstElementChild.cloneNode(true);
  }

  #fill(shown, { by, when, body, mine }) {
    shown.classList.toggle("letter--mine", Boolean(mine));
    shown.querySelector(".letter__author").textContent = by;
    shown.querySelector(".letter__when").textContent = when;
    shown.querySelector(".letter__body").textContent = body;
  }

  /** Where its number belongs; what has none yet stays at the end. */
  #place(shown) {
    const seq = Number(shown.dataset.seq);
    const after = [...this.letters.querySelectorAll(".letter")].find(
      (other) => other !== shown && (!other.dataset.seq || Number(other.dataset.seq) > seq),
    );
    if (after) after.before(shown);
    else this.letters.append(shown);
  }

  /** Delivered or read, under each of one's own letters that has a number. */
  #standings() {
    for (const shown of this.letters.querySelectorAll(".letter--mine[data-seq]")) {
      this.#say(shown, Number(shown.dataset.seq) <= this.readByTeam ? this.words.read : this.words.delivered);
    }
  }

  #say(shown, sentence) {
    const place = shown.querySelector('[data-role="status"]');
    if (place && place.textContent !== sentence) place.textContent = sentence;
  }

  #help(card) {
    const place = this.#part("help");
    place.replaceChildren(
      text("h2", card.heading),
      ...card.words.map((sentence) => text("p", sentence)),
      lines(card.lines),
    );
    place.hidden = false;
    place.scrollIntoView({ block: "start" });
  }

  #noteRead() {
    const newest = Math.max(0, ...[...this.letters.querySelectorAll(".letter[data-seq]:not(.letter--mine)")].map((one) => Number(one.dataset.seq)));
    if (document.visibilityState !== "visible" || newest <= (this.noted ?? Number(this.element.dataset.upTo))) return;
    this.noted = newest;
    postJson(`${this.url}/read`, { seq: newest }, { background: true }).catch(() => (this.noted = 0));
  }

  #part(role) {
    return this.element.querySelector(`[data-role="${role}"]`);
  }
}

function text(tag, words, className = "") {
  const made = document.createElement(tag);
  made.textContent = words;
  if (className) made.className = className;
  return made;
}

function lines(all) {
  const list = text("ul", "", "help-lines");
  for (const line of all) {
    const link = text("a", "", "help-line");
    link.href = line.href;
    link.append(text("span", line.label, "help-line__label"), text("span", [line.hours, line.note].filter(Boolean).join(". "), "help-line__note"));
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  return list;
}
