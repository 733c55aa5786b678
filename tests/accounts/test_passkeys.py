"""Passkeys in a real browser with virtual authenticators: setting up, signing in, confirming, and losing one."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pyotp
import pytest
from playwright.sync_api import Browser, CDPSession, expect
from stories.browser import Someone, somebody
from support.cast import Cast, Member
from werkzeug.serving import BaseWSGIServer, make_server

from accounts.redirects import CORPUS
from accounts.test_sign_in import PASSWORD, SEED, email
from telepsych.accounts.browsers import own_path
from telepsych.app import create_app
from telepsych.core.clock import MINUTE, SystemClock
from telepsych.core.work import Practice

pytestmark = pytest.mark.browser
SLOW = 30_000


class Device:
    """A virtual authenticator of Chromium."""

    def __init__(self, person: Someone, *, verifies: bool = True) -> None:
        self.cdp: CDPSession = person.context.new_cdp_session(person.page)
        self.cdp.send("WebAuthn.enable")
        options: dict[str, Any] = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": verifies,
            "automaticPresenceSimulation": True,
        }
        self.id = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def passkeys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]]
        found = self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})["credentials"]
        return found

    def verifies(self, so: bool) -> None:
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": so})

    def is_lost(self) -> None:
        self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.id})


@contextmanager
def served(practice: Practice) -> Iterator[str]:
    server: BaseWSGIServer = make_server("localhost", 0, create_app(practice=practice), threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture
def origin(practice: Practice, known: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The practice at localhost, with a clock that runs. No live group is there, where the pages may look for one."""
    monkeypatch.setenv("TELEPSYCH_LIVE_PORT", "9")
    practice.clock = SystemClock()
    with served(practice) as address:
        yield address


def enters(person: Someone, who: Member, password: str = PASSWORD) -> None:
    person.goes_to("/sign-in")
    person.fills("Email", email(who))
    person.fills("Password", password)
    person.presses(re.compile("^Sign in$"))


def arrives(person: Someone, path: str) -> None:
    person.page.wait_for_url(lambda url: urlsplit(url).path == path, timeout=SLOW)


def heading(person: Someone, name: str) -> None:
    expect(person.page.get_by_role("heading", name=name, level=1)).to_be_visible(timeout=SLOW)


@dataclass
class Later(SystemClock):
    """A clock that runs ahead: time has passed for the practice."""

    ahead: int

    def now(self) -> int:
        return super().now() + self.ahead


def test_a_passkey_from_the_first_day_to_its_loss(
    practice: Practice, known: Cast, browser: Browser, origin: str
) -> None:
    """Staff set one up instead of an authenticator, sign in with it, confirm with it, lose it, and come back in."""
    with somebody(browser, origin, "Ash") as ash:
        device = Device(ash)
        enters(ash, known.staff)
        heading(ash, "Set up your second step")
        ash.looks_around()
        ash.presses("Set up a passkey")
        heading(ash, "Your recovery sheet")
        (kept,) = device.passkeys()
        assert (kept["isResidentCredential"], kept["rpId"]) == (True, "localhost")
        ash.looks_around()
        ash.presses("Make my sheet")
        expect(ash.page.locator("li > code")).to_have_count(10, timeout=SLOW)
        ash.looks_around()
        line = ash.page.locator("li > code").nth(4).inner_text()

        ash.goes_to("/account/security")
        heading(ash, "Signing in")
        ash.looks_around()
        ash.context.clear_cookies()
        ash.goes_to("/sign-in?next=/inbox")
        ash.looks_around()
        device.verifies(False)
        ash.presses("Use your passkey")
        ash.sees("That didn't work, or was cancelled")
        device.verifies(True)
        ash.presses("Use your passkey")
        arrives(ash, "/inbox")

        practice.clock = Later(6 * MINUTE)
        ash.goes_to("/account/security")
        ash.page.get_by_label("New password").fill("seven quiet rivers of tin")
        ash.presses("Change the password")
        heading(ash, "Confirm that it is you")
        ash.looks_around()
        ash.presses("Use your passkey")
        arrives(ash, "/account/security")

        device.is_lost()
        ash.context.clear_cookies()
        enters(ash, known.staff, "seven quiet rivers of tin")
        heading(ash, "Your second step")
        ash.looks_around()
        ash.page.get_by_text("I lost my phone or my passkey").click()
        ash.fills("A line from your recovery sheet", line)
        ash.presses("Use this line")
        heading(ash, "Set up your second step")
        seed = ash.role("seed").inner_text()
        ash.fills("Code", pyotp.TOTP(seed).at(practice.clock.now() // 1_000_000))
        ash.presses("Finish")
        heading(ash, "Your recovery sheet")


def test_a_patient_adds_one_names_it_and_may_go_without_scripts(
    practice: Practice, known: Cast, browser: Browser, origin: str
) -> None:
    with somebody(browser, origin, "Juniper") as juniper:
        device = Device(juniper)
        enters(juniper, known.patient)
        arrives(juniper, "/")
        juniper.goes_to("/account/security/passkeys/new")
        juniper.looks_around()
        juniper.fills("Name", "My blue phone")
        juniper.presses("Add a passkey")
        arrives(juniper, "/account/security")
        juniper.sees("My blue phone")
        assert len(device.passkeys()) == 1
        juniper.looks_around()
        ways = juniper.page.evaluate(
            "([ways, here]) => ways.filter((way) => new URL(way, here).origin !== here)",
            [[own_path(way) or "/" for way in CORPUS], origin],
        )
        assert ways == [], "no way of the corpus leads away, as this browser reads addresses (A13)"

    practice.clock = Later(6 * MINUTE)
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    try:
        page.goto(f"{origin}/sign-in")
        assert page.get_by_role("button", name="Use your passkey").count() == 0
        page.get_by_label("Email").fill(email(known.clinician))
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Code").fill(pyotp.TOTP(SEED).at(practice.clock.now() // 1_000_000))
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(lambda url: "sign-in" not in url, timeout=SLOW)
        practice.clock = Later(12 * MINUTE)
        page.goto(f"{origin}/account/security/email")
        page.get_by_label("New e-mail address").fill("sage2@example.org")
        page.get_by_role("button", name="Change the address").click()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Code").fill(pyotp.TOTP(SEED).at(practice.clock.now() // 1_000_000))
        page.get_by_role("button", name="Confirm").click()
        page.wait_for_url("**/account/security", timeout=SLOW)
        expect(page.get_by_text("You sign in as sage2@example.org.")).to_be_visible(timeout=SLOW)
    finally:
        plain.close()


def test_at_a_bare_address_the_page_says_where_passkeys_work(practice: Practice, known: Cast) -> None:
    client = create_app(practice=practice).test_client()
    page = client.get("/sign-in", base_url="http://127.0.0.1:8000").get_data(as_text=True)
    assert "Use your passkey" not in page
    assert 'href="http://localhost:8000/sign-in"' in page
