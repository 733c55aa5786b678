/**
 * Sends a form once: a second press while the first is on its way does nothing, and the button says "Sending…" without
 * changing its width. `data-sending` on the button gives other words; a form with `data-again` may be sent repeatedly.
 */
import { word } from "./words.js";

const GIVE_UP = 20_000;

export function watchForms(page) {
  page.addEventListener("click", stopUnready, { capture: true });
  page.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || "again" in form.dataset) return;
    if ("sent" in form.dataset) {
      event.preventDefault();
      return;
    }
    begin(form, event.submitter);
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) for (const form of document.querySelectorAll("form[data-sent]")) end(form);
  });
}

/** A button that cannot be used yet stays on the page and says when; pressing it does nothing. */
function stopUnready(event) {
  if (event.target.closest?.('[aria-disabled="true"]')) event.preventDefault();
}

function begin(form, button) {
  form.dataset.sent = "";
  const label = button?.querySelector("span") ?? button;
  if (label && button.matches(".button")) {
    button.style.minWidth = `${button.offsetWidth}px`;
    button.dataset.words = label.textContent;
    label.textContent = button.dataset.sending ?? word("sending");
  }
  setTimeout(() => end(form), GIVE_UP);
}

function end(form) {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("button[data-words]")) {
    (button.querySelector("span") ?? button).textContent = button.dataset.words;
    delete button.dataset.words;
    button.style.minWidth = "";
  }
}
