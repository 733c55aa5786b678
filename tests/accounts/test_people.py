"""Managers' pages about those who work here: roles, teams, hours; what they change, ends sessions; who may do it."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from flask import Flask
from support.cast import Cast, Client, Member

from accounts.test_sign_in import PASSWORD, Visitor
from telepsych.accounts import devices, factors, hours, people, service
from telepsych.accounts.models import FactorKind, Person
from telepsych.accounts.passwords import hash_password
from telepsych.core.actor import Role
from telepsych.core.calendar import Opening
from telepsych.core.clock import DAY, local_date
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused, StepUpNeeded
from telepsych.core.work import Practice, Work

ClientFor = Callable[[Member], Client]


def roles(cast: Cast, who: Member) -> set[Role]:
    with cast.system(writes=False) as work:
        work.asked = True
        return set(service.roles_of(work, who.person_id))


def grant(cast: Cast, who: Member, role: Role) -> Any:
    with cast.begin(cast.manager, writes=False) as work:
        return next(one.id for one in people.sheet(work, who.person_id).roles if one.holds and one.label == role)


def test_the_list_finds_by_name_role_and_team_and_keeps_who_left_apart(cast: Cast, client_for: ClientFor) -> None:
    manager = client_for(cast.manager)
    page = manager.get("/people").get_data(as_text=True)
    assert all(one.name in page for one in (cast.clinician, cast.staff, cast.manager, cast.stranger))
    assert cast.patient.name not in page
    for text, found in (("oak", [cast.stranger]), ("clinician sage", [cast.clinician]), ("nurse", [cast.staff])):
        page = manager.post("/people", {"text": text}).get_data(as_text=True)
        shown = page.split('class="rows"')[1]
        assert [one for one in (cast.clinician, cast.staff, cast.manager, cast.stranger) if one.name in shown] == found
    manager.post(f"/people/{cast.stranger.person_id}/leaving")
    assert cast.stranger.name not in manager.get("/people").get_data(as_text=True)
    assert cast.stranger.name in manager.get("/people?left=1").get_data(as_text=True)


def test_the_way_there_is_in_the_menus_of_those_it_is_for(cast: Cast, client_for: ClientFor) -> None:
    own = f'href="/records/{cast.patient.record}/looks"'
    for who, there, not_there in (
        (cast.manager, ['href="/people"', 'href="/oversight"', 'href="/account/devices"'], [own]),
        (cast.staff, ['href="/account/security"'], ['href="/people"', 'href="/oversight"']),
        (cast.patient, ['href="/sight"', own, 'href="/account/devices"'], ['href="/people"']),
    ):
        page = client_for(who).get("/account/devices").get_data(as_text=True)
        assert [one in page for one in [*there, *not_there]] == [True] * len(there) + [False] * len(not_there), who.name


def test_a_new_role_ends_every_session_and_holds_from_the_next(
    practice: Practice, cast: Cast, client_for: ClientFor
) -> None:
    """A5 for role changes: the old session is worth nothing, in the browser and on its sockets."""
    staff, manager, place = client_for(cast.staff), client_for(cast.manager), f"/people/{cast.staff.person_id}"
    assert staff.get("/api/live-ticket").status_code == 200
    until = local_date(practice.clock.now() + 3 * DAY, practice.settings.tz).isoformat()
    assert manager.post(f"{place}/roles", {"role": "compliance", "until": until}).status_code == 303
    assert staff.get("/api/live-ticket").status_code == 401
    assert roles(cast, cast.staff) == {Role.STAFF, Role.COMPLIANCE}
    practice.clock.move(3 * DAY)
    assert Role.COMPLIANCE in roles(cast, cast.staff), "to the end of that day"
    practice.clock.move(DAY)
    assert roles(cast, cast.staff) == {Role.STAFF}


def test_what_cannot_be_is_said_beside_the_field(cast: Cast, client_for: ClientFor) -> None:
    manager, place = client_for(cast.manager), f"/people/{cast.staff.person_id}"
    for typed, said in (
        ({"role": "patient"}, "choose what they do"),
        ({"role": "staff"}, "They do this already"),
        ({"role": "compliance", "until": "2020-01-01"}, "lies ahead"),
        ({"role": "compliance", "until": "soon"}, "choose a day"),
    ):
        answer = manager.post(f"{place}/roles", typed)
        assert (answer.status_code in (409, 422), said in answer.get_data(as_text=True)) == (True, True), typed
    answer = manager.post(f"{place}/roles/{grant(cast, cast.staff, Role.STAFF)}/end")
    assert (answer.status_code, "all they do here" in answer.get_data(as_text=True)) == (409, True)
    answer = manager.post("/people/new", {"name": "Reed Example", "email": "reed", "role": "staff"})
    assert (answer.status_code, 'value="Reed Example"' in answer.get_data(as_text=True)) == (422, True)
    answer = manager.post(f"{place}/teams", {"team": str(cast.team_id)})
    assert (answer.status_code, "belong to this team already" in answer.get_data(as_text=True)) == (422, True)


def test_nobody_changes_their_own_roles_and_a_manager_always_remains(cast: Cast, client_for: ClientFor) -> None:
    mine = cast.manager.person_id
    with pytest.raises(Refused, match="Another manager"), cast.begin(cast.manager, fresh=True) as work:
        people.give_role(work, mine, Role.CLINICIAN)
    with cast.begin(cast.manager, fresh=True) as work:
        people.give_role(work, cast.staff.person_id, Role.MANAGER)
    own = grant(cast, cast.manager, Role.MANAGER)
    with pytest.raises(Refused, match="Another manager"), cast.begin(cast.manager, fresh=True) as work:
        people.end_role(work, mine, own)
    with cast.begin(cast.staff, fresh=True) as work:
        people.give_role(work, mine, Role.COMPLIANCE)
        people.end_role(work, mine, own)
    with pytest.raises(Conflict, match="only manager"), cast.system() as work:
        people.end_role(work, cast.staff.person_id, grant_of(work, cast.staff, Role.MANAGER))


def grant_of(work: Work, who: Member, role: Role) -> Any:
    return next(one.id for one in people.sheet(work, who.person_id).roles if one.holds and one.label == role)


def test_teams_open_and_close_records_at_once(cast: Cast, client_for: ClientFor) -> None:
    manager, stranger = client_for(cast.manager), client_for(cast.stranger)
    chart, place = f"/patients/{cast.patient.record}", f"/people/{cast.stranger.person_id}"
    assert stranger.get(chart).status_code == 404
    assert manager.post(f"{place}/teams", {"team": str(cast.team_id)}).status_code == 303
    assert stranger.get(chart).status_code == 200
    with cast.begin(cast.manager, writes=False) as work:
        (member,) = (one.id for one in people.sheet(work, cast.stranger.person_id).teams if one.label == "Elm Team")
    assert manager.post(f"{place}/teams/{member}/end").status_code == 303
    assert stranger.get(chart).status_code == 404


ACTS: dict[str, Callable[[Work, Cast], object]] = {
    "list": lambda work, cast: people.everybody(work),
    "sheet": lambda work, cast: people.sheet(work, cast.staff.person_id),
    "give a role": lambda work, cast: people.give_role(work, cast.staff.person_id, Role.COMPLIANCE),
    "join a team": lambda work, cast: people.join_team(work, cast.stranger.person_id, cast.team_id),
    "end sessions": lambda work, cast: devices.end_others(work, cast.staff.person_id),
    "set hours": lambda work, cast: hours.set_week(work, [Opening(0, 540, 1020)]),
    "close a day": lambda work, cast: hours.close_on(work, date(2026, 12, 24)),
}
NEED_FRESH = {"give a role", "join a team", "end sessions"}


@pytest.mark.parametrize("act", ACTS)
def test_managers_alone_and_what_opens_doors_with_a_fresh_factor(cast: Cast, act: str) -> None:
    for who in (cast.clinician, cast.stranger, cast.patient, cast.guardian):
        with pytest.raises(Refused), cast.begin(who, fresh=True) as work:
            ACTS[act](work, cast)
    if act in NEED_FRESH:
        with pytest.raises(StepUpNeeded), cast.begin(cast.manager) as work:
            ACTS[act](work, cast)
    with cast.begin(cast.manager, fresh=act in NEED_FRESH) as work:
        ACTS[act](work, cast)


def test_who_does_not_work_here_is_not_to_be_found(cast: Cast, client_for: ClientFor) -> None:
    manager = client_for(cast.manager)
    for who in (cast.patient, cast.guardian):
        assert manager.get(f"/people/{who.person_id}").status_code == 404
        with pytest.raises(NotFound), cast.begin(cast.manager, fresh=True) as work:
            people.give_role(work, who.person_id, Role.STAFF)


def test_somebody_is_taken_on_and_signs_in_by_the_link(cast: Cast, client_for: ClientFor, app: Flask) -> None:
    manager = client_for(cast.manager)
    typed = {"name": "Reed Example", "email": "reed@example.org", "role": ["staff", "compliance"], "team": "Oak Team"}
    page = manager.post("/people/new", typed).get_data(as_text=True)
    token = re.search(r"/invitation#([\w-]+)", page)
    assert token
    guest = Visitor(app)
    assert guest.post("/invitation", token=token[1]).status_code == 200
    with cast.begin(cast.manager, writes=False) as work:
        reed = next(one for one in people.everybody(work) if one.name == "Reed Example")
        assert (reed.roles, reed.teams) == ((Role.STAFF, Role.COMPLIANCE), ("Oak Team",))


def test_factors_are_counted_not_shown(practice: Practice, cast: Cast, client_for: ClientFor) -> None:
    hashed = hash_password(practice.vault, PASSWORD)
    with cast.system() as work:
        factors.set_password(work, work.session.get_one(Person, cast.staff.person_id), hashed)
    page = client_for(cast.manager).get(f"/people/{cast.staff.person_id}").get_data(as_text=True)
    assert "Password" in page
    assert hashed not in page
    with cast.begin(cast.manager, writes=False) as work:
        assert people.sheet(work, cast.staff.person_id).factors == {FactorKind.PASSWORD: 1}


# Opening hours


def test_the_week_is_set_with_breaks_and_what_is_wrong_keeps_what_was_typed(
    practice: Practice, cast: Cast, client_for: ClientFor
) -> None:
    manager = client_for(cast.manager)
    week = {"opens-0-0": "09:00", "closes-0-0": "12:00", "opens-0-1": "13:00", "closes-0-1": "17:30"}
    assert manager.post("/practice/hours", week).status_code == 303
    page = manager.get("/practice/hours").get_data(as_text=True)
    assert all(f'value="{at}"' in page for at in week.values())
    with cast.system(writes=False) as work:
        work.asked = True
        found = service.business_hours(work).openings
    assert set(found) == {Opening(0, 540, 720), Opening(0, 780, 1050)}
    for wrong in ({"opens-0-1": "11:00"}, {"closes-0-0": ""}, {"opens-0-0": "12:30"}):
        answer = manager.post("/practice/hours", week | wrong)
        page = answer.get_data(as_text=True)
        assert (answer.status_code, 'value="17:30"' in page, 'aria-invalid="true"' in page) == (422, True, True)


def test_a_closed_day_moves_what_is_due(practice: Practice, cast: Cast, client_for: ClientFor) -> None:
    manager, thursday = client_for(cast.manager), date(2026, 12, 24)
    assert manager.post("/practice/hours/closed", {"day": thursday.isoformat()}).status_code == 303
    with cast.system(writes=False) as work:
        work.asked = True
        assert not service.business_hours(work).is_business_day(thursday)
    assert "December 24, 2026" in manager.get("/practice/hours").get_data(as_text=True)
    for day, code in (("2026-12-24", 409), ("2020-01-01", 422), ("soon", 422)):
        assert manager.post("/practice/hours/closed", {"day": day}).status_code == code
    assert manager.post("/practice/hours/open", {"day": thursday.isoformat()}).status_code == 303
    with pytest.raises(Invalid), cast.begin(cast.manager) as work:
        hours.close_on(work, date(2020, 1, 1))
