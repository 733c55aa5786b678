"""Who can see what: one table for the patient, for whoever acts for them, and for their team.

`table` is a pure function: it asks the policies about everybody who has a tie to the patient and writes down what they
answer, so the page cannot say anything else than what is enforced. A test opens the rooms as each of them and compares.
Whether the private space is used is not in it: only who could see it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from telepsych.accounts import service as accounts
from telepsych.audit import service as audit
from telepsych.core.actor import Actor, Compartment, Relation, Role, Tie
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy, proxies, relations, ties
from telepsych.patients.models import Authority, Patient, Proxy
from telepsych.patients.opening import age_now
from telepsych.patients.relations import Part, reached_at


class What(StrEnum):
    """What there is to see in a part of a record."""

    MESSAGES = "messages"
    VISITS = "visits"
    ANSWERS = "answers"
    MEDICINES = "medicines"
    CONSENTS = "consents"
    LOOKS = "looks"
    """Who looked at the record."""


IN_EVERY_COMPARTMENT = (What.MESSAGES, What.ANSWERS)
"""Kept where they were said: in the shared part, in confidence, or set apart. All else is in the shared part."""
CARE = (Role.CLINICIAN, Role.STAFF, Role.MANAGER)


@dataclass(frozen=True, slots=True)
class Holder:
    """One who has a tie to the patient, as policies know them. `until` is when it ends at the latest."""

    name: str
    why: str
    tie: Tie | None
    roles: frozenset[Role] = frozenset()
    since: int | None = None
    until: int | None = None
    person_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What one person, or all of one kind, can see. `sees` lists the compartments of each kind of thing."""

    name: str
    why: str
    relation: Relation
    opens: frozenset[Compartment]
    sees: dict[What, frozenset[Compartment]]
    since: int | None
    until: int | None
    person_id: UUID | None = None

    def can_see(self, what: What, compartment: Compartment = Compartment.GENERAL) -> bool:
        """Whether they see this kind of thing in a compartment."""
        return compartment in self.sees[what]


@dataclass(frozen=True, slots=True)
class Sight:
    """The page. `has_private_space` for a young person; `next_change` is when age changes something by itself."""

    patient_id: UUID
    name: str
    lines: list[Line]
    has_private_space: bool
    is_minor: bool
    mine: bool
    next_change: int | None
    next_age: int | None


def table(holders: Iterable[Holder], patient_id: UUID) -> list[Line]:
    """What each of them sees, as the policies say. Who sees nothing is left out."""
    lines = []
    for one in holders:
        actor = Actor(id=one.person_id, roles=one.roles, ties=(one.tie,) if one.tie else ())
        opens = _opens(one, actor, patient_id)
        sees = {what: _sees(what, actor, patient_id, opens) for what in What}
        if any(sees.values()):
            relation = one.tie.relation if one.tie else Relation.TEAM
            lines.append(Line(one.name, one.why, relation, opens, sees, one.since, one.until, one.person_id))
    return lines


def _opens(one: Holder, actor: Actor, patient_id: UUID) -> frozenset[Compartment]:
    if one.tie is not None:
        return frozenset(part for part in Compartment if patient_id in actor.own(part))
    return frozenset(part for part in Compartment if actor.has(*policy.team_readers(part)))


def _sees(what: What, actor: Actor, patient_id: UUID, opens: frozenset[Compartment]) -> frozenset[Compartment]:
    general = frozenset({Compartment.GENERAL})
    if what is What.LOOKS:
        return general & policy.open_compartments(actor, patient_id)
    if what in IN_EVERY_COMPARTMENT:
        return opens
    part = {What.VISITS: Part.VISITS, What.MEDICINES: Part.MEDICINES}.get(what)
    shown = part is not None and bool(policy.can_see_part(actor, patient_id, part))
    return general if shown or Compartment.GENERAL in opens else frozenset()


def sight_of(work: Work, patient_id: UUID) -> Sight:
    """The page about a patient. Raises `NotFound` for those who open no record, `Refused` for a supporter."""
    patient = work.one(policy.patients_of(work.actor, work.now).where(Patient.id == patient_id))
    work.require(policy.can_see_sight(work.actor, patient_id))
    audit.look(work, "sight.read", patient_id)
    years = age_now(work, patient)
    steps = [step.age for step in relations.ages().steps if step.age > years]
    zone, born = work.practice.settings.tz, date.fromisoformat(patient.birth_date)
    next_age = min(steps, default=None)
    return Sight(
        patient_id=patient_id,
        name=patient.name,
        lines=table(holders_of(work, patient), patient_id),
        has_private_space=relations.private_from() <= years < relations.adult_from(),
        is_minor=years < relations.adult_from(),
        mine=policy.is_oneself(work.actor, patient_id),
        next_change=reached_at(born, next_age, zone) if next_age else None,
        next_age=next_age,
    )


def holders_of(work: Work, patient: Patient) -> list[Holder]:
    """Everybody with a tie to a patient now: themself, those who act for them, and the people of their teams."""
    own = _own(patient, age_now(work, patient), work.practice.settings.tz)
    return [*own, *_acting(work, patient), *_caring(work, patient.id)]


def _own(patient: Patient, years: int, zone: ZoneInfo) -> list[Holder]:
    opens = policy.self_reach(years)
    if patient.person_id is None or not opens:
        return []
    since = max(patient.created_at, reached_at(date.fromisoformat(patient.birth_date), relations.private_from(), zone))
    tie = Tie(patient.id, Relation.SELF, opens)
    why = gettext("Their own record")
    return [Holder(patient.name, why, tie, frozenset({Role.PATIENT}), since, person_id=patient.person_id)]


def _acting(work: Work, patient: Patient) -> list[Holder]:
    rows = list(work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.patient_id == patient.id)))
    names, years = accounts.names_of(work, [row.person_id for row in rows]), age_now(work, patient)
    found = []
    for row in rows:
        tie, ground = policy.tie_of(row, years), relations.grounds()[Authority(row.authority)]
        if tie is not None:
            until = proxies.ends_at(work, patient, row)
            found.append(
                Holder(
                    names[row.person_id].name,
                    ground.label,
                    tie,
                    frozenset({Role.GUARDIAN}),
                    row.valid_from,
                    until,
                    row.person_id,
                )
            )
    return sorted(found, key=lambda one: (one.tie is not None and one.tie.relation is Relation.SUPPORTER, one.name))


def _caring(work: Work, patient_id: UUID) -> list[Holder]:
    """The people of the teams that care now, by name; never who knows the patient in private life."""
    rows = ties.teams_in_force(work, patient_id)
    people = ties.care_team(work, patient_id, *CARE)
    found: dict[UUID, Holder] = {}
    for row in sorted(rows, key=lambda one: one.valid_from):
        members = accounts.members_of(work, [row.team_id], *CARE) & people
        for person_id, named in accounts.names_of(work, members).items():
            roles = accounts.roles_of(work, person_id)
            until = _later(found[person_id].until, row.valid_until) if person_id in found else row.valid_until
            since = found[person_id].since if person_id in found else row.valid_from
            found[person_id] = Holder(named.name, _title(named.title, roles), None, roles, since, until, person_id)
    return sorted(found.values(), key=lambda one: (Role.CLINICIAN not in one.roles, one.name))


def _later(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def _title(title: str, roles: frozenset[Role]) -> str:
    """What they are in the team, in the patient's words."""
    if not title:
        title = gettext("clinician") if Role.CLINICIAN in roles else gettext("staff")
    return gettext("Care team, %(title)s") % {"title": title}
