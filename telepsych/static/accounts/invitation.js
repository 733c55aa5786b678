/** Fills the invitation in from the address's fragment, which no server or log ever sees, and removes it from there. */
export default class Invitation {
  constructor(element) {
    this.form = element;
  }

  connect() {
    const token = window.location.hash.slice(1);
    if (!token) return;
    window.history.replaceState(null, "", window.location.pathname);
    this.form.elements.token.value = token;
    this.form.requestSubmit();
  }
}
