/**
 * The visit room: binds the page to one Call.
 *
 * <section data-module="visits/room" data-config-url="…" [data-ended-url="…"] [data-words='{…}']>
 *   data-config-url   GET {visit, me, participants: [{id, name}], ice: {iceServers, iceTransportPolicy},
 *                     heartbeat_url, leave_url, direct_allowed}; asked again for names and before each ICE restart
 *   data-ended-url    where to go when the visit is over
 *   data-role=
 *     "status"        role="status": what is happening, one sentence
 *     "problem"       own camera, microphone or signalling trouble; hidden at first
 *     "direct"        note that media goes directly on this machine; hidden at first
 *     "tiles"         where the other people appear
 *     "tile"          <template> of one tile. Inside: "video" <video playsinline autoplay>, "name", and, hidden at
 *                     first, "person-state", "muted", "camera-off", "code" (six digits), button "retry".
 *                     The script sets data-person, data-state and data-quality on the tile.
 *     "self-video"    <video muted playsinline> for the own picture
 *     "self-off"      shown while the own camera is off
 *     "microphone" · "camera"   buttons; the script sets data-state on|off and the words in their "label"
 *     "leave" · "rejoin" · "sound"   buttons; rejoin and sound (tap to hear) hidden at first
 *     "quality"       the word Good, Fair, Weak or Lost of the worst connection; data-quality is set on it
 *     "figures"       the figures behind it, on demand
 *     "weak"          note offering "video-off" (button) and the telephone; hidden at first
 *     "dropped"       the dropped-call card with the agreed number; hidden at first
 *     "left"          what is shown after leaving; hidden at first, "stage" is hidden then
 *
 * Live, in: `visit:signal` {visit, from, payload} · `visit:news` {visit, state} · `presence` {visit, present: [id],
 * newcomer?: id} (`joined` is taken for `newcomer`) · `connect` after each (re)connection of the socket.
 * Live, out: `presence` {visit, here} · `visit:signal` {visit, to, payload}; both are acknowledged {ok, …}.
 * HTTP, out: heartbeat {mic, camera, people: [{id, state, word, step, figures}]} every 10 s; leave {}.
 */
import { live } from "../shared/live.js";
import { Call } from "./call.js";
import { STEPS } from "./quality.js";
import { ROOM_WORDS } from "./room_words.js";
import { Signalling } from "./signalling.js";
import { Tiles } from "./tiles.js";
import { getJson, postJson } from "./wire.js";
import { fill, mediaSentence, part, say, show, wordsOf } from "./words.js";

const OVER = ["ended", "summarised", "cancelled", "no-show"];
const STATES_WORST_FIRST = ["untrusted", "lost", "reconnecting", "connecting", "connected"];
const WORDS_WORST_FIRST = ["Lost", "Weak", "Fair", "Good"];

export default class VisitRoom {
  constructor(element) {
    this.element = element;
    this.words = wordsOf(element, ROOM_WORDS);
    this.people = new Map();
    this.names = new Map();
    this.tiles = new Tiles(element, this.words, (id) => this.names.get(id) ?? this.words.someone);
  }

  async connect() {
    try {
      await this.#open();
    } catch (error) {
      say(part(this.element, "problem"), error.detail ?? this.words.no_start);
      show(part(this.element, "rejoin"), true);
      this.#press("rejoin", () => window.location.reload());
    }
  }

  disconnect() {
    removeEventListener("pagehide", this.goAway);
    this.signalling?.close();
    this.call?.drop();
  }

  async #open() {
    const config = await this.#fetchConfig();
    this.visit = config.visit;
    this.signalling = new Signalling(live, config.visit);
    this.call = new Call({
      visit: config.visit,
      me: config.me,
      ice: config.ice,
      fetchIce: async () => (await this.#fetchConfig()).ice,
      signal: this.signalling,
      report: (figures) => postJson(config.heartbeat_url, figures).catch(() => undefined),
    });
    show(part(this.element, "direct"), config.direct_allowed && config.ice.iceTransportPolicy === "all");
    this.#listenToCall();
    this.#listenToLive();
    this.#bindButtons();
    addEventListener("pagehide", (this.goAway = () => this.disconnect()));
    await live.connect();
    await this.#enter();
  }

