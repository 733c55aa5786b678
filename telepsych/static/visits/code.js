/**
 * The six digits that two people may read to each other: equal when nobody sits between their browsers.
 *
 * They are made from both DTLS fingerprints and the visit. Six digits alone could be matched by trying a million
 * certificates while a call is set up, so the digest is stretched: each try costs as much as a password guess.
 */
const LABEL = "telepsych visit code 1";
const ROUNDS = 600_000;

/** Every distinct fingerprint named in a session description, in a canonical form, sorted. */
export function fingerprintsIn(sdp) {
  const found = [...(sdp ?? "").matchAll(/^a=fingerprint:(\S+) (\S+)\r?$/gim)];
  return [...new Set(found.map(([, hash, value]) => `${hash.toLowerCase()} ${value.toUpperCase()}`))].sort();
}

/** The code for two sides of a call, the same whichever side asks: a string such as "042 917". */
export async function verificationCode(visit, ours, theirs) {
  const encoder = new TextEncoder();
  const secret = [ours.join(","), theirs.join(",")].sort().join("|");
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), "PBKDF2", false, ["deriveBits"]);
  const salt = encoder.encode(`${LABEL}|${visit}`);
  const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: ROUNDS }, key, 64);
  const digits = String(new DataView(bits).getBigUint64(0) % 1_000_000n).padStart(6, "0");
  return `${digits.slice(0, 3)} ${digits.slice(3)}`;
}
