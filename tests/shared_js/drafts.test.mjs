import assert from "node:assert/strict";
import { test } from "node:test";
import { afterFailure, changedElsewhere, onOpening, same } from "../../telepsych/static/shared/draft_rules.js";

const rendered = { body: "", why: "" };

test("nothing kept leaves the page as it came", () => {
  assert.deepEqual(onOpening({ rendered, server: {}, local: null }), { show: rendered });
});

test("what the server kept comes back", () => {
  const opened = onOpening({ rendered, server: { body: "half a thought" }, local: null });
  assert.deepEqual(opened, { show: { body: "half a thought", why: "" }, restored: true });
});

test("what the server kept is not restored over itself", () => {
  assert.deepEqual(onOpening({ rendered: { body: "a" }, server: { body: "a", gone: "b" }, local: null }), { show: { body: "a" } });
});

test("what only this device kept comes back and is saved", () => {
  const local = { fields: { body: "typed offline" }, base: { body: "typed" } };
  const opened = onOpening({ rendered, server: { body: "typed" }, local });
  assert.deepEqual(opened, { show: local.fields, save: true, restored: true });
});

test("a text that is newer elsewhere is offered and not overwritten", () => {
  const local = { fields: { body: "typed offline" }, base: { body: "typed" } };
  const opened = onOpening({ rendered, server: { body: "typed on the phone" }, local });
  assert.deepEqual(opened, { show: local.fields, offer: { body: "typed on the phone" }, restored: true });
});

test("a form shown again with its mistakes marked is the newest", () => {
  const opened = onOpening({ rendered: { body: "sent but refused" }, server: { body: "old" }, local: null, correcting: true });
  assert.deepEqual(opened, { show: { body: "sent but refused" }, save: true });
});

test("a change elsewhere is one that is neither what we knew nor what is typed here", () => {
  const known = { body: "a" };
  assert.equal(changedElsewhere({ known, server: { body: "a" }, typed: { body: "ab" } }), false);
  assert.equal(changedElsewhere({ known, server: { body: "ab" }, typed: { body: "ab" } }), false);
  assert.equal(changedElsewhere({ known, server: {}, typed: { body: "ab" } }), false);
  assert.equal(changedElsewhere({ known, server: { body: "x" }, typed: { body: "ab" } }), true);
  assert.equal(changedElsewhere({ known: undefined, server: { body: "x" }, typed: { body: "ab" } }), true);
});

test("a field that is missing is an empty one", () => {
  assert.equal(same({ body: "", why: "x" }, { why: "x" }), true);
  assert.equal(same(null, {}), true);
});

test("only what may pass by itself is tried again", () => {
  assert.deepEqual([0, 503, 500, 429].map((status) => afterFailure(status).again), [true, true, true, true]);
  assert.deepEqual([401, 403, 413].map((status) => afterFailure(status).again), [false, false, false]);
  assert.equal(afterFailure(0).say, "draft_offline");
  assert.equal(afterFailure(401).say, "draft_signed_out");
});
