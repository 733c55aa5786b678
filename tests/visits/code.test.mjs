import assert from "node:assert/strict";
import { test } from "node:test";
import { fingerprintsIn, verificationCode } from "../../telepsych/static/visits/code.js";

const sdp = "v=0\r\na=fingerprint:sha-256 ab:CD:01\r\nm=audio\r\na=fingerprint:SHA-256 AB:cd:01\r\n";
const ada = fingerprintsIn(sdp);
const ben = ["sha-256 12:34"];

test("fingerprints are read once each, in one form", () => {
  assert.deepEqual(ada, ["sha-256 AB:CD:01"]);
  assert.deepEqual(fingerprintsIn(undefined), []);
});

test("both sides get the same six digits", async () => {
  const code = await verificationCode("a-visit", ada, ben);
  assert.match(code, /^\d{3} \d{3}$/);
  assert.equal(await verificationCode("a-visit", ben, ada), code);
});

test("another certificate or another visit gives another code", async () => {
  const code = await verificationCode("a-visit", ada, ben);
  assert.notEqual(await verificationCode("a-visit", ada, ["sha-256 12:35"]), code);
  assert.notEqual(await verificationCode("another-visit", ada, ben), code);
});
