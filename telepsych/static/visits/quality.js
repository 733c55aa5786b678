/**
 * How good the connection to one person is, and what to do about it. Pure: samples in, words and steps out.
 *
 * A sample is taken every 2 s; its counters only grow (see stats.js):
 *   at (ms) · concealed, heard (audio samples made up / played) · lost, packets (audio packets that did not / did
 *   arrive) · lostOut (share of our audio the other side missed, 0–1, or null) · rtt (s, or null) · replies (round
 *   trips measured so far) · frozen (s of frozen video) · frames (video frames shown) · outgoing (bit/s we may send,
 *   or null) · audio, video (whether the other person is sending them)
 *
 * `connectionState` says "connected" while half of what is heard is invented, so the words rest on audio concealment,
 * loss, round trips and frozen video over the last 10 s. Thresholds were measured with two browsers and a relay under
 * loss, rate caps and delay.
 */
export const STEPS = ["video", "small", "audio", "telephone"];

const WINDOW = 10_000;
const FRESH = 6_000;
const SHORTEST = 3_500;
const MARKS = ["good", "fair", "poor"];

/** Samples of one person, and the judgement of the last 10 seconds. */
export class Quality {
  constructor() {
    this.samples = [];
  }

  add(sample) {
    this.samples.push(sample);
    const oldest = sample.at - WINDOW - FRESH;
    this.samples = this.samples.filter(({ at }) => at >= oldest);
  }

  /**
   * `{word, marks, figures, recent}`: word is Good, Fair, Weak or Lost; marks says what was judged how; figures are
   * for people and reports; recent is the concealment of the last 6 s, null when it cannot be told.
   */
  judge(now, connected) {
    const window = this.samples.filter(({ at }) => at >= now - WINDOW);
    const figures = figuresOf(window);
    const marks = { ...marksOf(figures, window), silent: MARKS[this.#isSilent(now) ? 2 : 0] };
    const recent = this.samples.filter(({ at }) => at >= now - FRESH);
    return { word: connected ? wordFor(marks) : "Lost", marks, figures, recent: concealment(recent) };
  }

  /** Round trips stop being measured exactly when things are worst. */
  #isSilent(now) {
    const before = this.samples.findLast(({ at }) => at <= now - FRESH);
    return before !== undefined && this.samples.at(-1).replies <= before.replies;
  }
}

function figuresOf(window) {
  return {
    concealed: concealment(window),
    lost_in: share(window, "lost", "packets"),
    lost_out: latest(window, "lostOut"),
    rtt_ms: milliseconds(latest(window, "rtt")),
    frozen_s: grown(window, "frozen"),
    fps: frameRate(window),
    outgoing_kbit: kilobits(latest(window, "outgoing")),
  };
}

function marksOf(figures, window) {
  const video = window.length > 0 && window.every((sample) => sample.video);
  return {
    concealment: mark(figures.concealed, 0.03, 0.08),
    loss: mark(Math.max(figures.lost_in ?? 0, figures.lost_out ?? 0), 0.05, 0.1),
    delay: mark(figures.rtt_ms, 300, 600),
    freezes: video ? mark(figures.frozen_s, 2, 5) : "good",
    pace: video && figures.fps !== null && figures.fps < 8 ? "fair" : "good",
  };
}

function wordFor(marks) {
  const worst = Math.max(...Object.values(marks).map((each) => MARKS.indexOf(each)));
  return ["Good", "Fair", "Weak"][worst];
}

function mark(figure, fair, poor) {
  if (figure === null) return "good";
  return figure > poor ? "poor" : figure > fair ? "fair" : "good";
}

/** How much of the audio was made up, 0–1; null while the other person sends none or too little is known. */
function concealment(samples) {
  if (!samples.every((sample) => sample.audio)) return null;
  const heard = grown(samples, "heard");
  return heard > 0 ? Math.min(1, grown(samples, "concealed") / heard) : null;
}

function share(samples, part, rest) {
  const missing = grown(samples, part);
  const arrived = grown(samples, rest);
  return missing !== null && missing + arrived > 0 ? Math.max(0, missing / (missing + arrived)) : null;
}

function frameRate(samples) {
  const frames = grown(samples, "frames");
  return frames === null ? null : frames / ((samples.at(-1).at - samples[0].at) / 1000);
}

/** How far a counter went over these samples; null when they span too little time. */
function grown(samples, name) {
  if (samples.length < 2 || samples.at(-1).at - samples[0].at < SHORTEST) return null;
  return Math.max(0, samples.at(-1)[name] - samples[0][name]);
}

function latest(samples, name) {
  return samples.findLast((sample) => sample[name] !== null)?.[name] ?? null;
}

function milliseconds(seconds) {
  return seconds === null ? null : Math.round(seconds * 1000);
}

function kilobits(bits) {
  return bits === null ? null : Math.round(bits / 1000);
}

const BITRATE_NEEDS = 15_000;
const SMALL_BELOW = 150;
const AUDIO_BELOW = 80;
const UNCLEAR = 0.08;
const UNUSABLE = 0.2;
const HOPELESS_AFTER = 10_000;
const RAISE_AFTER = 20_000;
const LONGEST_RAISE = 160_000;
const RELAPSE = 60_000;

/**
 * The ladder towards one person: full video, small video, audio only, telephone. Down as soon as it is needed, up one
 * step after 20 s of good, and more slowly each time a step up did not hold.
 */
export class Ladder {
  constructor(now) {
    this.step = "video";
    this.since = now;
    this.goodSince = null;
    this.raiseAfter = RAISE_AFTER;
    this.raisedAt = null;
  }

