import assert from "node:assert/strict";
import { test } from "node:test";
import { Ladder, Quality } from "../../telepsych/static/visits/quality.js";

/** Samples every 2 s for some seconds; `rate` says how far counters go each second, the rest is taken as it is. */
function samples(seconds, rate = {}, { from = 0, ...fixed } = {}) {
  const each = { heard: 48_000, concealed: 0, packets: 50, lost: 0, frozen: 0, frames: 20, replies: 1, ...rate };
  const plain = { lostOut: 0, rtt: 0.05, outgoing: 1_000_000, audio: true, video: true, ...fixed };
  return Array.from({ length: seconds / 2 + 1 }, (_, index) => {
    const counters = Object.entries(each).map(([name, step]) => [name, step * 2 * index]);
    return { at: from + index * 2_000, ...Object.fromEntries(counters), ...plain };
  });
}

function judge(list, { connected = true, now = list.at(-1).at } = {}) {
  const quality = new Quality();
  for (const sample of list) quality.add(sample);
  return quality.judge(now, connected);
}

const word = (rate, fixed) => judge(samples(12, rate, fixed)).word;

test("a clean line is good", () => {
  assert.equal(word(), "Good");
});

for (const [name, rate, fixed, expected] of [
  ["3 % invented sound", { concealed: 0.029 * 48_000 }, {}, "Good"],
  ["5 % invented sound", { concealed: 0.05 * 48_000 }, {}, "Fair"],
  ["10 % invented sound", { concealed: 0.1 * 48_000 }, {}, "Weak"],
  ["6 % lost", { lost: 3.2 }, {}, "Fair"],
  ["12 % lost", { lost: 7 }, {}, "Weak"],
  ["6 % of ours lost", {}, { lostOut: 0.06 }, "Fair"],
  ["12 % of ours lost", {}, { lostOut: 0.12 }, "Weak"],
  ["310 ms", {}, { rtt: 0.31 }, "Fair"],
  ["610 ms", {}, { rtt: 0.61 }, "Weak"],
  ["no answers at all", { replies: 0 }, {}, "Weak"],
  ["2.5 s frozen in ten", { frozen: 0.25 }, {}, "Fair"],
  ["6 pictures a second", { frames: 6 }, {}, "Fair"],
  ["no picture because the camera is off", { frames: 0, frozen: 0.9 }, { video: false }, "Good"],
  ["a microphone that is not there", { concealed: 48_000 }, { audio: false }, "Good"],
]) {
  test(`${name} is ${expected}`, () => assert.equal(word(rate, fixed), expected));
}

test("only the last ten seconds count", () => {
  const bad = samples(10, { concealed: 24_000 });
  const last = bad.at(-1);
  const good = samples(12, {}, { from: 12_000 }).map((sample) => ({
    ...sample,
    heard: sample.heard + last.heard,
    concealed: last.concealed,
    replies: sample.replies + last.replies,
  }));
  assert.equal(judge([...bad, ...good.slice(0, 3)]).word, "Weak");
  assert.equal(judge([...bad, ...good]).word, "Good");
});

test("too little is known at the start to say anything bad", () => {
  assert.equal(judge(samples(2, { concealed: 48_000, replies: 0 })).word, "Good");
  assert.equal(new Quality().judge(0, true).word, "Good");
});

test("no connection is Lost whatever was measured", () => {
  assert.equal(judge(samples(12), { connected: false }).word, "Lost");
});

function judgement({ figures, ...over } = {}) {
  return { word: "Good", recent: 0, ...over, figures: { concealed: 0, outgoing_kbit: 900, ...figures } };
}

/** Walks a ladder in 2 s steps; `line(at, step)` tells the judgement, `failures` the restarts in vain. */
function walk(seconds, line, { ladder = new Ladder(0), failures = 0, from = 0 } = {}) {
  const steps = [];
  for (let at = from; at <= from + seconds * 1000; at += 2_000) {
    const sending = ["video", "small"].includes(ladder.step);
    steps.push(ladder.next(line(at, ladder.step), at, { sending, failures }));
  }
  return { steps, ladder, at: from + seconds * 1000 };
}

test("a good line stays on full video", () => {
  assert.deepEqual(new Set(walk(120, () => judgement()).steps), new Set(["video"]));
});

test("a thin line makes the picture small, but is not judged in its first 15 s", () => {
  const { steps } = walk(20, () => judgement({ word: "Fair", figures: { outgoing_kbit: 120 } }));
  assert.equal(steps[7], "video");
  assert.equal(steps[8], "small");
  assert.equal(steps.at(-1), "small");
});

test("a very thin line stops the picture", () => {
  assert.equal(walk(20, () => judgement({ word: "Fair", figures: { outgoing_kbit: 60 } })).steps.at(-1), "audio");
});

test("unclear sound stops the picture after 6 s", () => {
  const { steps } = walk(8, () => judgement({ word: "Weak", recent: 0.12 }));
  assert.deepEqual(steps.slice(0, 4), ["video", "video", "video", "audio"]);
});

test("sound that stays unusable without pictures leads to the telephone", () => {
  const { steps } = walk(20, () => judgement({ word: "Weak", recent: 0.4, figures: { concealed: 0.4 } }));
  assert.equal(steps[7], "audio");
  assert.equal(steps[8], "telephone");
});

test("unclear but usable sound without pictures stays", () => {
  const { steps } = walk(60, () => judgement({ word: "Weak", recent: 0.12, figures: { concealed: 0.12 } }));
  assert.equal(steps.at(-1), "audio");
});

test("two restarts in vain offer the telephone, and the line coming back brings the picture back at once", () => {
  const lost = walk(10, () => judgement({ word: "Lost" }), { failures: 2 });
  assert.equal(lost.steps.at(-1), "telephone");
  assert.equal(walk(0, () => judgement(), { ladder: lost.ladder, from: lost.at + 2_000 }).steps[0], "video");
});

test("one step up after 20 s of good", () => {
  const low = walk(8, () => judgement({ word: "Weak", recent: 0.12 }));
  const { steps } = walk(48, () => judgement(), { ladder: low.ladder, from: low.at + 2_000 });
  assert.deepEqual(steps.slice(0, 10), Array(10).fill("audio"));
  assert.equal(steps[10], "small");
  assert.equal(steps.at(-1), "video");
});

test("a step up that does not hold is tried less and less often", () => {
  const badWithPictures = (_, step) => (step === "audio" ? judgement() : judgement({ word: "Weak", recent: 0.3 }));
  const { steps } = walk(300, badWithPictures);
  const rises = (step, index) => step === "small" && steps[index - 1] === "audio";
  const raises = steps.flatMap((step, index) => (rises(step, index) ? [index * 2] : []));
  const gaps = raises.slice(1).map((at, index) => at - raises[index]);
  assert.ok(gaps.length >= 2);
  assert.ok(gaps.every((gap, index) => index === 0 || gap > gaps[index - 1]), String(gaps));
});
