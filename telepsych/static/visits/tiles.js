/** One tile for each other person in the visit room, made from the page's <template data-role="tile">. */
import { fill, part, say, show } from "./words.js";

export class Tiles {
  constructor(element, words, nameOf) {
    this.place = part(element, "tiles");
    this.template = part(element, "tile");
    this.words = words;
    this.nameOf = nameOf;
    this.tiles = new Map();
  }

  /** Show a person as call.js tells it. Answers false when the browser wants a tap before it plays sound. */
  async show({ id, state, mic, camera, paused, stream }) {
    if (state === "gone") return this.#remove(id);
    const tile = this.#tileOf(id);
    tile.dataset.state = state;
    const name = this.nameOf(id);
    say(part(tile, "name"), name);
    say(part(tile, "person-state"), fill(this.words[`person_${state}`] ?? "", { name }));
    say(part(tile, "muted"), mic ? "" : fill(this.words.muted, { name }));
    const noPicture = camera ? paused && this.words.paused : this.words.camera_off;
    say(part(tile, "camera-off"), noPicture ? fill(noPicture, { name }) : "");
    show(part(tile, "retry"), state === "lost");
    return this.#play(part(tile, "video"), stream, name);
  }

  showCode({ id, code }) {
    say(part(this.#tileOf(id), "code"), code);
  }

  showQuality({ id, word }) {
    const tile = this.tiles.get(id);
    if (tile) tile.dataset.quality = word.toLowerCase();
  }

  /** Play again what a browser had refused to play before a tap. */
  playAll() {
    for (const tile of this.tiles.values()) part(tile, "video")?.play().catch(() => undefined);
  }

  clear() {
    for (const id of [...this.tiles.keys()]) this.#remove(id);
  }

  #tileOf(id) {
    const known = this.tiles.get(id);
    if (known) return known;
    const tile = this.template.content.firstElementChild.cloneNode(true);
    tile.dataset.person = id;
    this.tiles.set(id, tile);
    this.place.append(tile);
    return tile;
  }

  #remove(id) {
    this.tiles.get(id)?.remove();
    this.tiles.delete(id);
    return true;
  }

  async #play(video, stream, name) {
    if (!video || !stream) return true;
    video.setAttribute("aria-label", name);
    if (video.srcObject !== stream) video.srcObject = stream;
    if (!video.paused || stream.getTracks().length === 0) return true;
    return video.play().then(
      () => true,
      (error) => error.name !== "NotAllowedError",
    );
  }
}
