/**
 * What is kept on this device while the server cannot be reached: sealed with AES-GCM under a key that the browser holds
 * and no script can read out. Gone at sign-out, after 24 hours, and when somebody else signs in here.
 */
const NAME = "telepsych";
const KEPT = 24 * 3600 * 1000;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Store {
  /** `owner` stands for the person; what another person left here is erased unread. */
  constructor(owner, { indexedDB = globalThis.indexedDB, crypto = globalThis.crypto, now = Date.now } = {}) {
    Object.assign(this, { owner, indexedDB, crypto, now });
  }

  get isUsable() {
    return Boolean(this.owner && this.indexedDB && this.crypto?.subtle);
  }

  /** Keep a value under a name. Throws when this browser cannot. */
  async put(name, value) {
    const key = await this.#key();
    const iv = this.crypto.getRandomValues(new Uint8Array(12));
    const additionalData = encoder.encode(`${this.owner}\n${name}`);
    const sealed = await this.crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, encoder.encode(JSON.stringify(value)));
    await this.#write("kept", (kept) => kept.put({ owner: this.owner, at: this.now(), iv, sealed }, name));
  }

  /** The value kept under a name, or null. */
  async get(name) {
    const row = await this.#read("kept", (kept) => kept.get(name));
    if (!row || row.owner !== this.owner || row.at < this.now() - KEPT) return null;
    try {
      const additionalData = encoder.encode(`${this.owner}\n${name}`);
      const plain = await this.crypto.subtle.decrypt({ name: "AES-GCM", iv: row.iv, additionalData }, await this.#key(), row.sealed);
      return JSON.parse(decoder.decode(plain));
    } catch {
      return null;
    }
  }

  async drop(name) {
    await this.#write("kept", (kept) => kept.delete(name));
  }

  /** Erase what is too old or another person's. */
  async tidy() {
    const rows = await this.#read("kept", (kept) => kept.getAll());
    const keys = await this.#read("kept", (kept) => kept.getAllKeys());
    for (const [place, row] of rows.entries()) {
      if (row.owner !== this.owner || row.at < this.now() - KEPT) await this.drop(keys[place]);
    }
  }

  async #key() {
    const known = await this.#read("keys", (keys) => keys.get(this.owner));
    if (known) return known;
    const made = await this.crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    await this.#write("keys", (keys) => keys.put(made, this.owner));
    return made;
  }

  async #read(table, act) {
    const database = await this.#open();
    return settled(act(database.transaction(table).objectStore(table)));
  }

  async #write(table, act) {
    const database = await this.#open();
    const transaction = database.transaction(table, "readwrite");
    act(transaction.objectStore(table));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }

  #open() {
    this.opening ??= open(this.indexedDB, () => (this.opening = undefined));
    return this.opening;
  }
}

async function open(indexedDB, closed) {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("kept");
    request.result.createObjectStore("keys");
  };
  const database = await settled(request);
  database.onversionchange = () => {
    database.close();
    closed();
  };
  return database;
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(request.error ?? new Error("blocked"));
  });
}

/** Erase everything that any person left in this browser: texts and keys. */
export async function erase(indexedDB = globalThis.indexedDB) {
  try {
    if (indexedDB) await settled(indexedDB.deleteDatabase(NAME));
  } catch {
    // Another tab still holds it open; the server's Clear-Site-Data header erases it as well.
  }
}
