"""People at their browsers, each in a context of their own: axe looks at every page, no foreign host is met."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pyotp
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Response, expect

from telepsych.web import assets

SOON = 15_000
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE = (assets.packages() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@dataclass
class Someone:
    """A person with a browser."""

    name: str
    context: BrowserContext
    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)

    def what_was_seen(self) -> str:
        """Where the person is and what the page says, for a report."""
        return f"{self.name} was at {self.page.url} and saw:\n{self.page.inner_text('body')[:1_500]}"

    def goes_to(self, path: str) -> Response | None:
        return self.page.goto(f"{self.origin}{path}")

    def sees(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=SOON)

    def fills(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=False).first.fill(text)

    def picks(self, label: str, words: str) -> None:
        """The first choice of a list that holds these words."""
        chosen = self.page.get_by_label(label).locator("option", has_text=words).first.get_attribute("value")
        self.page.get_by_label(label).select_option(chosen)

    def chooses(self, label: str) -> None:
        self.page.get_by_label(label, exact=True).first.check()

    def presses(self, name: str | re.Pattern[str]) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def follows(self, name: str | re.Pattern[str]) -> None:
        """A link, to wherever it leads."""
        before = self.page.url
        self.page.get_by_role("link", name=name).first.click()
        self.page.wait_for_url(lambda now: now != before)

    def role(self, name: str) -> Locator:
        return self.page.locator(f'[data-role="{name}"]')

    def signs_in(self, account: dict[str, str]) -> None:
        self.goes_to("/sign-in")
        self.fills("Email", account["email"])
        self.fills("Password", account["password"])
        self.presses("Sign in")
        if "totp_secret" in account:
            self.page.wait_for_url("**/sign-in/code**")
            self.fills("Code", pyotp.TOTP(account["totp_secret"]).now())
            self.presses("Continue")
        self.page.wait_for_url(re.compile(r"^(?!.*sign-in)"))

    def looks_around(self) -> None:
        """Axe finds nothing and nothing scrolls sideways, on a phone and on a desk, and the title names nobody."""
        self.page.locator("main").first.wait_for()
        before = self.page.viewport_size
        for size in (PHONE, DESK):
            self.page.set_viewport_size(size)  # type: ignore[arg-type]
            wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{self.page.url} scrolls sideways by {wide} px at {size['width']}"
            self.page.evaluate(AXE)
            found = self.page.evaluate(f"axe.run(document, {{runOnly: {STANDARDS}}})")["violations"]
            told = [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]
            assert told == [], f"{self.page.url} at {size['width']}: {told}"
        if before:
            self.page.set_viewport_size(before)


@contextmanager
def somebody(browser: Browser, origin: str, name: str, *, camera: bool = False) -> Iterator[Someone]:
    """A person opens a browser; at the end nothing may have thrown, broken the content policy or left for elsewhere."""
    context = browser.new_context(viewport=DESK, locale="en-US")  # type: ignore[arg-type]
    if camera:
        context.grant_permissions(["camera", "microphone"], origin=origin)
    page = context.new_page()
    person = Someone(name, context, page, origin)
    ours = urlsplit(origin).hostname

    def note_request(address: str) -> None:
        where = urlsplit(address)
        if where.scheme not in ("data", "blob", "about") and where.hostname != ours:
            person.faults.append(f"{name}: a foreign host was contacted: {where.hostname}")

    def note_words(text: str) -> None:
        if "Content Security Policy" in text:
            person.faults.append(f"{name}: {text}")

    context.on("request", lambda request: note_request(request.url))
    page.on("websocket", lambda socket: note_request(socket.url))
    page.on("pageerror", lambda error: person.faults.append(f"{name}: {error}"))
    page.on("console", lambda said: note_words(said.text))
    try:
        yield person
    finally:
        context.close()
    assert person.faults == []


def pictures_move(person: Someone) -> None:
    """New pictures of the other person keep coming."""
    person.page.wait_for_function(
        """() => {
            const video = document.querySelector("[data-person] video");
            const seen = video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
            if (!video || window.firstVideo !== video) [window.firstVideo, window.firstSeen] = [video, seen];
            return seen - window.firstSeen >= 5;
        }""",
        timeout=30_000,
    )
    person.page.evaluate("() => { window.firstVideo = undefined; }")
