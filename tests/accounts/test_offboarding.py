"""A8: whoever leaves is out of everything in one act, their claims go back to the queue, and what they did stays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest
from flask import Flask
from sqlalchemy import func, select
from support.cast import Cast, Client, Member

from accounts.test_sign_in import PASSWORD, SEED, Visitor
from telepsych.accounts import factors, invitations, offboarding, passwords, people
from telepsych.accounts import service as accounts
from telepsych.accounts.models import Factor, FactorKind, Person
from telepsych.accounts.offboarding import Departure
from telepsych.app import epochs_of, web_of
from telepsych.audit.models import AuditRow, Outcome
from telepsych.core.actor import Actor, Role
from telepsych.core.clock import HOUR, SECOND
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused, StepUpNeeded
from telepsych.core.work import Practice
from telepsych.scheduling import service as scheduling
from telepsych.triage import service as triage
from telepsych.triage.models import Happening, ItemKind, ItemState, WorkItemEvent
from telepsych.triage.priority import Priority
from telepsych.web.live_sessions import closed_among
from telepsych.web.live_ticket import is_good, use_ticket
from telepsych.web.models import NewsRow, SignInSession

ClientFor = Callable[[Member], Client]


@dataclass
class Leaver:
    """A clinician who can get in by every way there is, and has work on their hands."""

    clients: list[Client]
    ticket: str
    invitation: str
    item: Any


def count_of(cast: Cast, *conditions: Any) -> int:
    with cast.system(writes=False) as work:
        work.asked = True
        return work.session.scalar(select(func.count()).where(*conditions)) or 0


@pytest.fixture
def leaver(practice: Practice, cast: Cast, client_for: ClientFor) -> Leaver:
    who = cast.clinician
    hashed = passwords.hash_password(practice.vault, PASSWORD)
    with cast.begin(cast.manager, fresh=True) as work:
        token = invitations.invite(work, who.person_id)
    with cast.system() as work:
        person = work.session.get_one(Person, who.person_id)
        factors.set_password(work, person, hashed)
        for kind in (FactorKind.TOTP, FactorKind.PASSKEY, FactorKind.RECOVERY):
            work.add(
                Factor(person_id=who.person_id, kind=kind, created_at=work.now, confirmed_at=work.now, secret=SEED)
            )
    clients = [client_for(who) for _ in range(3)]
    ticket = clients[0].get("/api/live-ticket").get_json()["ticket"]
    with cast.system() as work:
        made = triage.raise_item(
            work, cast.patient.record, ItemKind.MESSAGE, Priority.SOON, title="A question", owner_id=who.person_id
        )
    with cast.begin(who) as work:
        triage.claim(work, made.id)
        start = work.now + 3 * HOUR
        scheduling.book(work, cast.patient.record, who.person_id, start, 25)
    return Leaver(clients, ticket, token, made.id)


def leave(cast: Cast, who: Member) -> None:
    with cast.begin(cast.manager, fresh=True) as work:
        offboarding.leave(work, who.person_id)


def departure(cast: Cast, who: Member) -> Departure:
    with cast.begin(cast.manager, writes=False) as work:
        return offboarding.departure_of(work, who.person_id)


def test_leaving_is_total(practice: Practice, cast: Cast, leaver: Leaver, app: Flask) -> None:
    who = cast.clinician
    session_ids = _sessions(cast, who)
    before = departure(cast, who)
    assert (before.sessions, before.factors, before.invitations, before.roles, before.teams) == (3, 4, 1, 1, 1)
    leave(cast, who)

    # Sessions, with news of each for its sockets; the sweep would find them as well (tests/web/test_live_sessions.py).
    assert [one.get("/api/live-ticket").status_code for one in leaver.clients] == [401] * 3
    assert set(closed_among(web_of(practice), epochs_of, session_ids)) == session_ids
    if practice.records.dialect.name == "sqlite":
        told = {row.ids["session"] for row in _rows(cast, select(NewsRow).where(NewsRow.name == "signed-out"))}
        assert {str(one) for one in session_ids} <= told
    # Tickets that were already handed out
    with cast.system() as work:
        work.audited = work.asked = True
        assert not any(is_good(work, leaver.ticket, one) or use_ticket(work, leaver.ticket, one) for one in session_ids)
    # Invitations, factors, roles, teams
    with pytest.raises(Invalid), practice.begin(Actor(id=None, label="public:x"), writes=False, public="x") as work:
        invitations.look_up(work, leaver.invitation)
    assert count_of(cast, Factor.person_id == who.person_id, Factor.ended_at.is_(None)) == 0
    with cast.system(writes=False) as work:
        work.asked = True
        assert (accounts.roles_of(work, who.person_id), accounts.teams_of(work, who.person_id)) == (set(), set())
    after = departure(cast, who)
    assert (after.sessions, after.factors, after.invitations, after.roles, after.teams) == (3, 4, 1, 1, 1)


def test_whoever_left_is_refused_and_that_is_written_down(
    practice: Practice, cast: Cast, leaver: Leaver, app: Flask
) -> None:
    leave(cast, cast.clinician)
    practice.clock.move(HOUR)
    answer = Visitor(app).post("/sign-in", email="sage@example.org", password=PASSWORD)
    assert answer.status_code == 422
    answer = Visitor(app).post("/sign-in/code", code=pyotp.TOTP(SEED).at(practice.clock.now() // SECOND))
    assert answer.status_code == 302
    for _ in range(3):
        assert leaver.clients[1].get("/api/live-ticket").status_code == 401
    with pytest.raises(NotFound), cast.begin(cast.manager, fresh=True) as work:
        invitations.invite(work, cast.clinician.person_id)
    refused = AuditRow.outcome == Outcome.REFUSED
    assert count_of(cast, AuditRow.action == "sign-in.failed", refused) == 1
    assert count_of(cast, AuditRow.action == "session.refused", refused) == 1, "once, however often it is tried"


def test_their_work_goes_back_to_the_queue_and_their_visits_are_named(
    cast: Cast, leaver: Leaver, client_for: ClientFor
) -> None:
    who, manager = cast.clinician, client_for(cast.manager)
    place = f"/people/{who.person_id}/leaving"
    page = manager.get(place).get_data(as_text=True)
    assert "1 item they work on goes back to the queue" in page
    assert "Juniper Example" in page
    assert manager.post(place).status_code == 303
    page = manager.get(place).get_data(as_text=True)
    assert "has left" in page
    assert "goes back to the queue" not in page
    assert "Juniper Example" in page, "their visits stay booked, to be given to others by hand"
    with cast.begin(cast.staff, writes=False) as work:
        item = triage.open_item(work, leaver.item)
        assert (item.state, item.claimed_by, item.owner_id) == (ItemState.OPEN, None, None)
        (released,) = (one for one in triage.history(work, leaver.item) if one.what is Happening.RELEASED)
        assert released.by_id == cast.manager.person_id
    with cast.begin(cast.staff) as work:
        triage.claim(work, leaver.item)


def test_what_they_did_stays_under_their_name(cast: Cast, leaver: Leaver) -> None:
    leave(cast, cast.clinician)
    with cast.system(writes=False) as work:
        work.asked = True
        claimed = work.session.scalars(select(WorkItemEvent).where(WorkItemEvent.what == Happening.CLAIMED)).one()
        assert accounts.names_of(work, [claimed.by_id])[cast.clinician.person_id].name == "Dr. Sage Example"
        entries = select(func.count()).select_from(AuditRow).where(AuditRow.actor_id == cast.clinician.person_id)
        assert work.session.scalar(entries)


def test_the_last_manager_stays(cast: Cast) -> None:
    with pytest.raises(Conflict, match="only manager"):
        leave(cast, cast.manager)
    with cast.begin(cast.manager, fresh=True) as work:
        people.give_role(work, cast.staff.person_id, Role.MANAGER)
    leave(cast, cast.manager)
    with pytest.raises(Conflict, match="only manager"), cast.begin(cast.staff, fresh=True) as work:
        offboarding.leave(work, cast.staff.person_id)


def test_only_a_manager_with_a_fresh_factor_lets_somebody_go(cast: Cast) -> None:
    for who in (cast.staff, cast.clinician, cast.patient, cast.guardian):
        with pytest.raises(Refused), cast.begin(who, fresh=True) as work:
            offboarding.leave(work, cast.staff.person_id)
    with pytest.raises(StepUpNeeded), cast.begin(cast.manager) as work:
        offboarding.leave(work, cast.staff.person_id)
    for who in (cast.patient, cast.guardian):
        with pytest.raises(NotFound):
            leave(cast, who)
    leave(cast, cast.staff)
    with pytest.raises(Conflict, match="have left"):
        leave(cast, cast.staff)


def _sessions(cast: Cast, who: Member) -> set[Any]:
    mine = SignInSession.person_id == who.person_id, SignInSession.ended_at.is_(None)
    return {row.id for row in _rows(cast, select(SignInSession).where(*mine))}


def _rows(cast: Cast, query: Any) -> list[Any]:
    with cast.system(writes=False) as work:
        work.asked = True
        return list(work.session.scalars(query))
