"""The shell in a real browser: nothing typed is lost, a page left alone locks, and pages pass axe in both schemes."""

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
from flask import Flask, render_template_string
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.serving import make_server

from telepsych.accounts import factors
from telepsych.accounts.models import Person
from telepsych.accounts.passwords import hash_password
from telepsych.core.clock import MINUTE
from telepsych.web import assets

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("template", ["sqlite"], indirect=True)]
SOON = 30_000
PASSWORD = "an invented pass phrase"
LETTER = """
{% extends "shared/patient.html" %}{% import "shared/macros.html" as ui with context %}
{% block title %}Letter{% endblock %}
{% block main %}<h1>Write to your care team</h1>
<form method="post" action="/sent" data-draft="letter">{{ ui.csrf() }}
  {{ ui.choice("why", "What is it about?", [("medicine", "A medicine"), ("other", "Something else")]) }}
  {{ ui.composer("body", "Your message", "Send", hint="We answer within one business day.") }}
</form>{% endblock %}
"""
KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open("telepsych");
  opening.onsuccess = () => {
    const all = opening.result.transaction("kept").objectStore("kept").getAll();
    all.onsuccess = () => {
      opening.result.close();
      resolve(all.result.map((row) => new TextDecoder("latin1").decode(row.sealed)));
    };
  };
})"""


@pytest.fixture
def origin(app: Flask) -> Iterator[str]:
    assets.build()
    app.add_url_rule("/letter", "letter", lambda: render_template_string(LETTER))
    app.add_url_rule("/sent", "sent", lambda: ("", 303, {"Location": "/letter"}), methods=["POST"])
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def device(browser: Browser, origin: str, cast: Any, client_for: Any) -> Iterator[Callable[..., BrowserContext]]:
    """Makes devices on which the patient is signed in; no page on them may break the content policy or throw."""
    faults: list[str] = []
    opened = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(base_url=origin, **options)
        opened.append(context)
        token = client_for(cast.patient).http.get_cookie("telepsych-session").value
        context.add_cookies([{"name": "telepsych-session", "value": token, "url": origin}])
        context.on("weberror", lambda error: faults.append(str(error.error)))
        context.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
        return context

    yield make
    for context in opened:
        context.close()
    assert faults == []


def letter_on(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/letter")
    return page


def body(page: Page) -> Any:
    return page.get_by_label("Your message")


def saved(page: Page) -> Any:
    return page.locator("[data-saved]")


def test_what_was_typed_before_the_script_was_there_is_kept(device: Callable[..., BrowserContext]) -> None:
    page, held = device().new_page(), []
    page.route("**/static/main-*.js", lambda route: held.append(route))
    with page.expect_request("**/static/main-*.js"):
        page.goto("/letter", wait_until="commit")
    body(page).fill("I keep waking at 3.")
    for route in held:
        route.continue_()
    page.unroute("**/static/main-*.js")
    expect(saved(page)).to_have_text("Saved", timeout=SOON)
    page.reload()
    expect(body(page)).to_have_value("I keep waking at 3.", timeout=SOON)


def test_what_was_typed_comes_back_until_it_is_sent(device: Callable[..., BrowserContext]) -> None:
    page = letter_on(device())
    page.get_by_text("Something else").click()
    body(page).fill("I keep waking at 3.")
    expect(saved(page)).to_have_text("Saved", timeout=SOON)
    page.reload()
    expect(body(page)).to_have_value("I keep waking at 3.")
    expect(page.get_by_label("Something else")).to_be_checked()
    expect(saved(page)).to_have_text("We put back what you had typed.")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**/letter")
    for _ in range(2):
        with page.expect_response("**/api/drafts/letter"):
            page.reload()
        page.wait_for_function(f"({KEPT})().then((kept) => kept.length === 0)")
        expect(body(page)).to_have_value("")


def test_a_form_sent_into_the_void_is_not_lost(device: Callable[..., BrowserContext]) -> None:
    context = device()
    page = letter_on(context)
    body(page).fill("typed and sent at once")
    page.get_by_text("Something else").click()
    page.route("**/sent", lambda route: route.abort())
    page.get_by_role("button", name="Send").click()
    page.unroute("**/sent")
    page.goto("/letter")
    expect(body(page)).to_have_value("typed and sent at once")


def test_offline_the_text_stays_sealed_on_the_device_and_is_saved_later(device: Callable[..., BrowserContext]) -> None:
    context = device()
    page = letter_on(context)
    body(page).fill("before")
    expect(saved(page)).to_have_text("Saved", timeout=SOON)
    context.set_offline(True)
    body(page).fill("typed in the tunnel")
    expect(saved(page)).to_contain_text("saved on this device", timeout=SOON)
    kept = page.evaluate(KEPT)
    assert len(kept) == 1
    assert "tunnel" not in kept[0]
    context.set_offline(False)
    expect(saved(page)).to_have_text("Saved", timeout=SOON)
    page.reload()
    expect(body(page)).to_have_value("typed in the tunnel")


def test_newer_text_of_another_device_is_offered_not_overwritten(device: Callable[..., BrowserContext]) -> None:
    here, phone = letter_on(device()), letter_on(device())
    body(here).fill("from the desk")
    expect(saved(here)).to_have_text("Saved", timeout=SOON)
    phone.reload()
    expect(body(phone)).to_have_value("from the desk")
    body(phone).fill("from the phone")
    expect(saved(phone)).to_have_text("Saved", timeout=SOON)
    body(here).fill("from the desk again")
    offer = here.get_by_role("alert")
    expect(offer).to_contain_text("from the phone", timeout=SOON)
    expect(body(here)).to_have_value("from the desk again")
    offer.get_by_role("button", name="Use that text").click()
    expect(body(here)).to_have_value("from the phone")


def test_a_page_left_alone_asks_then_locks_and_keeps_what_was_typed(device: Callable[..., BrowserContext]) -> None:
    page = device().new_page()
    page.clock.install()
    page.goto("/letter")
    body(page).fill("half a thought")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.clock.fast_forward(29 * 60_000)
    page.get_by_role("button", name="I'm still here").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.clock.fast_forward(31 * 60_000)
    expect(page.get_by_role("heading", name="This page is locked")).to_be_visible()
    expect(body(page)).to_be_hidden()
    assert page.get_by_role("link", name="Sign in again").get_attribute("href") == "/sign-in?next=%2Fletter"
    page.goto("/letter")
    expect(body(page)).to_have_value("half a thought")


@pytest.fixture
def passwords_for(cast: Any) -> Callable[..., str]:
    """Gives people a password, and answers it."""

    def give(*people: Any) -> str:
        for who in people:
            hashed = hash_password(cast.practice.vault, PASSWORD)
            with cast.system() as work:
                person = work.session.get_one(Person, who.person_id)
                factors.set_password(work, person, hashed)
        return PASSWORD

    return give


def locked_tabs(device: Callable[..., BrowserContext], cast: Any, count: int) -> list[Page]:
    """Tabs of one browser, with something typed in the last of them, that were left alone until both sides locked."""
    context = device()
    tabs = [context.new_page() for _ in range(count)]
    for tab in tabs:
        tab.clock.install()
        tab.goto("/letter?from=home")
    body(tabs[-1]).fill("half a thought")
    expect(saved(tabs[-1])).to_have_text("Saved", timeout=SOON)
    cast.practice.clock.move(31 * MINUTE)
    for tab in tabs:
        tab.clock.fast_forward(31 * 60_000)
        expect(tab.get_by_role("heading", name="This page is locked")).to_be_visible(timeout=SOON)
    return tabs


def sign_in_again(tab: Page, email: str, password: str) -> None:
    tab.get_by_role("link", name="Sign in again").click()
    tab.get_by_label("Email").fill(email)
    tab.get_by_label("Password").fill(password)
    tab.get_by_role("button", name="Sign in", exact=True).click()
    tab.wait_for_url(lambda url: "/sign-in" not in url)


def test_after_the_lock_the_same_person_goes_on_in_every_tab(
    device: Callable[..., BrowserContext], cast: Any, passwords_for: Callable[..., str]
) -> None:
    password = passwords_for(cast.patient)
    first, second = locked_tabs(device, cast, 2)
    sign_in_again(second, "juniper@example.org", password)
    assert second.url.endswith("/letter?from=home")
    expect(body(second)).to_have_value("half a thought", timeout=SOON)
    expect(first.get_by_role("dialog")).to_be_hidden(timeout=SOON)
    expect(body(first)).to_have_value("half a thought", timeout=SOON)
    body(first).fill("a whole thought")
    expect(saved(first)).to_have_text("Saved", timeout=SOON)


def test_another_person_at_the_locked_browser_sees_nothing_of_the_first(
    device: Callable[..., BrowserContext], cast: Any, passwords_for: Callable[..., str]
) -> None:
    password = passwords_for(cast.patient, cast.other_patient)
    first, second = locked_tabs(device, cast, 2)
    sign_in_again(first, "rowan@example.org", password)
    expect(body(first)).to_have_value("", timeout=SOON)
    second.wait_for_url(lambda url: "/letter" not in url)
    for tab in (first, second):
        assert "half a thought" not in tab.content()
    first.wait_for_function(f"({KEPT})().then((kept) => kept.length === 0)")
    for tab in (first, second):
        tab.go_back()
        tab.wait_for_load_state()
        assert "half a thought" not in tab.evaluate(
            "[...document.querySelectorAll('textarea')].map((e) => e.value).join()"
        )
        assert "Juniper" not in tab.content()


def test_signing_out_leaves_nothing_on_the_device(device: Callable[..., BrowserContext]) -> None:
    context = device()
    page = letter_on(context)
    body(page).fill("mine alone")
    expect(saved(page)).to_have_text("Saved", timeout=SOON)
    page.locator("details.account summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.wait_for_function("async () => (await indexedDB.databases()).length === 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_a_page_fits_and_passes_axe(device: Callable[..., BrowserContext], width: int, scheme: str) -> None:
    page = letter_on(device(viewport={"width": width, "height": 800}, color_scheme=scheme))
    page.evaluate((assets.packages() / "axe-core/axe.min.js").read_text())
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate("(rules) => axe.run({ runOnly: rules })", rules)
    assert [each["id"] for each in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
