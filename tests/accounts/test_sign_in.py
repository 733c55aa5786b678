"""Signing in through the pages: two steps for the workforce, one answer for every wrong pair, nothing left behind."""

import threading
from collections.abc import Callable

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from support.cast import Cast, Client, Member
from werkzeug.test import TestResponse

from telepsych.accounts import guesses, invitations, offboarding, sign_in
from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.errors import Invalid, TooMany
from telepsych.core.work import Practice
from telepsych.web.models import SignInSession

PASSWORD = "an invented pass phrase"
SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


class Visitor:
    """A browser that is not signed in yet."""

    def __init__(self, app: Flask) -> None:
        self.http: FlaskClient = app.test_client()

    def get(self, path: str) -> TestResponse:
        return self.http.get(path)

    def post(self, path: str, **data: str) -> TestResponse:
        page = self.http.get("/sign-in").get_data(as_text=True)
        token = page.split('name="csrf_token" value="')[1].split('"')[0] if "csrf_token" in page else ""
        return self.http.post(path, data={"csrf_token": token, **data})

    @property
    def token(self) -> str:
        cookie = self.http.get_cookie("telepsych-session")
        return cookie.value if cookie else ""


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def code(practice: Practice, steps: int = 0) -> str:
    return pyotp.TOTP(SEED).at(practice.clock.now() // SECOND + 30 * steps)


def seed_on(page: str) -> str:
    """The seed that a page shows, to be typed into an app."""
    return page.split('data-role="seed">')[1].split("<")[0]


def email(who: Member) -> str:
    return f"{who.name.replace('Dr. ', '').split()[0].lower()}@example.org"


def test_a_patient_signs_in_with_a_password(known: Cast, visitor: Visitor) -> None:
    answer = visitor.post("/sign-in", email="Juniper@Example.org ", password=PASSWORD)
    assert (answer.status_code, answer.location) == (302, "/")
    assert visitor.get("/sign-in").status_code == 200


def test_the_workforce_needs_a_second_factor(practice: Practice, known: Cast, visitor: Visitor) -> None:
    answer = visitor.post("/sign-in", email="sage@example.org", password=PASSWORD, next="/patients")
    assert answer.location == "/sign-in/code?next=/patients"
    assert visitor.get("/patients").status_code == 302, "half a sign-in opens nothing"
    half = visitor.token
    answer = visitor.post("/sign-in/code", code=code(practice), next="/patients")
    assert answer.location == "/patients"
    assert visitor.token != half, "a new id at each step (A5)"
    with known.system(writes=False) as work:
        work.asked = True
        ended = work.session.scalars(select(SignInSession).where(SignInSession.ended_at.is_not(None))).all()
    assert len(ended) == 1


def test_staff_without_an_authenticator_set_one_up_first(practice: Practice, known: Cast, visitor: Visitor) -> None:
    answer = visitor.post("/sign-in", email="ash@example.org", password=PASSWORD)
    assert answer.location == "/sign-in/authenticator"
    page = visitor.get("/sign-in/authenticator").get_data(as_text=True)
    seed = seed_on(page)
    assert f'value="{seed}"' not in page, "the seed stays on the server"
    other = "A" * 32
    right, wrong = (pyotp.TOTP(one).at(practice.clock.now() // SECOND) for one in (seed, other))
    assert visitor.post("/sign-in/authenticator", seed=other, code=wrong).status_code == 422
    assert seed_on(visitor.get("/sign-in/authenticator").get_data(as_text=True)) == seed, "until its first code"
    assert visitor.post("/sign-in/authenticator", code=right).location == "/account/security/sheet"
    assert visitor.get("/inbox").status_code == 200


def test_a_code_works_once(practice: Practice, known: Cast, app: Flask) -> None:
    for steps, place in ((0, "/"), (0, None), (1, "/")):
        visitor = Visitor(app)
        visitor.post("/sign-in", email="sage@example.org", password=PASSWORD)
        assert visitor.post("/sign-in/code", code=code(practice, steps)).location == place


def test_every_wrong_pair_gets_the_same_answer(known: Cast, app: Flask) -> None:
    pages = set()
    for address, password in (
        ("juniper@example.org", "not the pass phrase"),
        ("nobody@example.org", PASSWORD),
        ("juniper@example.org", ""),
        ("juniper@example.org", "x" * 10_000),
    ):
        answer = Visitor(app).post("/sign-in", email=address, password=password)
        page = answer.get_data(as_text=True).replace(address, "")
        pages.add((answer.status_code, page.split("<main")[1].split("csrf_token")[0]))
    assert len(pages) == 1
    assert next(iter(pages))[0] == 422


def test_guessing_is_slowed_and_the_right_password_ends_it(practice: Practice, known: Cast) -> None:
    def try_once(password: str) -> object:
        return sign_in.with_password(practice, "juniper@example.org", password, address="198.51.100.7", device="")

    for _ in range(guesses.SLOPES[guesses.Kind.PAIR].free):
        with pytest.raises(Invalid):
            try_once("x" * 200)  # refused before hashing, counted all the same
    with pytest.raises(TooMany) as early:
        try_once(PASSWORD)
    practice.clock.move(early.value.retry_after * SECOND)
    assert try_once(PASSWORD)
    with pytest.raises(Invalid):
        try_once("x" * 200)
    assert try_once(PASSWORD), "what was slowed is forgotten"


def test_sign_out_is_the_end(known: Cast, visitor: Visitor) -> None:
    visitor.post("/sign-in", email="juniper@example.org", password=PASSWORD)
    token = visitor.token
    page = visitor.get("/messages").get_data(as_text=True)
    csrf = page.split('name="csrf-token" content="')[1].split('"')[0]
    answer = visitor.http.post("/sign-out", headers={"X-CSRF-Token": csrf})
    assert "storage" in answer.headers["Clear-Site-Data"]
    visitor.http.set_cookie("telepsych-session", token)
    assert visitor.get("/messages").status_code == 302


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/x\r\nSet-Cookie: a=b"],
)
def test_signing_in_never_leads_away(known: Cast, visitor: Visitor, target: str) -> None:
    answer = visitor.post("/sign-in", email="juniper@example.org", password=PASSWORD, next=target)
    assert answer.location == "/"


def test_another_site_cannot_act(known: Cast, client_for: Callable[[Member], Client]) -> None:
    """A14 over HTTP: a wrong token, another origin or a cross-site fetch is refused, and says nothing else happened."""
    client = client_for(known.patient)
    for headers in (
        {"X-CSRF-Token": "0" * 64},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
    ):
        assert client.post("/api/session/extend", headers=headers).status_code == 403
    assert client.post("/api/session/extend").status_code == 200


def test_a_session_left_alone_is_locked_and_then_over(
    practice: Practice, known: Cast, client_for: Callable[[Member], Client]
) -> None:
    client = client_for(known.staff)
    practice.clock.move(15 * MINUTE - SECOND)
    assert client.get("/api/live-ticket").status_code == 200
    practice.clock.move(15 * MINUTE + SECOND)
    answer = client.get("/api/live-ticket")
    assert answer.status_code == 401
    assert answer.get_json()["locked"] is True


def test_what_ended_is_never_revived(practice: Practice, known: Cast, client_for: Callable[[Member], Client]) -> None:
    """A6: requests in flight while the session is ended do not bring it back."""
    for _ in range(20):
        client = client_for(known.patient)
        practice.clock.move(30 * SECOND)  # the next request writes a sign of life
        threads = [threading.Thread(target=client.get, args=("/api/live-ticket",)) for _ in range(3)]
        for thread in threads:
            thread.start()
        with known.system() as work:
            work.audited = work.asked = True
            work.session.execute(update(SignInSession).values(ended_at=work.now))
        for thread in threads:
            thread.join()
        assert client.get("/api/live-ticket").status_code == 401


def test_who_leaves_is_out_at_once(known: Cast, client_for: Callable[[Member], Client]) -> None:
    client = client_for(known.staff)
    assert client.get("/api/live-ticket").status_code == 200
    with known.begin(known.manager, fresh=True) as work:
        offboarding.leave(work, known.staff.person_id)
    assert client.get("/api/live-ticket").status_code == 401


def test_an_invitation_is_used_once(practice: Practice, known: Cast, app: Flask) -> None:
    """A15: opening the page any number of times changes nothing; of many parallel uses one succeeds."""
    with known.begin(known.staff) as work:
        token = invitations.invite(work, known.other_patient.person_id)
    for _ in range(3):
        assert Visitor(app).get("/invitation").status_code == 200
        assert Visitor(app).post("/invitation", token=token).status_code == 200
    done: list[object] = []

    def use() -> None:
        try:
            done.append(invitations.accept(practice, token, PASSWORD, device="a test"))
        except Invalid as error:
            done.append(error.sentence)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(not isinstance(one, str) for one in done) == 1
    assert Visitor(app).post("/invitation", token=token).status_code == 422


def test_an_old_or_replaced_invitation_says_so(practice: Practice, known: Cast, app: Flask) -> None:
    with known.begin(known.staff) as work:
        first = invitations.invite(work, known.other_patient.person_id)
    with known.begin(known.staff) as work:
        second = invitations.invite(work, known.other_patient.person_id)
    for token in (first, "nonsense", ""):
        answer = Visitor(app).post("/invitation", token=token)
        assert answer.status_code == 422
        assert "ask the practice for a new one" in answer.get_data(as_text=True)
    practice.clock.move(72 * HOUR)
    answer = Visitor(app).post("/invitation", token=second)
    assert "too old" in answer.get_data(as_text=True)


@pytest.mark.parametrize(("password", "words"), [("short", "at least 15"), ("x" * 129, "at most 128")])
def test_a_password_that_cannot_be_used_is_explained(known: Cast, app: Flask, password: str, words: str) -> None:
    with known.begin(known.staff) as work:
        token = invitations.invite(work, known.other_patient.person_id)
    answer = Visitor(app).post("/invitation/password", token=token, password=password)
    assert answer.status_code == 422
    assert words in answer.get_data(as_text=True)
