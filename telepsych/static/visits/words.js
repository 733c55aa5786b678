/** Sentences a page shows: English here, replaced by those in the element's `data-words` (a JSON object). */
export function wordsOf(element, defaults) {
  return { ...defaults, ...JSON.parse(element.dataset.words ?? "{}") };
}

/** Puts values in for `{name}` in a sentence. */
export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The element's part with this `data-role`, or undefined. */
export function part(element, role) {
  return element.querySelector(`[data-role="${role}"]`) ?? undefined;
}

/** Show a sentence in a part, or hide the part when there is nothing to say. */
export function say(place, sentence) {
  if (!place || (place.textContent === (sentence ?? "") && place.hidden === !sentence)) return;
  place.textContent = sentence ?? "";
  place.hidden = !sentence;
}

/** Show or hide a part that may not be there. */
export function show(place, visible) {
  if (place) place.hidden = !visible;
}

export const MEDIA_WORDS = {
  denied:
    "This page may not use your camera and microphone yet. Choose the camera or lock sign beside the address at the top of the window, allow both, and try again. If that does not work, you can have your visit by phone.",
  missing_camera: "We found no camera on this device. You can go on with sound only, or have your visit by phone.",
  missing_microphone: "We found no microphone on this device. Plug one in and try again, or have your visit by phone.",
  missing_both: "We found no camera or microphone on this device. Try another device, or have your visit by phone.",
  busy: "Your camera or microphone is in use by another program. Close it and try again, or go on by phone.",
  unsupported: "This browser can't make video calls. Try another browser or device, or have your visit by phone.",
};

/** The sentence for a problem that media.js names, or "" for none. */
export function mediaSentence(words, problem) {
  if (!problem) return "";
  return words[`${problem.why}_${problem.part}`] ?? words[problem.why] ?? words.busy;
}
