/**
 * Makes or shows a passkey and sends what the browser answers with the form. Where the browser knows no passkeys, the
 * form stays hidden and the other ways in are as they were.
 *
 * <form data-module="accounts/passkey" data-act="create|get" data-options="/where/options/come/from" hidden>
 * with a hidden field `passkey` (or another named by data-field) and a part data-role "trouble".
 */
import { postJson } from "../shared/http.js";

export default class Passkey {
  constructor(form) {
    this.form = form;
  }

  connect() {
    if (!window.PublicKeyCredential || !navigator.credentials) return;
    this.field = this.form.elements[this.form.dataset.field ?? "passkey"];
    this.field.value = ""; // browsers put back what a page held before
    this.form.hidden = false;
    this.form.addEventListener("submit", (event) => this.#submit(event));
  }

  #submit(event) {
    if (this.field.value) return;
    event.preventDefault();
    event.stopPropagation();
    this.#ask();
  }

  async #ask() {
    if (this.asking) return;
    this.asking = true;
    this.#say(false);
    try {
      this.field.value = JSON.stringify(await this.#answer(await postJson(this.form.dataset.options)));
      this.form.requestSubmit();
    } catch (error) {
      if (error.problem?.type?.endsWith("#step-up-needed")) window.location.reload();
      else this.#say(true);
    } finally {
      this.asking = false;
    }
  }

  async #answer(options) {
    const publicKey = { ...options, challenge: bytes(options.challenge) };
    if (options.user) publicKey.user = { ...options.user, id: bytes(options.user.id) };
    for (const list of ["allowCredentials", "excludeCredentials"]) {
      if (options[list]) publicKey[list] = options[list].map((one) => ({ ...one, id: bytes(one.id) }));
    }
    const made = await navigator.credentials[this.form.dataset.act]({ publicKey });
    return plain(made);
  }

  #say(trouble) {
    const part = this.form.querySelector('[data-role="trouble"]');
    if (part) part.hidden = !trouble;
  }
}

/** The answer as JSON, in the shape that the standard's own toJSON() gives it; older browsers have none. */
function plain({ id, rawId, type, response, authenticatorAttachment }) {
  const parts = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) parts[name] = text(response[name]);
  }
  if (response.getTransports) parts.transports = response.getTransports();
  return { id, rawId: text(rawId), type, response: parts, authenticatorAttachment, clientExtensionResults: {} };
}

function bytes(base64url) {
  const base64 = base64url.replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
