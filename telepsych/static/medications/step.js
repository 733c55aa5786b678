/** One step of the medication check-in: saved on every change, as far as it is filled in. */
import { SavingForm } from "../shared/saving.js";
import { readStep } from "./answers.js";

const NOTHING = "none";

export default class Step {
  constructor(element) {
    this.form = element;
    this.saving = new SavingForm(element, (form) => readStep(form.dataset.kind, new FormData(form)));
  }

  connect() {
    this.keepApart = ({ target }) => this.#keepApart(target);
    this.form.addEventListener("change", this.keepApart);
    this.saving.connect();
  }

  disconnect() {
    this.form.removeEventListener("change", this.keepApart);
    this.saving.disconnect();
  }

  /** "None of these" and any other answer exclude each other. */
  #keepApart(changed) {
    if (changed.type !== "checkbox" || changed.name !== "answer" || !changed.checked) return;
    for (const box of this.form.querySelectorAll('input[name="answer"]')) {
      if ((box.value === NOTHING) !== (changed.value === NOTHING)) box.checked = false;
    }
  }
}
