"""The telephone of somebody who signs in. Their e-mail address is theirs to change (`emails`)."""

from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import policy
from telepsych.accounts.models import Person
from telepsych.audit import service as audit
from telepsych.core.work import Work


def change_phone(work: Work, person_id: UUID, phone: str) -> Person:
    """Write down another telephone, by the person themself or by staff who were told. Asks for a fresh factor.

    Wakes `phone.changing`, whose subscribers raise `Conflict` where two people may not share one.
    """
    person = work.one(select(Person).where(Person.id == person_id, Person.left_at.is_(None)))
    mine = policy.is_oneself(work.actor, person)
    work.require(mine if mine else policy.can_invite(work.actor))
    work.require_fresh()
    person.phone = phone.strip()
    work.session.flush()
    audit.record(work, "person.phone-changed", f"person:{person_id}", purpose="operations")
    work.wake("phone.changing", person_id=person_id)
    return person
