/**
 * Connects elements to their modules: `data-module="room/name"` (several with spaces) is the default export of
 * static/room/name.js, a class that takes its element and has `connect()`, and `disconnect()` where it must clean up.
 */
import { modules } from "telepsych:modules";

const IMPLIED = { "[data-draft]": "shared/drafts", "[data-fragment]": "shared/fragment" };
const connected = new WeakMap();

/** Connect the whole page. */
export function start() {
  return connect(document.documentElement);
}

/** Connect an element and everything in it; what is connected already stays as it is. */
export async function connect(root) {
  const places = within(root, ["[data-module]", ...Object.keys(IMPLIED)].join(", "));
  await Promise.all(places.map((element) => connectOne(element)));
}

/** Let the modules of an element and everything in it clean up before it goes. */
export function disconnect(root) {
  for (const element of within(root, "[data-module], [data-draft], [data-fragment]")) {
    for (const instance of connected.get(element) ?? []) instance.disconnect?.();
    connected.delete(element);
  }
}

async function connectOne(element) {
  if (connected.has(element)) return;
  const instances = [];
  connected.set(element, instances);
  for (const name of namesOf(element)) {
    const Module = await load(name);
    if (!Module || connected.get(element) !== instances) continue;
    const instance = new Module(element);
    instances.push(instance);
    await instance.connect?.();
  }
}

function namesOf(element) {
  const named = (element.dataset.module ?? "").split(/\s+/).filter(Boolean);
  const implied = Object.entries(IMPLIED).filter(([selector]) => element.matches(selector));
  return [...named, ...implied.map(([, name]) => name)];
}

async function load(name) {
  const module = modules[name];
  if (!module) {
    console.error(`There is no module ${name}.`);
    return null;
  }
  return (await module()).default;
}

function within(root, selector) {
  return [...(root.matches(selector) ? [root] : []), ...root.querySelectorAll(selector)];
}
