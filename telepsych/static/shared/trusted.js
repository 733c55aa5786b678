/**
 * The one place where a text becomes a page. The content policy refuses every other way (Trusted Types), and scripts in
 * such a page never run: they have no nonce, and a parsed document starts none.
 */
const policy = globalThis.trustedTypes?.createPolicy("telepsych", { createHTML: (text) => text });

/** What our own server answered, as a document. */
export function pageOf(text) {
  return new DOMParser().parseFromString(policy?.createHTML(text) ?? text, "text/html");
}
