/**
 * One person's part in a visit: own camera and microphone, a connection to each other person, figures for the record.
 * It knows no page and no server: signalling, reports and media are injected, and what happens is told in events.
 *
 * Events (CustomEvent, detail):
 *   "state"    {state: "idle" | "joining" | "joined" | "left"}
 *   "own"      {mic, camera, problem}                    own microphone and camera changed (problem: see media.js)
 *   "person"   {id, state, mic, camera, paused, stream}  somebody came, changed or went; state is a peer's, or "gone";
 *              paused while a weak connection keeps both pictures back
 *   "quality"  {id, word, step, figures}                 every 2 s for each person
 *   "advice"   {id, step, before}                        the ladder moved: "video" | "small" | "audio" | "telephone"
 *   "code"     {id, code}                                the verification code with this person
 *   "refused"  {}                                        the relay refused us
 */
import { verificationCode } from "./code.js";
import { openCamera, openMedia } from "./media.js";
import { isLater, Peer } from "./peer.js";
import { Ladder, Quality, STEPS } from "./quality.js";
import { takeSample } from "./stats.js";

const SAMPLE_EVERY = 2_000;
const REPORT_EVERY = 10_000;
const MOST_EARLY = 64;

/** What goes out at each step; from the fourth person on everybody sends the small picture. */
const BOUNDS = {
  video: { active: true, width: 640, framerate: 20, bitrate: 500_000 },
  crowded: { active: true, width: 320, framerate: 15, bitrate: 200_000 },
  small: { active: true, width: 320, framerate: 10, bitrate: 100_000 },
  audio: { active: false, width: 320, framerate: 10, bitrate: 100_000 },
};

export class Call extends EventTarget {
  /**
   * `visit` and `me` are ids; `ice` is `{iceServers, iceTransportPolicy}` and `fetchIce()` brings a fresh one;
   * `signal.send(to, payload)` returns a promise; `report(figures)` is called on joining and every 10 s.
   */
  constructor({ visit, me, ice, fetchIce, signal, report, giveUpAfter }) {
    super();
    Object.assign(this, { visit, me, ice, fetchIce, signal, report, giveUpAfter });
    this.state = "idle";
    this.people = new Map();
    this.present = [];
    this.early = [];
    this.local = { audio: null, video: null };
    this.own = { mic: false, camera: false, problem: null };
  }

  /** Open camera and microphone and take part. Whoever is present is called once `onPresence` says so. */
  async join({ camera = true } = {}) {
    if (["joining", "joined"].includes(this.state)) return;
    this.#become("joining");
    this.wantsCamera = camera;
    this.certificate ??= await RTCPeerConnection.generateCertificate({ name: "ECDSA", namedCurve: "P-256" });
    const { audio, video, problem } = await openMedia({ camera });
    if (this.state !== "joining") return stopAll([audio, video]);
    this.local = { audio, video };
    this.own = { mic: audio !== null, camera: video !== null, problem };
    for (const track of [audio, video]) this.#watchTrack(track);
    this.timers = [setInterval(() => this.#measure(), SAMPLE_EVERY), setInterval(() => this.#report(), REPORT_EVERY)];
    this.hurry = () => this.#each(({ peer }) => peer.hurry());
    addEventListener("online", this.hurry);
    this.#become("joined");
    this.#sayOwn();
    this.#report();
  }

  /** Hang up, tell the others, and let go of camera and microphone. */
  async leave() {
    const goodbyes = [...this.people.values()].map(({ peer }) => peer.close({ bye: true }));
    this.#stop();
    await Promise.race([Promise.allSettled(goodbyes), new Promise((resolve) => setTimeout(resolve, 1_000))]);
  }

  /** Let go of everything at once, because the page is going away. */
  drop() {
    this.#each(({ peer }) => peer.close());
    this.#stop();
  }

  /** Come back after leaving. The others take us for a newcomer. */
  rejoin(options) {
    return this.join(options);
  }

  setMicrophone(on) {
    if (!this.local.audio) return;
    this.local.audio.enabled = on;
    this.own.mic = on;
    this.#sayOwn();
  }

  /** Switch the camera off for real, so that its light goes out, or open it again. */
  async setCamera(on) {
    this.wantsCamera = on;
    if (!on) this.#useCamera(null);
    else if (!this.local.video) this.#useCamera(await openCamera());
  }

  /** Who is in the visit now. The newcomer alone calls the others; everyone else waits for that call. */
  onPresence({ present, newcomer = null }) {
    this.present = present.filter((id) => id !== this.me);
    if (this.state !== "joined") return;
    for (const id of this.present) {
      if (this.#needsPeer(id)) this.#open(id, newcomer === this.me);
    }
    this.#each((person) => {
      if (!this.present.includes(person.id) && person.peer.state !== "connected") this.#forget(person);
    });
    this.#boundAll();
  }

  /** A message of another page, in the order they arrive. */
  onSignal(from, payload) {
    if (this.state !== "joined" || from === this.me) return;
    const known = this.people.get(from)?.peer;
    if (known && belongs(known, payload)) this.#deliver(known, payload);
    else if (payload.description?.type === "offer" && !payload.to_link) this.#takeNewLink(from, known, payload);
    else this.#keepEarly(from, payload);
  }

  /** Call somebody again after the connection to them was lost. */
  retry(id) {
    if (this.state === "joined") this.#open(id, true);
  }

  // People

  #needsPeer(id) {
    const peer = this.people.get(id)?.peer;
    return !peer || peer.ended;
  }

