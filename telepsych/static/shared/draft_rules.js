/**
 * The thinking behind drafts: which of several texts a form should show, and what to do with one just typed. Pure.
 *
 * Texts are objects of field names and values. `rendered` is what the page came with, `server` what the server keeps,
 * `local` what this device kept when it could not reach the server: {fields, base}, `base` being what the server held
 * then. `correcting` means the page shows a form again with its mistakes marked: it is newer than any draft.
 */
export function onOpening({ rendered, server, local, correcting = false }) {
  const kept = isEmpty(server) ? null : server;
  if (correcting) return { show: rendered, save: true };
  if (local && !same(local.fields, rendered)) {
    const changedElsewhere = kept && !same(kept, local.fields) && !same(kept, local.base ?? {});
    if (changedElsewhere) return { show: local.fields, offer: kept, restored: true };
    return { show: local.fields, save: true, restored: true };
  }
  if (kept && !same(within(kept, rendered), rendered)) return { show: { ...rendered, ...kept }, restored: true };
  return { show: rendered };
}

/** Before saving: has the server's text changed since we last knew it, other than to what is here now? */
export function changedElsewhere({ known, server, typed }) {
  return !isEmpty(server) && !same(server, known ?? {}) && !same(server, typed);
}

export function same(one, other) {
  const names = new Set([...Object.keys(one ?? {}), ...Object.keys(other ?? {})]);
  return [...names].every((name) => (one?.[name] ?? "") === (other?.[name] ?? ""));
}

export function isEmpty(fields) {
  return !fields || Object.values(fields).every((text) => text === "");
}

function within(fields, rendered) {
  return Object.fromEntries(Object.keys(rendered).map((name) => [name, fields[name] ?? rendered[name]]));
}

/** What to say when saving failed with this status, and whether trying again later makes sense. */
export function afterFailure(status) {
  if (status === 401 || status === 403) return { say: "draft_signed_out", again: false };
  if (status === 413) return { say: "draft_too_long", again: false };
  if (status === 0) return { say: "draft_offline", again: true };
  return { say: "draft_unavailable", again: true };
}
