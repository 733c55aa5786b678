/**
 * The waiting room: own picture, microphone level, and a look every 10 s whether the visit has begun.
 *
 * <section data-module="visits/waiting" data-visit="…" data-state-url="…" data-room="…" [data-words='{…}']>
 *   data-state-url   answers {state, sentence} to a GET
 *   data-room        the visit room, gone to once the state is admitted or reconnecting
 *   data-role="video" · "level"     as in devicetest.js
 *   data-role="status"              role="status": the server's sentence
 *   data-role="problem"             what is wrong with camera, microphone or connection; hidden at first
 *   data-role="phone"               how to go on by phone; always shown
 *
 * Live news (`visit:news`) only makes it look sooner; without a live connection it works just the same.
 */
import { live } from "../shared/live.js";
import { LevelMeter, openMedia } from "./media.js";
import { MEDIA_WORDS, mediaSentence, part, say, wordsOf } from "./words.js";
import { getJson } from "./wire.js";

const WORDS = {
  ...MEDIA_WORDS,
  offline: "Your connection is interrupted. You keep your place, and we keep trying.",
};
const LOOK_EVERY = 10_000;
const ADMITTED = ["admitted", "reconnecting"];
const OVER = ["ended", "summarised", "cancelled", "no-show"];
const MISSES_BEFORE_SAYING = 2;

export default class WaitingRoom {
  constructor(element) {
    this.element = element;
    this.words = wordsOf(element, WORDS);
    this.misses = 0;
  }

  connect() {
    this.timer = setInterval(() => this.look(), LOOK_EVERY);
    this.lookSoon = () => this.look();
    addEventListener("online", this.lookSoon);
    document.addEventListener("visibilitychange", this.lookSoon);
    live.on("visit:news", ({ visit }) => visit === this.element.dataset.visit && this.look());
    live.connect();
    this.look();
    return this.#showOwn();
  }

  disconnect() {
    clearInterval(this.timer);
    removeEventListener("online", this.lookSoon);
    document.removeEventListener("visibilitychange", this.lookSoon);
    this.meter?.disconnect();
    for (const track of this.tracks ?? []) track.stop();
    this.gone = true;
  }

  /** Ask how the visit stands, and go where that leads. */
  async look() {
    if (this.gone) return;
    try {
      this.#take(await getJson(this.element.dataset.stateUrl));
      this.misses = 0;
    } catch {
      this.misses += 1;
    }
    this.#sayProblem();
  }

  #take({ state, sentence }) {
    if (this.gone) return;
    say(part(this.element, "status"), sentence);
    if (OVER.includes(state)) this.disconnect();
    if (!ADMITTED.includes(state)) return;
    this.disconnect();
    window.location.assign(this.element.dataset.room);
  }

  #sayProblem() {
    const offline = this.misses >= MISSES_BEFORE_SAYING ? this.words.offline : "";
    say(part(this.element, "problem"), offline || mediaSentence(this.words, this.problem));
  }

  async #showOwn() {
    const { audio, video, problem } = await openMedia();
    this.tracks = [audio, video].filter(Boolean);
    if (this.gone) return this.disconnect();
    this.problem = problem;
    this.#sayProblem();
    if (video) this.#showPicture(video);
    if (audio) this.#showLevel(audio);
  }

  #showPicture(track) {
    const place = part(this.element, "video");
    if (!place) return;
    place.srcObject = new MediaStream([track]);
    place.play().catch(() => undefined);
  }

  #showLevel(track) {
    const place = part(this.element, "level");
    if (!place) return;
    this.meter = new LevelMeter(track, (loudness) => (place.value = loudness));
    this.meter.connect();
  }
}