  #open(id, offering) {
    this.people.get(id)?.peer.close();
    const { me, ice, fetchIce, signal, local, certificate, giveUpAfter } = this;
    const peer = new Peer({ id, me, offering, ice, fetchIce, signal, local, certificate, giveUpAfter });
    const now = performance.now();
    const person = { id, peer, mic: true, camera: true, step: "video", asked: "video" };
    Object.assign(person, { quality: new Quality(), ladder: new Ladder(now) });
    this.people.set(id, person);
    this.#listen(person);
    this.#tellOwn(person);
    this.#bound(person);
    this.#sayPerson(person);
    return person;
  }

  #listen(person) {
    const { peer } = person;
    peer.addEventListener("state", ({ detail }) => this.#peerState(person, detail));
    peer.addEventListener("track", () => this.#sayPerson(person));
    peer.addEventListener("note", ({ detail }) => this.#takeNote(person, detail));
    peer.addEventListener("turn-refused", () => this.#say("refused", {}));
  }

  /** Somebody started over, by reloading or calling again: what we had with them is void. */
  #takeNewLink(from, known, payload) {
    if (known?.theirLink && !known.ended && !isLater(payload.link, known.theirLink)) return;
    this.#deliver(this.#open(from, false).peer, payload);
    this.#boundAll();
  }

  #deliver(peer, payload) {
    peer.receive(payload);
    if (payload.kind !== "description") return;
    const waiting = this.early.filter((each) => each.from === peer.id && each.payload.link === payload.link);
    this.early = this.early.filter((each) => !waiting.includes(each));
    for (const each of waiting) peer.receive(each.payload);
  }

  /** Candidates may overtake the offer of a link that we have not seen yet. */
  #keepEarly(from, payload) {
    if (payload.kind !== "candidate" || payload.to_link) return;
    this.early = [...this.early.slice(1 - MOST_EARLY), { from, payload }];
  }

  async #peerState(person, state) {
    if (this.people.get(person.id) !== person) return;
    if (state === "connected") this.#connected(person);
    if (state === "closed") this.#forget(person);
    else this.#sayPerson(person);
  }

  async #connected(person) {
    person.quality = new Quality();
    person.ladder.settle(performance.now());
    const { ours, theirs } = person.peer.fingerprints;
    const code = await verificationCode(this.visit, ours, theirs);
    if (code !== person.code && this.people.get(person.id) === person) {
      person.code = code;
      this.#say("code", { id: person.id, code });
    }
  }

  #forget(person) {
    if (this.people.get(person.id) !== person) return;
    this.people.delete(person.id);
    person.peer.close();
    this.#say("person", { id: person.id, state: "gone" });
    this.#boundAll();
  }

  #takeNote(person, note) {
    person.mic = note.mic !== false;
    person.camera = note.camera !== false;
    person.asked = STEPS.includes(note.ask) ? note.ask : "video";
    this.#bound(person);
    this.#sayPerson(person);
  }

  // Own camera and microphone

  #watchTrack(track) {
    track?.addEventListener("ended", () => {
      if (track === this.local.video) this.#useCamera(null);
      if (track === this.local.audio) this.#loseMicrophone();
    });
  }

  #useCamera(track) {
    const unwanted = this.state !== "joined" || (track && !this.wantsCamera);
    if (unwanted) return track?.stop();
    this.local.video?.stop();
    this.local.video = track;
    this.#watchTrack(track);
    this.#each(({ peer }) => peer.replace("video", track));
    const problem = this.local.audio ? this.#cameraProblem(track) : this.own.problem;
    this.own = { ...this.own, camera: track !== null, problem };
    this.#sayOwn();
  }

  #cameraProblem(track) {
    return this.wantsCamera && !track ? { part: "camera", why: "busy" } : null;
  }

  #loseMicrophone() {
    this.local.audio = null;
    this.#each(({ peer }) => peer.replace("audio", null));
    this.own = { ...this.own, mic: false, problem: { part: "microphone", why: "missing" } };
    this.#sayOwn();
  }

  #sayOwn() {
    this.#each((person) => this.#tellOwn(person));
    this.#say("own", { ...this.own });
  }

  #tellOwn({ peer }) {
    peer.tell({ mic: this.own.mic, camera: this.own.camera });
  }

  // Quality

  async #measure() {
    for (const person of this.people.values()) {
      if (!person.peer.ended) await this.#measureOne(person);
    }
  }

  async #measureOne(person) {
    const { peer, quality, ladder } = person;
    const now = performance.now();
    const paused = this.#stepTowards(person) === "audio";
    const video = person.camera && !paused;
    const sending = this.local.video !== null && !paused;
    const sample = await takeSample(peer.connection, now, { audio: peer.stream.getAudioTracks().length > 0, video });
    if (this.people.get(person.id) !== person) return;
    quality.add(sample);
    const judgement = quality.judge(now, peer.state === "connected");
    const step = ladder.next(judgement, now, { sending, failures: peer.recovery.failures(now) });
    Object.assign(person, { word: judgement.word, figures: judgement.figures });
    this.#say("quality", { id: person.id, word: person.word, step, figures: person.figures });
    if (step !== person.step) this.#take(person, step);
  }

  #take(person, step) {
    const before = person.step;
    person.step = step;
    person.peer.tell({ ask: step === "telephone" ? "audio" : step });
    this.#bound(person);
    this.#sayPerson(person);
    this.#say("advice", { id: person.id, step, before });
  }

  /** The lower of what we judge possible and what the other side asked for; the telephone leaves audio running. */
  #stepTowards({ step, asked }) {
    const lower = Math.max(STEPS.indexOf(step), STEPS.indexOf(asked));
    return STEPS[Math.min(lower, STEPS.indexOf("audio"))];
  }

  #bound(person) {
    const step = this.#stepTowards(person);
    const crowded = step === "video" && this.people.size >= 3;
    person.peer.limit(BOUNDS[crowded ? "crowded" : step]);
  }

  #boundAll() {
    this.#each((person) => this.#bound(person));
  }

  // Telling

  #report() {
    const people = [...this.people.values()].map(({ id, peer, word, step, figures }) => ({
      id,
      state: peer.state,
      word: word ?? "Lost",
      step,
      figures: figures ?? {},
    }));
    this.report({ mic: this.own.mic, camera: this.own.camera, people });
  }

  #sayPerson(person) {
    const { id, peer, mic, camera } = person;
    const paused = this.#stepTowards(person) === "audio";
    this.#say("person", { id, state: peer.state, mic, camera, paused, stream: peer.stream });
  }

  #become(state) {
    this.state = state;
    this.#say("state", { state });
  }

  #stop() {
    for (const timer of this.timers ?? []) clearInterval(timer);
    removeEventListener("online", this.hurry);
    stopAll(Object.values(this.local));
    this.local = { audio: null, video: null };
    this.own = { mic: false, camera: false, problem: null };
    this.people.clear();
    this.early = [];
    this.#become("left");
  }

  #each(act) {
    for (const person of [...this.people.values()]) act(person);
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Whether a message is for this connection rather than for a new one. */
function belongs(peer, payload) {
  if (peer.theirLink) return payload.link === peer.theirLink;
  return payload.to_link ? payload.to_link === peer.link : payload.kind === "description";
}

function stopAll(tracks) {
  for (const track of tracks) track?.stop();
}
