"""Whom a page names: people by their own name, patients by theirs with an entry that an overseer read it."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from telepsych.accounts import service as accounts
from telepsych.accounts.service import Named
from telepsych.audit import service as audit
from telepsych.core.actor import Role
from telepsych.core.errors import NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.oversight import policy

READ = "oversight.read"


def name_of(names: dict[UUID, Named], person_id: UUID | None) -> str:
    """A person's name; the practice's own clockwork has none."""
    if person_id is None:
        return gettext("The practice's computers")
    named = names.get(person_id)
    return named.name if named else gettext("Somebody who is no longer here")


def patient_names(work: Work, patient_ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """The names of patients, for those who oversee. Each one read leaves a look."""
    work.require(policy.can_see_counts(work.actor))
    wanted = {one for one in patient_ids if one is not None}
    rows = work.session.scalars(policy.names_of_patients(wanted)).all() if wanted else []
    for row in rows:
        audit.look(work, READ, row.id, purpose="operations")
    return dict.fromkeys(wanted, gettext("somebody whose record was destroyed")) | {row.id: row.name for row in rows}


def workforce(work: Work) -> list[Named]:
    """Everybody who works here now, by name."""
    work.require(policy.can_oversee(work.actor))
    roles = (Role.CLINICIAN, Role.STAFF, Role.MANAGER, Role.COMPLIANCE)
    people = accounts.names_of(work, work.session.scalars(policy.holders(work.now, *roles)))
    return sorted(people.values(), key=lambda one: one.name)


def officers(work: Work) -> frozenset[UUID]:
    """The compliance officers now."""
    return frozenset(work.session.scalars(policy.officers(work.now)))


@dataclass(frozen=True, slots=True)
class PassedOn:
    """What compliance officers may not review, so that managers do: their own access, and people they know."""

    officers: frozenset[UUID]
    patients: frozenset[UUID]

    def holds(self, person_id: UUID, patient_id: UUID | None) -> bool:
        """Whether an access of this person to this record is passed on."""
        return person_id in self.officers or patient_id in self.patients


def passed_on(work: Work) -> PassedOn:
    """What is passed on to the managers now."""
    known = frozenset(work.session.scalars(policy.private_to_officers(work.now)))
    return PassedOn(officers(work), known)


def overseers(work: Work, patient_id: UUID | None = None) -> frozenset[UUID]:
    """Who is told what has to be overseen: the compliance officers, or the managers where there are none; both when it
    is about a patient whom an officer knows in private life."""
    found = officers(work)
    if found and (patient_id is None or patient_id not in passed_on(work).patients):
        return found
    return found | frozenset(work.session.scalars(policy.holders(work.now, Role.MANAGER)))


def parse_person(work: Work, text: str) -> Named:
    """One of the workforce by id. Raises `NotFound`."""
    found = next((one for one in workforce(work) if str(one.id) == text), None)
    if found is None:
        raise NotFound
    return found
