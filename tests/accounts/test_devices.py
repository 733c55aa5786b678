"""Where somebody is signed in: the list, its names, ending from afar, and being told of a new device."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select
from support.cast import Cast, Client, Member
from werkzeug.test import TestResponse

from accounts.test_sign_in import PASSWORD, Visitor
from telepsych.accounts import devices, factors, passwords
from telepsych.accounts.devices import Device
from telepsych.accounts.models import Person
from telepsych.core.clock import DAY, MINUTE
from telepsych.core.errors import Invalid, NotFound, Refused, StepUpNeeded
from telepsych.core.work import Practice
from telepsych.notifications.models import OutboxRow
from telepsych.notifications.service import texts
from telepsych.web import sessions

ClientFor = Callable[[Member], Client]


@pytest.fixture
def known(practice: Practice, cast: Cast) -> Cast:
    """The cast, of whom the patient has a password."""
    hashed = passwords.hash_password(practice.vault, PASSWORD)
    with cast.system() as work:
        factors.set_password(work, work.session.get_one(Person, cast.patient.person_id), hashed)
    return cast


def listed(cast: Cast, who: Member) -> list[Device]:
    with cast.begin(who, writes=False) as work:
        return devices.devices_of(work, who.person_id)


def sign_in(app: Flask, at: Visitor | None = None) -> Visitor:
    """The patient signs in, on a new browser or on one used before."""
    browser = at or Visitor(app)
    assert browser.post("/sign-in", email="juniper@example.org", password=PASSWORD).status_code in (302, 303)
    return browser


def notices(cast: Cast) -> list[UUID]:
    """Who is told of a new device."""
    with cast.system(writes=False) as work:
        work.asked = True
        return list(work.session.scalars(select(OutboxRow.person_id).where(OutboxRow.kind == "new-device")))


def csrf(page: TestResponse) -> str:
    found = re.search(r'name="csrf-token" content="(\w+)"', page.get_data(as_text=True))
    assert found
    return found[1]


def press(browser: Visitor, path: str, **data: str) -> TestResponse:
    token = csrf(browser.get("/account/devices"))
    return browser.http.post(path, data={"csrf_token": token, **data})


def test_a_browser_used_before_is_known_and_a_new_one_is_told_of(practice: Practice, known: Cast, app: Flask) -> None:
    phone = sign_in(app)
    assert notices(known) == [known.patient.person_id]
    practice.clock.move(30 * DAY)
    sign_in(app, phone)
    assert len(notices(known)) == 1, "the browser was known"
    (device,) = listed(known, known.patient)
    assert device.first_seen_at == device.seen_at - 30 * DAY

    with known.system() as work:
        work.audited = work.asked = True
        for row in work.session.scalars(select(OutboxRow)):
            work.session.delete(row)
    practice.clock.move(MINUTE)
    sign_in(app)
    assert notices(known) == [known.patient.person_id]
    page = phone.get("/account/devices").get_data(as_text=True)
    assert "A device was used for the first time" in page
    assert [one.is_new for one in listed(known, known.patient)] == [True, False]


def test_the_notice_says_nothing_of_when_or_whose_or_where() -> None:
    subject, text = texts("new-device")
    assert not re.search(r"\d|http|@", subject + text)


def test_another_persons_token_is_no_known_device(known: Cast, app: Flask) -> None:
    """Two people at one browser: each is told of it as new, and its token is kept under a hash of each one's own."""
    browser = sign_in(app)
    token = browser.http.get_cookie("telepsych-device").value
    with known.system() as work:
        work.asked = True
        row, session = sessions.start(work, known.guardian.person_id, 1, workforce=False, device="a test")
        assert devices.remember(work, session, token) == token
        work.session.flush()
        hashes = {one.token_hash for one in work.session.scalars(select(devices.KnownDevice))}
    assert len(hashes) == 2
    assert set(notices(known)) == {known.patient.person_id, known.guardian.person_id}
    assert row.id


def test_a_token_that_is_none_of_ours_is_replaced(known: Cast) -> None:
    with known.system() as work:
        work.asked = True
        _row, session = sessions.start(work, known.patient.person_id, 1, workforce=False, device="a test")
        for odd in ("", "x", "ü" * 43, "a" * 44):
            assert devices.TOKEN.fullmatch(devices.remember(work, session, odd))
        half = sessions.start(
            work, known.patient.person_id, 1, workforce=False, device="a test", stage=sessions.Stage.HALF
        )[1]
        assert devices.remember(work, half, "") == "", "a sign-in that was not finished is no device"


