"""V4: the room is closed to the uninvited, to whoever was not let in yet, and to everybody after the end."""

from collections.abc import Callable

import pytest
from support.cast import Cast, Client, Member

from telepsych.core.clock import HOUR
from telepsych.core.errors import NotFound, Refused
from telepsych.core.work import Work
from telepsych.visits import policy, room, signals

from .conftest import Booked

DOORS: list[Callable[[Work, Booked], object]] = [
    lambda work, booked: room.configuration(work, booked.id, "127.0.0.1"),
    lambda work, booked: room.beat(work, booked.id, {}),
    lambda work, booked: signals.appear(work, booked.id, "a-socket"),
    lambda work, booked: signals.sockets_of(work, booked.id, booked.cast.clinician.person_id),
    lambda work, booked: signals.post(work, booked.id, booked.cast.clinician.person_id, {}),
]


def refused(cast: Cast, booked: Booked, who: Member) -> None:
    """Every door turns this person away."""
    for door in DOORS:
        with pytest.raises((Refused, NotFound)), cast.begin(who) as work:
            door(work, booked)


def test_nobody_uninvited_comes_in(cast: Cast, booked: Booked) -> None:
    booked.begin()
    for who in cast.everybody():
        if who not in (cast.patient, cast.clinician):
            refused(cast, booked, who)


def test_not_before_one_is_let_in(cast: Cast, booked: Booked) -> None:
    refused(cast, booked, cast.patient)
    booked.go_to_start()
    booked.arrive()
    refused(cast, booked, cast.patient)


def test_nobody_after_the_end(cast: Cast, booked: Booked) -> None:
    booked.begin()
    with cast.begin(cast.patient) as work:
        room.configuration(work, booked.id, "127.0.0.1")
    booked.end()
    refused(cast, booked, cast.patient)
    refused(cast, booked, cast.clinician)


def test_a_visit_that_nobody_ended_closes_by_itself(cast: Cast, booked: Booked) -> None:
    booked.begin()
    cast.practice.clock.move(13 * HOUR)  # type: ignore[attr-defined]
    refused(cast, booked, cast.patient)


def test_a_guardian_who_comes_later_is_let_in_like_everybody(cast: Cast, book_for: Callable[[Member], Booked]) -> None:
    booked = book_for(cast.adolescent)
    booked.begin()
    refused(cast, booked, cast.guardian)
    booked.arrive(cast.guardian)
    refused(cast, booked, cast.guardian)
    booked.admit()
    with cast.begin(cast.guardian) as work:
        assert policy.may_enter(work.actor, room.enter(work, booked.id), work.now)


def test_a_tie_that_ends_closes_the_door_in_the_visit(cast: Cast, book_for: Callable[[Member], Booked]) -> None:
    from sqlalchemy import select

    from telepsych.patients import service as patients
    from telepsych.patients.models import Proxy

    booked = book_for(cast.adolescent)
    booked.go_to_start()
    booked.arrive(cast.guardian)
    booked.admit()
    with cast.begin(cast.staff, fresh=True) as work:
        patients.suspend_proxy(work, work.session.scalars(select(Proxy.id)).one())
    refused(cast, booked, cast.guardian)


def test_the_pages_turn_away_too(cast: Cast, booked: Booked, client_for: Callable[[Member], Client]) -> None:
    booked.begin()
    for who in (cast.other_patient, cast.stranger):
        browser = client_for(who)
        assert browser.get(f"/visits/{booked.id}/room").status_code == 404
        assert browser.get(f"/visits/{booked.id}/configuration").status_code == 404
    patient = client_for(cast.patient)
    asked = patient.get(f"/visits/{booked.id}/configuration", headers={"Accept": "application/json"}).get_json()
    assert {one["name"] for one in asked["participants"]} == {cast.patient.name, cast.clinician.name}
    assert asked["direct_allowed"]
    assert asked["ice"]["iceTransportPolicy"] == "all"
    booked.end()
    late = patient.get(f"/visits/{booked.id}/configuration", headers={"Accept": "application/json"})
    assert late.status_code == 403
    assert patient.post(f"/visits/{booked.id}/heartbeat", json={}).status_code == 403


def test_without_a_relay_another_origin_is_sent_to_the_phone(
    cast: Cast, booked: Booked, client_for: Callable[[Member], Client]
) -> None:
    booked.begin()
    with pytest.raises(Refused, match="phone"), cast.begin(cast.patient) as work:
        room.configuration(work, booked.id, "visits.example.org")
