/** Going: what a page does when its person is signed out, or away for too long. */
import { erase } from "./store.js";

/** Tell the page that the session is locked: what was typed stays, nothing else may be seen. */
export function lock() {
  document.dispatchEvent(new CustomEvent("telepsych:locked"));
}

/** Forget everything kept in this browser and go to the sign-in page. */
export async function leave() {
  document.dispatchEvent(new CustomEvent("telepsych:leaving"));
  document.body.replaceChildren();
  await erase();
  window.location.replace("/sign-in");
}
