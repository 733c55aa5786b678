/** Sentences that shared scripts say, in the page's language: pages.py puts them into the page. */
let all;

export function words() {
  all ??= JSON.parse(document.querySelector('meta[name="words"]')?.content || "{}");
  return all;
}

/** A sentence by its name, with `{name}` replaced. A name that is not there answers itself. */
export function word(name, values = {}) {
  const sentence = words()[name] ?? name;
  return sentence.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}