  async #fetchConfig() {
    this.config = await getJson(this.element.dataset.configUrl);
    for (const { id, name } of this.config.participants) this.names.set(id, name);
    return this.config;
  }

  /** Own camera first, so that whoever calls us gets a picture; then say that we are here. */
  async #enter() {
    say(part(this.element, "status"), this.words.joining);
    await this.call.join();
    await this.signalling.announce(true);
  }

  // What the call tells

  #listenToCall() {
    const on = (name, act) => this.call.addEventListener(name, ({ detail }) => act.call(this, detail));
    on("state", this.#showState);
    on("own", this.#showOwn);
    on("person", this.#showPerson);
    on("quality", this.#showQuality);
    on("advice", this.#advise);
    on("code", (detail) => this.tiles.showCode(detail));
    on("refused", () => say(part(this.element, "problem"), this.words.refused));
  }

  #showState({ state }) {
    const left = state === "left";
    show(part(this.element, "left"), left);
    show(part(this.element, "stage"), !left);
    show(part(this.element, "rejoin"), left);
    if (left) this.#clear();
    else this.#sayWhatHappens();
  }

  #clear() {
    this.people.clear();
    this.tiles.clear();
    for (const role of ["quality", "figures", "weak", "dropped", "sound"]) show(part(this.element, role), false);
    say(part(this.element, "status"), this.words.left);
  }

  #showOwn({ mic, camera, problem }) {
    this.#showButton("microphone", mic, mic ? this.words.mute : this.words.unmute);
    this.#showButton("camera", camera, camera ? this.words.stop_camera : this.words.start_camera);
    show(part(this.element, "self-off"), !camera);
    say(part(this.element, "problem"), mediaSentence(this.words, problem));
    const video = part(this.element, "self-video");
    if (!video) return;
    const track = this.call.local.video;
    video.srcObject = track ? new MediaStream([track]) : null;
    if (track) video.play().catch(() => undefined);
  }

  #showButton(role, on, label) {
    const button = part(this.element, role);
    if (!button) return;
    button.dataset.state = on ? "on" : "off";
    (part(button, "label") ?? button).textContent = label;
  }

  async #showPerson(person) {
    if (person.state === "gone") this.people.delete(person.id);
    else this.people.set(person.id, { ...this.people.get(person.id), ...person });
    this.#sayWhatHappens();
    const plays = await this.tiles.show(person);
    if (!plays) show(part(this.element, "sound"), true);
  }

  #sayWhatHappens() {
    const states = [...this.people.values()].map(({ state }) => state);
    const worst = STATES_WORST_FIRST.find((each) => states.includes(each));
    if (this.call.state === "joined") say(part(this.element, "status"), this.words[`status_${worst ?? "alone"}`]);
    show(part(this.element, "dropped"), worst === "lost" || worst === "untrusted");
    if (states.includes("connected")) this.#forgetRefusal();
    if (states.length === 0) say(part(this.element, "quality"), "");
  }

  /** Once somebody is connected, an earlier refusal of the relay no longer matters. */
  #forgetRefusal() {
    const problem = part(this.element, "problem");
    if (problem?.textContent === this.words.refused) say(problem, "");
  }

  #showQuality({ id, word, step, figures }) {
    this.tiles.showQuality({ id, word });
    this.people.set(id, { ...this.people.get(id), word, step, figures });
    const all = [...this.people.values()];
    const worst = WORDS_WORST_FIRST.find((each) => all.some((person) => person.word === each)) ?? word;
    const place = part(this.element, "quality");
    say(place, this.words[`quality_${worst.toLowerCase()}`]);
    if (place) place.dataset.quality = worst.toLowerCase();
    say(part(this.element, "figures"), this.#figuresOf(all.find((person) => person.word === worst)));
    const onlyTelephone = all.some((person) => person.step === "telephone");
    show(part(this.element, "weak"), onlyTelephone || ["Weak", "Lost"].includes(worst));
  }

  #figuresOf({ figures = {} } = {}) {
    const known = {
      delay: figures.rtt_ms ?? "–",
      loss: percent(figures.lost_in),
      repaired: percent(figures.concealed),
      frames: figures.fps == null ? "–" : Math.round(figures.fps),
    };
    return fill(this.words.figures, known);
  }

  /** Every step down or up the ladder is said aloud. */
  #advise({ id, step, before }) {
    const better = STEPS.indexOf(step) < STEPS.indexOf(before);
    const sentence = this.words[better ? `raised_${step}` : `lowered_${step}`];
    say(part(this.element, "status"), fill(sentence, { name: this.names.get(id) ?? this.words.someone }));
  }

  // What the server tells

  #listenToLive() {
    this.signalling.onSignal((from, payload) => this.call.onSignal(from, payload));
    this.signalling.onPresence((presence) => this.#takePresence(presence));
    this.signalling.onNews(({ state }) => OVER.includes(state) && this.#goToEnd());
    this.signalling.onReconnected(() => this.call.state === "joined" && this.signalling.announce(true));
  }

  async #takePresence(presence) {
    this.call.onPresence(presence);
    if (presence.present.every((id) => this.names.has(id))) return;
    await this.#fetchConfig().catch(() => undefined);
    for (const person of this.people.values()) this.tiles.show(person);
  }

  async #goToEnd() {
    await this.call.leave();
    const { endedUrl } = this.element.dataset;
    if (endedUrl) window.location.assign(endedUrl);
  }

  // Buttons

  #bindButtons() {
    this.#press("microphone", () => this.call.setMicrophone(!this.call.own.mic));
    this.#press("camera", () => this.call.setCamera(!this.call.own.camera));
    this.#press("video-off", () => this.call.setCamera(false));
    this.#press("leave", () => this.#leave());
    this.#press("rejoin", () => this.#rejoin());
    this.#press("sound", () => this.#playAll());
    part(this.element, "tiles").addEventListener("click", ({ target }) => {
      if (target.closest('[data-role="retry"]')) this.call.retry(target.closest("[data-person]").dataset.person);
    });
  }

  #press(role, act) {
    part(this.element, role)?.addEventListener("click", act);
  }

  async #leave() {
    await this.call.leave();
    this.signalling.announce(false);
    await postJson(this.config.leave_url, {}, { keepalive: true }).catch(() => undefined);
  }

  /** The server is asked again first: the visit may be over by now. */
  async #rejoin() {
    try {
      this.call.ice = (await this.#fetchConfig()).ice;
      await this.#enter();
    } catch (error) {
      say(part(this.element, "status"), error.detail ?? this.words.no_start);
    }
  }

  #playAll() {
    this.tiles.playAll();
    show(part(this.element, "sound"), false);
  }
}

function percent(share) {
  return share == null ? "–" : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
