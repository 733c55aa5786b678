/**
 * Camera and microphone test before a visit.
 *
 * <section data-module="visits/devicetest" data-post="…" data-next="…" [data-again] [data-words='{…}']>
 *   data-post   where the result is posted: {ok, camera, microphone, why}
 *   data-next   where to go on; followed at once when this device has passed before (not with data-again)
 *   data-role="start"    button that begins, hidden at first; the browser then asks for permission
 *   data-role="video"    <video muted playsinline> for the own picture
 *   data-role="level"    <meter min="0" max="1"> for the microphone
 *   data-role="status"   role="status": what to do or what is wrong
 *   data-role="again"    button to try again, hidden at first
 *   data-role="go-on"    link or button to go on, hidden at first; shown when the microphone works
 *   data-role="skip"     how to go on without the test; away once one can go on with it
 *   data-role="phone"    how to go on by phone, hidden at first; shown when something is missing
 *
 * Words: checking, speak, quiet, passed, passed_sound and those for missing devices (words.js).
 */
import { LevelMeter, openMedia } from "./media.js";
import { MEDIA_WORDS, mediaSentence, part, say, show, wordsOf } from "./words.js";
import { postJson } from "./wire.js";

const WORDS = {
  ...MEDIA_WORDS,
  checking: "Looking for your camera and microphone. If the browser asks, choose Allow.",
  speak: "You should see yourself. Say a few words: the bar should move.",
  quiet:
    "We can't hear you yet. Check that the microphone is not muted. You can also go on, or have your visit by phone.",
  passed: "Your camera and microphone work.",
  passed_sound: "Your microphone works. You can go on without a camera.",
};
const PASSED = "telepsych.device-passed";
const AUDIBLE = 0.02;
const PATIENCE = 10_000;

export default class DeviceTest {
  constructor(element) {
    this.element = element;
    this.words = wordsOf(element, WORDS);
    this.status = part(element, "status");
  }

  connect() {
    if (!("again" in this.element.dataset) && remembered() && this.element.dataset.next) {
      window.location.replace(this.element.dataset.next);
      return;
    }
    this.run = () => this.#run();
    this.#buttons((button) => button.addEventListener("click", this.run));
    show(part(this.element, "start"), true);
  }

  disconnect() {
    this.#buttons((button) => button.removeEventListener("click", this.run));
    this.#release();
  }

  async #run() {
    this.#release();
    this.#settle({ again: false, goOn: false, phone: false });
    say(this.status, this.words.checking);
    const media = await openMedia();
    this.tracks = [media.audio, media.video].filter(Boolean);
    this.#showPicture(media.video);
    if (media.audio) this.#listen(media);
    else this.#finish(media, false);
  }

  #listen(media) {
    say(this.status, media.problem ? mediaSentence(this.words, media.problem) : this.words.speak);
    this.#settle({ again: true, goOn: false, phone: Boolean(media.problem) });
    const level = part(this.element, "level");
    this.meter = new LevelMeter(media.audio, (loudness) => {
      if (level) level.value = loudness;
      if (loudness > AUDIBLE && !this.heard) this.#finish(media, (this.heard = true));
    });
    this.meter.connect();
    this.timer = setTimeout(() => this.heard || this.#tellQuiet(), PATIENCE);
  }

  #tellQuiet() {
    say(this.status, this.words.quiet);
    this.#settle({ again: true, goOn: true, phone: true });
  }

  async #finish({ audio, video, problem }, ok) {
    say(this.status, ok ? this.#passedWords(video, problem) : mediaSentence(this.words, problem));
    this.#settle({ again: true, goOn: ok, phone: Boolean(problem) });
    if (ok && video) remember();
    const result = { ok, camera: video !== null, microphone: audio !== null, why: problem?.why ?? "" };
    // The result helps the practice prepare; nobody has to wait for it.
    await postJson(this.element.dataset.post, result).catch(() => undefined);
  }

  #passedWords(video, problem) {
    if (video) return this.words.passed;
    return `${mediaSentence(this.words, problem)} ${this.words.passed_sound}`;
  }

  #showPicture(track) {
    const video = part(this.element, "video");
    if (!video) return;
    video.srcObject = track ? new MediaStream([track]) : null;
    if (track) video.play().catch(() => undefined);
  }

  #settle({ again, goOn, phone }) {
    show(part(this.element, "start"), false);
    show(part(this.element, "again"), again);
    show(part(this.element, "go-on"), goOn);
    show(part(this.element, "skip"), !goOn);
    show(part(this.element, "phone"), phone);
  }

  #release() {
    this.heard = false;
    clearTimeout(this.timer);
    this.meter?.disconnect();
    for (const track of this.tracks ?? []) track.stop();
  }

  #buttons(act) {
    for (const role of ["start", "again"]) {
      const button = part(this.element, role);
      if (button) act(button);
    }
  }
}

function remembered() {
  try {
    return window.localStorage.getItem(PASSED) === "yes";
  } catch {
    return false;
  }
}

function remember() {
  try {
    window.localStorage.setItem(PASSED, "yes");
  } catch {
    // Private windows may keep nothing; the test is then simply offered again.
  }
}
