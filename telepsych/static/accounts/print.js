/** A button that prints the page; without scripts the browser's own menu does. */
export default class Print {
  constructor(button) {
    this.button = button;
  }

  connect() {
    this.button.hidden = false;
    this.button.addEventListener("click", () => window.print());
  }
}
