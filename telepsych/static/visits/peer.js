/**
 * The connection to one other person. Signalling is injected; what the other side of it says goes into `receive`.
 *
 * Three rules keep set-up from getting stuck when messages arrive late, twice or out of order:
 *   - the newcomer alone makes the first offer; perfect negotiation settles whatever collides later;
 *   - everything said to a peer is handled in one promise chain, one message at a time;
 *   - candidates are held until the description they belong to is there.
 *
 * A peer is one attempt at a connection and has a `link` name; each message carries its sender's link and, once known,
 * the receiver's (`to_link`), so that messages of an earlier attempt fall away. An answer repeats its offer's `turn`.
 *
 * Payloads: {kind: "description", link, to_link, turn, description} · {kind: "candidate", link, to_link, candidate}
 *           {kind: "bye", link, to_link}
 *
 * Events (CustomEvent, detail): "state" connecting | connected | reconnecting | lost | untrusted | closed ·
 * "track" {kind} · "note" what the other page says about itself · "turn-refused" when the relay refuses us.
 */
import { fingerprintsIn } from "./code.js";
import { Recovery } from "./recovery.js";

const TICK = 500;
const MOST_HELD = 64;
const NOTES_CHANNEL = { negotiated: true, id: 0 };

export class Peer extends EventTarget {
  /**
   * `me` and `id` are stable participant ids; `signal.send(to, payload)` returns a promise; `local` is
   * `{audio, video}` tracks or null; `fetchIce()` brings a fresh `{iceServers, iceTransportPolicy}`.
   */
  constructor({ id, me, offering, ice, fetchIce, signal, local, certificate, giveUpAfter }) {
    super();
    Object.assign(this, { id, me, ice, fetchIce, signal, certificate });
    this.local = { ...local };
    this.polite = me < id;
    this.link = newLink();
    this.theirLink = null;
    this.state = "connecting";
    this.stream = new MediaStream();
    this.notes = {};
    this.held = [];
    this.turn = 0;
    this.pinned = null;
    this.chain = Promise.resolve();
    this.outbox = Promise.resolve();
    this.recovery = new Recovery({ polite: this.polite, now: performance.now(), giveUpAfter });
    this.#build();
    this.timer = setInterval(() => this.#tick(), TICK);
    if (offering) this.#offerSoon();
  }

  get ended() {
    return ["lost", "untrusted", "closed"].includes(this.state);
  }

  /** Both sides' fingerprints once known, each a sorted list: `{ours, theirs}`. */
  get fingerprints() {
    return { ours: fingerprintsIn(this.connection.localDescription?.sdp), theirs: this.pinned ?? [] };
  }

  /** Handle one message of the other side, after those that came before it. */
  receive(payload) {
    this.theirLink ??= payload.link;
    return this.#inTurn(() => this.#take(payload));
  }

  /** Send another track (or none) of this kind from now on; nothing is negotiated for that. */
  replace(kind, track) {
    this.local[kind] = track;
    return this.#inTurn(async () => {
      await this.#senderOf(kind)?.replaceTrack(track);
      await this.#applyBounds();
    });
  }

  /** Tell the other page something about ours, such as `{mic: false}`; merged with what it was told before. */
  tell(note) {
    this.notes = { ...this.notes, ...note };
    if (this.channel.readyState === "open") this.channel.send(JSON.stringify(this.notes));
  }

  /** How our video may go out: `{active, width, framerate, bitrate}`. */
  limit(bounds) {
    this.bounds = bounds;
    return this.#inTurn(() => this.#applyBounds());
  }

  /** The network changed for the better: do not wait for the next try. */
  hurry() {
    this.recovery.hurry();
  }

  /** Hang up. With `bye` the other side is told, so that it does not wait for us. */
  close({ bye = false } = {}) {
    if (bye) this.#send({ kind: "bye" });
    this.#end("closed");
    return this.outbox;
  }

  // Building

  #build() {
    this.connection?.close();
    const connection = new RTCPeerConnection(this.#configuration());
    this.connection = connection;
    connection.addEventListener("connectionstatechange", () => this.#stateChanged(connection));
    connection.addEventListener("track", ({ track }) => this.#gotTrack(track));
    connection.addEventListener("icecandidate", ({ candidate }) => this.#gotCandidate(candidate));
    connection.addEventListener("icecandidateerror", (event) => this.#gotCandidateError(event));
    this.channel = connection.createDataChannel("notes", NOTES_CHANNEL);
    this.channel.addEventListener("open", () => this.tell({}));
    this.channel.addEventListener("message", ({ data }) => this.#gotNote(data));
  }

  #configuration() {
    const { iceServers, iceTransportPolicy = "relay" } = this.ice;
    return { iceServers, iceTransportPolicy, bundlePolicy: "max-bundle", certificates: [this.certificate] };
  }

  #senderOf(kind) {
    const transceivers = this.connection.getTransceivers();
    return transceivers.find(({ receiver }) => receiver.track.kind === kind)?.sender;
  }

  // Saying

  #offerSoon({ afresh = false } = {}) {
    return this.#inTurn(async () => {
      if (this.connection.signalingState === "have-remote-offer") return;
      if (afresh) await this.#refreshIce();
      this.#offerMedia();
      await this.#describe((this.turn += 1));
    });
  }

  /** Before a restart: new relay credentials, new candidates. Old credentials are better than no try. */
  async #refreshIce() {
    this.ice = await this.fetchIce().catch(() => this.ice);
    if (this.ended) return;
    this.connection.setConfiguration(this.#configuration());
    this.connection.restartIce();
  }

  #offerMedia() {
    if (this.ended || this.connection.getTransceivers().length > 0) return;
    for (const kind of ["audio", "video"]) {
      this.connection.addTransceiver(this.local[kind] ?? kind, { direction: "sendrecv" });
    }
  }

  async #describe(turn) {
    if (this.ended) return;
    await this.connection.setLocalDescription();
    const { type, sdp } = this.connection.localDescription;
    this.#send({ kind: "description", turn, description: { type, sdp } });
    await this.#applyBounds();
  }

  /** Messages leave in order. One that cannot be sent is made up for by the next restart. */
  #send(message) {
    const payload = { ...message, link: this.link, to_link: this.theirLink };
    this.outbox = this.outbox.then(() => this.signal.send(this.id, payload)).catch(() => undefined);
  }

  // Hearing

  async #take(payload) {
    if (this.ended) return;
    const forAnother = payload.link !== this.theirLink || (payload.to_link && payload.to_link !== this.link);
    if (forAnother) return;
    if (payload.kind === "bye") this.#end("closed");
    else if (payload.kind === "candidate") await this.#takeCandidate(payload.candidate);
    else if (payload.description.type === "offer") await this.#takeOffer(payload);
    else await this.#takeAnswer(payload);
  }

  async #takeOffer({ turn, description }) {
    if (this.connection.signalingState !== "stable") {
      if (!this.polite) return;
      // A first offer of ours is withdrawn with all it had set up; the other side's then meets an empty connection.
      if (!this.connection.currentRemoteDescription) this.#build();
    }
    if (!(await this.#setRemote(description))) return;
    await this.#answerMedia();
    await this.#describe(turn);
  }

  async #takeAnswer({ turn, description }) {
    if (this.connection.signalingState !== "have-local-offer" || turn !== this.turn) return;
    if (await this.#setRemote(description)) await this.#applyBounds();
  }

  async #setRemote(description) {
    const theirs = fingerprintsIn(description.sdp);
    if (this.pinned && this.pinned.join() !== theirs.join()) {
      // Within one link nobody has a reason to change certificates: someone else is answering.
      this.#end("untrusted");
      return false;
    }
    this.pinned = theirs;
    await this.connection.setRemoteDescription(description);
    await this.#addHeld();
    return !this.ended;
  }

  async #answerMedia() {
    for (const transceiver of this.connection.getTransceivers()) {
      transceiver.direction = "sendrecv";
      const track = this.local[transceiver.receiver.track.kind];
      if (transceiver.sender.track !== track) await transceiver.sender.replaceTrack(track);
    }
  }

  async #takeCandidate(candidate) {
    if (this.#fits(candidate)) await this.#add(candidate);
    else if (this.held.length < MOST_HELD) this.held.push(candidate);
  }

  async #addHeld() {
    const ready = this.held.filter((candidate) => this.#fits(candidate));
    this.held = this.held.filter((candidate) => !ready.includes(candidate));
    for (const candidate of ready) await this.#add(candidate);
  }

  #add(candidate) {
    return this.connection.addIceCandidate(candidate).catch(() => undefined);
  }

  /** Whether the description a candidate belongs to is in place. */
  #fits({ usernameFragment }) {
    const sdp = this.connection.remoteDescription?.sdp;
    return Boolean(sdp) && (!usernameFragment || sdp.includes(`a=ice-ufrag:${usernameFragment}`));
  }

  // What the browser reports

  #gotTrack(track) {
    for (const old of this.stream.getTracks()) {
      if (old.kind === track.kind) this.stream.removeTrack(old);
    }
    this.stream.addTrack(track);
    this.#say("track", { kind: track.kind });
  }

  #gotCandidate(candidate) {
    if (!candidate?.candidate) return;
    this.#send({ kind: "candidate", candidate: candidate.toJSON() });
  }

  #gotCandidateError({ errorCode }) {
    if (errorCode !== 401 && errorCode !== 438) return;
    if (this.recovery.restarts === 0) this.recovery.hurry();
    this.#say("turn-refused", { code: errorCode });
  }

  #gotNote(data) {
    try {
      this.#say("note", JSON.parse(data));
    } catch {
      // Not something a page of ours says.
    }
  }

  #stateChanged(connection) {
    if (this.ended || connection !== this.connection) return;
    const { connectionState } = connection;
    this.recovery.see(connectionState, performance.now());
    if (connectionState === "connected") this.#become("connected");
    else if (this.state === "connected" && connectionState !== "new") this.#become("reconnecting");
  }

  #tick() {
    const due = this.recovery.due(performance.now());
    if (due === "lost") this.#end("lost");
    else if (due === "restart") this.#offerSoon({ afresh: true });
  }

  // Small things

  async #applyBounds() {
    const sender = this.#senderOf("video");
    const parameters = sender?.getParameters();
    if (!this.bounds || !parameters?.encodings?.length) return;
    const { active, width, framerate, bitrate } = this.bounds;
    const scale = Math.max(1, (this.local.video?.getSettings().width ?? width) / width);
    const [encoding] = parameters.encodings;
    Object.assign(encoding, { active, maxFramerate: framerate, maxBitrate: bitrate, scaleResolutionDownBy: scale });
    await sender.setParameters(parameters).catch(() => undefined);
  }

  /** One thing at a time. A step that fails leaves the connection to the next restart. */
  #inTurn(step) {
    this.chain = this.chain.then(() => (this.ended ? undefined : step())).catch((error) => this.#say("error", error));
    return this.chain;
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#say("state", state);
  }

  #end(state) {
    if (this.ended) return;
    clearInterval(this.timer);
    this.connection.close();
    this.#become(state);
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Later links of one page sort after earlier ones. */
function newLink() {
  const random = crypto.getRandomValues(new Uint32Array(2));
  return `${Date.now()}.${random[0].toString(36)}${random[1].toString(36)}`;
}

/** Whether a link was made later than another of the same person. */
export function isLater(link, other) {
  return Number.parseInt(link, 10) > Number.parseInt(other, 10);
}
