/** One question of a questionnaire: the answer is saved the moment it is chosen. See `SavingForm`. */
import { SavingForm } from "../shared/saving.js";

export default class Question {
  constructor(element) {
    this.saving = new SavingForm(element, (form) => form.elements.answer?.value || undefined);
  }

  connect() {
    this.saving.connect();
  }

  disconnect() {
    this.saving.disconnect();
  }
}