  /** The connection is back after a break: what is measured next says little for a while. */
  settle(now) {
    this.since = now;
    this.goodSince = null;
  }

  /**
   * The step to be on now. `sending` says whether our video goes out; `failures` counts ICE restarts in vain. After
   * two of them the telephone is offered, but once the line is back the call goes on at the step it had.
   */
  next(judgement, now, { sending, failures }) {
    if (failures >= 2) return "telephone";
    this.goodSince = judgement.word === "Good" ? (this.goodSince ?? now) : null;
    const needed = this.#needed(judgement, now, sending);
    if (STEPS.indexOf(needed) > STEPS.indexOf(this.step)) this.#lower(needed, now);
    else if (this.#mayRise(now)) this.#raise(now);
    return this.step;
  }

  #needed({ word, recent, figures }, now, sending) {
    if (word === "Lost") return this.step;
    const here = now - this.since;
    if (this.step === "audio") return here >= HOPELESS_AFTER && figures.concealed > UNUSABLE ? "telephone" : "audio";
    const outgoing = sending && here >= BITRATE_NEEDS ? figures.outgoing_kbit : null;
    if ((here >= FRESH && recent > UNCLEAR) || below(outgoing, AUDIO_BELOW)) return "audio";
    return below(outgoing, SMALL_BELOW) ? "small" : "video";
  }

  #lower(step, now) {
    const relapsed = this.raisedAt !== null && now - this.raisedAt < RELAPSE;
    this.raiseAfter = relapsed ? Math.min(2 * this.raiseAfter, LONGEST_RAISE) : RAISE_AFTER;
    this.#go(step, now);
  }

  #mayRise(now) {
    if (this.step === "video" || this.goodSince === null) return false;
    return now - Math.max(this.goodSince, this.since) >= this.raiseAfter;
  }

  #raise(now) {
    this.raisedAt = now;
    this.#go(STEPS[STEPS.indexOf(this.step) - 1], now);
  }

  #go(step, now) {
    this.step = step;
    this.since = now;
    this.goodSince = null;
  }
}

function below(figure, limit) {
  return figure !== null && figure < limit;
}
