"""Who is tied to a patient now: the teams, those who act for them, and what that makes of somebody who signs in.

Everything here is worked out at the moment of the act, from the rows and the patient's age on the practice's local
date. Nothing is remembered in a session, so a birthday or a suspension counts for pages that are already open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlalchemy import or_, select

from telepsych.accounts import service as accounts
from telepsych.core.actor import Actor, Compartment, Relation, Role, Tie
from telepsych.core.work import Work
from telepsych.patients import policy, relations
from telepsych.patients.models import CareTeam, Patient, Proxy
from telepsych.patients.relations import Part


def actor_for(work: Work, person_id: UUID, session_id: UUID | None = None, factor_at: int | None = None) -> Actor:
    """A person as an actor, with the roles, teams and ties in force now."""
    ties = [*_own_ties(work, person_id), *_given_ties(work, person_id)]
    actor = accounts.actor_of(work, person_id, session_id)
    if not actor.is_workforce:
        return replace(actor, ties=tuple(ties), factor_at=factor_at)
    barred = _relatives(work, person_id)
    ties += [tie for tie in _emergency_ties(work, person_id) if tie.patient_id not in barred]
    return replace(actor, ties=tuple(ties), factor_at=factor_at, barred=barred)


def _own_ties(work: Work, person_id: UUID) -> Iterator[Tie]:
    own = select(Patient).where(Patient.person_id == person_id, Patient.destroyed_at.is_(None))
    for patient in work.session.scalars(own):
        if opens := policy.self_reach(_years(work, patient)):
            yield Tie(patient.id, Relation.SELF, opens)


def _given_ties(work: Work, person_id: UUID) -> Iterator[Tie]:
    proxies = list(work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.person_id == person_id)))
    patients = _patients(work, [proxy.patient_id for proxy in proxies])
    for proxy in proxies:
        if tie := policy.tie_of(proxy, _years(work, patients[proxy.patient_id])):
            yield tie


def _emergency_ties(work: Work, person_id: UUID) -> Iterator[Tie]:
    for row in work.session.scalars(policy.glass_in_force(person_id, work.now)):
        yield Tie(row.patient_id, Relation.BREAK_GLASS, row.compartments)


def _relatives(work: Work, person_id: UUID) -> frozenset[UUID]:
    """Patients to whom a person is or ever was personally related, however that ended."""
    own = work.session.scalars(select(Patient.id).where(Patient.person_id == person_id))
    others = work.session.scalars(select(Proxy.patient_id).where(Proxy.person_id == person_id))
    return frozenset({*own, *others})


def team_of(work: Work, patient_id: UUID) -> frozenset[UUID]:
    """The teams that care for a patient now."""
    return frozenset(row.team_id for row in teams_in_force(work, patient_id))


def teams_in_force(work: Work, patient_id: UUID) -> list[CareTeam]:
    """The same with from when until when."""
    caring = select(CareTeam).where(
        CareTeam.patient_id == patient_id,
        CareTeam.valid_from <= work.now,
        or_(CareTeam.valid_until.is_(None), CareTeam.valid_until > work.now),
    )
    return list(work.session.scalars(caring))


def care_team(work: Work, patient_id: UUID, *roles: Role) -> frozenset[UUID]:
    """The people of a patient's teams now, of these roles if any are given; never who knows them in private life."""
    members = accounts.members_of(work, team_of(work, patient_id), *roles)
    return members - _private_people(work, patient_id) if members else members


def _private_people(work: Work, patient_id: UUID) -> frozenset[UUID]:
    own = work.session.scalars(select(Patient.person_id).where(Patient.id == patient_id))
    others = work.session.scalars(select(Proxy.person_id).where(Proxy.patient_id == patient_id))
    return frozenset(person for person in (*own, *others) if person is not None)


def people_of(work: Work, patient_id: UUID, compartment: Compartment = Compartment.GENERAL) -> frozenset[UUID]:
    """Who signs in for a patient: the patient, and proxies whose scope opens the compartment."""
    patient = work.session.get(Patient, patient_id)
    if patient is None or patient.destroyed_at is not None:
        return frozenset()
    years = _years(work, patient)
    proxies = work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.patient_id == patient_id))
    people = {proxy.person_id for proxy in proxies if compartment in policy.reach_of(proxy, years)}
    own = {patient.person_id} if patient.person_id and compartment in policy.self_reach(years) else set()
    return frozenset(people | own)


def supporters_of(work: Work, patient_id: UUID, part: Part) -> frozenset[UUID]:
    """The supporters who are shown a part."""
    patient = work.session.get(Patient, patient_id)
    if patient is None or patient.destroyed_at is not None:
        return frozenset()
    proxies = work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.patient_id == patient_id))
    return frozenset(one.person_id for one in proxies if part in policy.parts_of(one, _years(work, patient)))


def represented_by(work: Work, person_id: UUID) -> list[Patient]:
    """The patients a person may act for now, by name."""
    tied = [tie.patient_id for tie in _given_ties(work, person_id) if tie.relation is Relation.PROXY]
    return sorted(_patients(work, tied).values(), key=lambda row: row.name)


def names_of(work: Work, patient_ids: Iterable[UUID]) -> list[str]:
    """The names of patients to whom the actor has a tie of their own, for the line that says whose record it is."""
    tied = {tie.patient_id for tie in work.actor.ties}
    return sorted(row.name for row in _patients(work, tied & set(patient_ids)).values())


def _patients(work: Work, ids: Iterable[UUID]) -> dict[UUID, Patient]:
    rows = work.session.scalars(select(Patient).where(Patient.id.in_(set(ids))))
    return {row.id: row for row in rows}


def _years(work: Work, patient: Patient) -> int:
    return relations.age_at(date.fromisoformat(patient.birth_date), work.now, work.practice.settings.tz)
