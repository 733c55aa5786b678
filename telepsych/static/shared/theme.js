/** Light, dark or as the device: kept on this device in a cookie, so that the server draws the page right at once. */
const YEAR = 365 * 24 * 3600;

export default class Theme {
  constructor(element) {
    this.element = element;
  }

  connect() {
    this.element.hidden = false;
    this.element.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-theme-choice]");
      if (button) this.#choose(button.dataset.themeChoice);
    });
    this.#mark();
  }

  #choose(theme) {
    document.cookie = `telepsych-theme=${theme}; path=/; max-age=${theme ? YEAR : 0}; SameSite=Lax`;
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    this.#mark();
  }

  #mark() {
    const now = document.documentElement.dataset.theme ?? "";
    for (const button of this.element.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === now));
    }
  }
}
