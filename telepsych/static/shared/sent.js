/**
 * After a form was taken, the server names its draft in a cookie: the copy on this device is not needed any more. Without
 * that word the copy stays, for a form may have been sent into the void.
 */
const COOKIE = "telepsych-sent";
let settling;

/** Drop the copy of the form that was just taken, once a page. */
export function settleSent(store) {
  settling ??= settle(store);
  return settling;
}

async function settle(store) {
  const found = document.cookie.split("; ").find((each) => each.startsWith(`${COOKIE}=`));
  if (!found || !store.isUsable) return;
  document.cookie = `${COOKIE}=; path=/; max-age=0; SameSite=Lax`;
  await store.drop(decodeURIComponent(found.slice(COOKIE.length + 1))).catch(() => undefined);
}
