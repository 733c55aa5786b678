"""A lost phone, a lost passkey: the practice makes sure of the person, ends the old ways in and gives a new one."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from support.cast import Cast, Client, Member

from accounts.test_sign_in import PASSWORD, SEED, Visitor
from telepsych.accounts import factors, invitations, people, recovery
from telepsych.accounts.models import Factor, FactorKind, HowVerified, Person, Recovery
from telepsych.accounts.passwords import hash_password
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Role
from telepsych.core.clock import HOUR
from telepsych.core.errors import Conflict, Invalid, NotFound, Refused, StepUpNeeded
from telepsych.core.work import Practice
from telepsych.notifications.models import OutboxRow
from telepsych.notifications.service import texts
from telepsych.patients import recovery as patients_recovery

ClientFor = Callable[[Member], Client]
NOTE = "Driving licence seen, the photo fits."
SEEN = HowVerified.IN_PERSON


def with_factors(practice: Practice, cast: Cast, who: Member) -> None:
    hashed = hash_password(practice.vault, PASSWORD)
    with cast.system() as work:
        factors.set_password(work, work.session.get_one(Person, who.person_id), hashed)
        for kind in (FactorKind.TOTP, FactorKind.PASSKEY):
            work.add(
                Factor(person_id=who.person_id, kind=kind, created_at=work.now, confirmed_at=work.now, secret=SEED)
            )


def token_in(page: str) -> str:
    found = re.search(r"/invitation#([\w-]+)", page)
    assert found
    return found[1]


def ways_in(cast: Cast, who: Member) -> set[FactorKind]:
    with cast.system(writes=False) as work:
        work.asked = True
        return set(people.factors_present(work, who.person_id))


def test_a_lost_phone_of_a_patient(practice: Practice, cast: Cast, client_for: ClientFor, app: Flask) -> None:
    """Bad day: staff make sure of the patient, the old ways and sessions end, and the link makes a new beginning."""
    with_factors(practice, cast, cast.patient)
    lost, staff = client_for(cast.patient), client_for(cast.staff)
    place = f"/patients/{cast.patient.record}/recovery"
    assert cast.patient.name in staff.get(place).get_data(as_text=True)
    answer = staff.post(place, {"how": "voice", "note": "short"})
    assert (answer.status_code, ">short</textarea>" in answer.get_data(as_text=True)) == (422, True)
    assert ways_in(cast, cast.patient) == {FactorKind.PASSWORD, FactorKind.TOTP, FactorKind.PASSKEY}, "nothing done yet"

    token = token_in(staff.post(place, {"how": "voice", "note": NOTE}).get_data(as_text=True))
    assert ways_in(cast, cast.patient) == set()
    assert lost.get("/api/live-ticket").status_code == 401
    assert Visitor(app).post("/sign-in", email="juniper@example.org", password=PASSWORD).status_code == 422
    guest = Visitor(app)
    answer = guest.post("/invitation/password", token=token, password="another invented pass phrase")
    assert answer.status_code in (302, 303)
    assert guest.get("/messages").status_code == 200
    again = Visitor(app).post("/invitation/password", token=token, password="a third invented pass phrase")
    assert again.status_code == 422, "the link works once"


def test_a_lost_passkey_of_somebody_who_works_here(
    practice: Practice, cast: Cast, client_for: ClientFor, app: Flask
) -> None:
    """Bad day: another manager gives the way in; a second factor is set up anew before anything opens."""
    with_factors(practice, cast, cast.clinician)
    manager, place = client_for(cast.manager), f"/people/{cast.clinician.person_id}/recovery"
    page = manager.post(place, {"how": "in-person", "note": NOTE}).get_data(as_text=True)
    guest = Visitor(app)
    answer = guest.post("/invitation/password", token=token_in(page), password="another invented pass phrase")
    assert "authenticator" in answer.location or "sign-in" in answer.location
    assert guest.get("/patients").status_code == 302, "one factor opens nothing"
    page = manager.get(f"/people/{cast.clinician.person_id}").get_data(as_text=True)
    assert NOTE in page
    assert cast.manager.name in page


def test_an_invitation_is_no_way_around_a_password(practice: Practice, cast: Cast, client_for: ClientFor) -> None:
    """Whoever signs in already gets a new way in by recovery alone: made sure of, told, and their old ways ended."""
    with_factors(practice, cast, cast.patient)
    answer = client_for(cast.staff).post(f"/patients/{cast.patient.record}/invitation")
    assert (answer.status_code, "A new way in" in answer.text, "/invitation#" in answer.text) == (409, True, False)
    with_factors(practice, cast, cast.clinician)
    with pytest.raises(Conflict), cast.begin(cast.manager, fresh=True) as work:
        invitations.invite(work, cast.clinician.person_id)
    assert FactorKind.PASSWORD in ways_in(cast, cast.patient)


def test_it_is_written_down_and_the_person_is_told_without_a_link(cast: Cast) -> None:
    with cast.begin(cast.staff, fresh=True) as work:
        patients_recovery.recover(work, cast.patient.record, HowVerified.VIDEO, NOTE)
    with cast.system(writes=False) as work:
        work.asked = True
        (kept,) = work.session.scalars(select(Recovery)).all()
        assert (kept.by_id, kept.how, kept.note) == (cast.staff.person_id, HowVerified.VIDEO, NOTE)
        assert NOTE.encode() not in kept.sealed
        told = set(work.session.scalars(select(OutboxRow.kind).where(OutboxRow.person_id == cast.patient.person_id)))
        assert {"recovery", "invitation"} <= told
        acts = set(work.session.scalars(select(AuditRow.action).where(AuditRow.actor_id == cast.staff.person_id)))
        assert {"person.recovered", "invited"} <= acts
    assert not re.search(r"http|#|\d", "".join(texts("recovery") + texts("invitation")))


def test_who_may_give_whom_a_new_way_in(cast: Cast) -> None:
    """Nobody themself; staff for patients, managers for who works here; by relation; with a fresh factor."""
    with cast.system() as work:
        people.give_role(work, cast.staff.person_id, Role.COMPLIANCE)
    for who, whose in (
        (cast.staff, cast.clinician),
        (cast.staff, cast.staff),
        (cast.manager, cast.manager),
        (cast.clinician, cast.staff),
        (cast.patient, cast.patient),
        (cast.guardian, cast.adolescent),
    ):
        with pytest.raises(Refused), cast.begin(who, fresh=True) as work:
            recovery.recover(work, whose.person_id, SEEN, NOTE)
    with pytest.raises(StepUpNeeded), cast.begin(cast.manager) as work:
        recovery.recover(work, cast.staff.person_id, SEEN, NOTE)
    with pytest.raises(Invalid), cast.begin(cast.manager, fresh=True) as work:
        recovery.recover(work, cast.staff.person_id, SEEN, " ")
    for who in (cast.clinician, cast.patient, cast.guardian):
        with pytest.raises((Refused, NotFound)), cast.begin(who, fresh=True) as work:
            patients_recovery.recover(work, cast.patient.record, SEEN, NOTE)
    with cast.begin(cast.manager, fresh=True) as work:
        assert recovery.recover(work, cast.staff.person_id, SEEN, NOTE)


def test_a_record_of_another_team_opens_to_no_recovery(cast: Cast) -> None:
    with cast.system() as work:
        people.give_role(work, cast.stranger.person_id, Role.STAFF)
    with pytest.raises(NotFound), cast.begin(cast.stranger, fresh=True) as work:
        patients_recovery.recover(work, cast.patient.record, SEEN, NOTE)


def test_a_guardian_by_the_proxy_of_this_record_alone(cast: Cast) -> None:
    from telepsych.patients.models import Proxy

    with cast.system(writes=False) as work:
        work.asked = True
        proxy = work.session.scalars(select(Proxy)).one()
    with pytest.raises(NotFound), cast.begin(cast.staff, fresh=True) as work:
        patients_recovery.recover(work, cast.patient.record, SEEN, NOTE, proxy.id)
    with cast.begin(cast.staff, fresh=True) as work:
        token = patients_recovery.recover(work, cast.adolescent.record, SEEN, NOTE, proxy.id)
        assert invitations.look_up(work, token).name == cast.guardian.name


def test_an_invitation_dies_of_age_and_of_a_later_recovery(practice: Practice, cast: Cast, app: Flask) -> None:
    """A15: only the newest, within 72 hours, once."""
    tokens = []
    for _ in range(2):
        with cast.begin(cast.staff, fresh=True) as work:
            tokens.append(patients_recovery.recover(work, cast.patient.record, SEEN, NOTE))
    assert [Visitor(app).post("/invitation", token=one).status_code for one in tokens] == [422, 200]
    practice.clock.move(72 * HOUR)
    assert Visitor(app).post("/invitation", token=tokens[1]).status_code == 422
