/** A menu in <details>: Escape and a press elsewhere close it. */
export default class Menu {
  constructor(details) {
    this.details = details;
  }

  connect() {
    document.addEventListener("pointerdown", ({ target }) => this.details.contains(target) || this.#close());
    this.details.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape" || !this.details.open) return;
      this.#close();
      this.details.querySelector("summary").focus();
    });
  }

  #close() {
    this.details.open = false;
  }
}