def test_a_name_is_kept_over_sign_ins_and_an_empty_one_takes_it_back(known: Cast, app: Flask) -> None:
    browser = sign_in(app)
    (one,) = listed(known, known.patient)
    assert press(browser, f"/account/devices/{one.session_id}/name", name=" My phone ").status_code == 303
    sign_in(app, browser)
    assert {each.name for each in listed(known, known.patient)} == {"My phone"}
    wrong = press(browser, f"/account/devices/{one.session_id}/name", name="x" * 61)
    assert wrong.status_code in (404, 422)
    (now,) = listed(known, known.patient)[:1]
    wrong = press(browser, f"/account/devices/{now.session_id}/name", name="x" * 61)
    assert (wrong.status_code, "x" * 61 in wrong.get_data(as_text=True)) == (422, True)
    press(browser, f"/account/devices/{now.session_id}/name", name="")
    assert {each.name for each in listed(known, known.patient)} == {"A browser on computer"}


def test_ending_one_and_all_others(known: Cast, app: Flask) -> None:
    here, phone, tablet, desk = (sign_in(app) for _ in range(4))
    token = sessions.hash_of(phone.token)
    with known.system(writes=False) as work:
        work.asked = True
        theirs = work.session.scalar(
            select(sessions.SignInSession.id).where(sessions.SignInSession.token_hash == token)
        )
    assert press(here, f"/account/devices/{theirs}/end").status_code == 303
    assert [each.get("/messages").status_code for each in (here, phone, tablet)] == [200, 302, 200]
    assert press(here, "/account/devices/end-others").status_code == 303
    assert [each.get("/messages").status_code for each in (here, phone, tablet, desk)] == [200, 302, 302, 302]


def test_ending_asks_for_a_fresh_factor(practice: Practice, known: Cast, app: Flask) -> None:
    """A17 for a session somebody else may have taken: it can't throw its owner out."""
    here = sign_in(app)
    sign_in(app)
    practice.clock.move(5 * MINUTE)
    assert press(here, "/account/devices/end-others").status_code != 303
    assert len(listed(known, known.patient)) == 2
    mine, other = known.patient.person_id, listed(known, known.patient)[0].session_id
    for act in (lambda work: devices.end(work, mine, other), lambda work: devices.end_others(work, mine)):
        with pytest.raises(StepUpNeeded), known.begin(known.patient) as work:
            act(work)


def test_only_oneself_and_managers_see_or_end_devices(known: Cast, app: Flask) -> None:
    sign_in(app)
    whose = known.patient.person_id
    (one,) = listed(known, known.patient)
    for who in (known.guardian, known.staff, known.clinician, known.other_patient):
        with pytest.raises(Refused), known.begin(who, writes=False) as work:
            devices.devices_of(work, whose)
        with pytest.raises(Refused), known.begin(who, fresh=True) as work:
            devices.end(work, whose, one.session_id)
        with pytest.raises(NotFound), known.begin(who, fresh=True) as work:
            devices.end(work, who.person_id, one.session_id)
        with pytest.raises(NotFound), known.begin(who) as work:
            devices.rename(work, one.session_id, "Mine now")
    with known.begin(known.manager, fresh=True) as work:
        devices.end(work, whose, one.session_id)
    assert listed(known, known.patient) == []


def test_the_eleventh_sign_in_ends_the_oldest(practice: Practice, known: Cast, client_for: ClientFor) -> None:
    clients = []
    for _ in range(11):
        clients.append(client_for(known.patient))
        practice.clock.move(MINUTE)
    assert len(listed(known, known.patient)) == sessions.MOST_SESSIONS
    assert [one.get("/messages").status_code for one in clients] == [302] + [200] * 10


def test_a_name_that_is_too_long_says_so(known: Cast, client_for: ClientFor) -> None:
    client_for(known.patient)
    (one,) = listed(known, known.patient)
    with pytest.raises(Invalid) as fault, known.begin(known.patient) as work:
        devices.rename(work, one.session_id, "x" * 61)
    assert set(fault.value.fields) == {"name"}
