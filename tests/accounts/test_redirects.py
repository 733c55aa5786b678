"""Signing in and showing a factor lead on within this site and nowhere else, whatever is asked for (A13)."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from flask import Flask
from support.authenticator import Authenticator
from support.cast import Cast, Client, Member

from accounts.redirects import CORPUS, OUR_OWN
from accounts.test_passkey_answers import Door
from accounts.test_sign_in import PASSWORD, Visitor, code, email
from telepsych.accounts import passwords
from telepsych.accounts.browsers import own_path
from telepsych.core.clock import MINUTE
from telepsych.core.work import Practice


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of sign-ins that hash nothing."""
    monkeypatch.setattr(passwords, "is_right", lambda _vault, kept, password: kept is not None and password == PASSWORD)


def leads(location: str | None) -> bool:
    """Whether a way leads within this site."""
    return location is not None and re.fullmatch(r"/(?![/\\])[\x21-\x7e]*", location) is not None


def test_no_way_of_the_corpus_is_one_of_ours() -> None:
    assert len(CORPUS) >= 200
    assert [way for way in CORPUS if own_path(way)] == []
    assert [way for way in OUR_OWN if own_path(way) != way] == []


def test_no_way_in_leads_away(practice: Practice, known: Cast, app: Flask) -> None:
    """After a password, a code and a passkey; and the page itself keeps none for later."""
    door = Door(practice, known, known.patient, Authenticator(counts=False)).register()
    for number, way in enumerate(CORPUS[::3]):
        visitor = Visitor(app)
        page = visitor.http.get("/sign-in", query_string={"next": way}).get_data(as_text=True)
        assert {unescape(one) for one in re.findall(r'name="next" value="([^"]*)"', page)} <= {""}, way
        fields = {"csrf_token": page.split('name="csrf_token" value="')[1].split('"')[0], "next": way}
        if number % 3 == 0:
            answer = visitor.http.post("/sign-in", data=fields | {"email": email(known.patient), "password": PASSWORD})
        elif number % 3 == 1:
            asked = visitor.http.post("/sign-in/passkey/options", data=fields).get_json()
            answer = visitor.http.post("/sign-in/passkey", data=fields | {"passkey": door.device.show(asked)})
        else:
            practice.clock.move(2 * MINUTE)
            half = fields | {"email": email(known.clinician), "password": PASSWORD}
            assert visitor.http.post("/sign-in", data=half).location == "/sign-in/code", way
            answer = visitor.http.post("/sign-in/code", data=fields | {"code": code(practice)})
        assert (answer.status_code, answer.location) == (302, "/"), way


def test_no_fresh_factor_leads_away(practice: Practice, known: Cast, client_for: Callable[[Member], Client]) -> None:
    client = client_for(known.patient)
    for number, way in enumerate(CORPUS[1::3]):
        field = ("step_up_next", "step_up_target")[number % 2]
        answer = client.post("/step-up", {"step_up_password": PASSWORD, field: way})
        assert (answer.status_code, answer.location) == (303, "/"), (field, way)
        page = client.get("/step-up", query_string={"next": way}).get_data(as_text=True)
        assert {unescape(one) for one in re.findall(r'name="step_up_next" value="([^"]*)"', page)} == {""}, way


@pytest.mark.parametrize("way", OUR_OWN)
def test_ways_of_our_own_are_followed(known: Cast, app: Flask, way: str) -> None:
    answer = Visitor(app).post("/sign-in", email=email(known.patient), password=PASSWORD, next=way)
    assert leads(answer.location)
    assert answer.location != "/" or way == "/"
