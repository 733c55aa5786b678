/** The time left of an emergency access. When it is over the page is asked for again: the record is closed by then. */
const LOOK_AGAIN = 15_000;
const MINUTE = 60_000;

export default class Glass {
  constructor(element) {
    this.ends = Date.parse(element.dataset.endsAt);
    this.left = element.querySelector('[data-role="left"]');
  }

  connect() {
    this.timer = setInterval(() => this.show(), LOOK_AGAIN);
  }

  disconnect() {
    clearInterval(this.timer);
  }

  show(now = Date.now()) {
    const minutes = Math.ceil((this.ends - now) / MINUTE);
    if (minutes <= 0) {
      this.disconnect();
      location.reload();
    } else if (minutes < 60) {
      this.left.textContent = `${minutes} min`;
    }
  }
}
