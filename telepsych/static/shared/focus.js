/** Takes the focus when the page opens: the summary of what is wrong on a form. */
export default class Focus {
  constructor(element) {
    this.element = element;
  }

  connect() {
    this.element.focus();
  }
}
