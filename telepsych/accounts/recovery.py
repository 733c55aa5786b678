"""A new way in for somebody who lost theirs, given by the practice once it is sure who is asking.

Never by e-mail alone: a person of the practice says how they made sure, every old factor and session ends, and the
one-time invitation is handed over by hand. A notice goes to the person's address; it holds no link.
"""

from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import invitations, offboarding, people, policy, service
from telepsych.accounts.models import HowVerified, Person, Recovery
from telepsych.audit import service as audit
from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work

SHORTEST_NOTE, LONGEST_NOTE = 10, 2_000


def recover(work: Work, person_id: UUID, how: HowVerified, note: str) -> str:
    """End every old way in of a person and make a new one. Returns the invitation's token, which is not kept.

    `note` says what was seen or asked. For a patient or guardian, call it through `patients.recovery`, which asks for
    the relation as well. Raises `Invalid` without a note. Wakes `person.recovered`.
    """
    roles = service.roles_of(work, person_id)
    work.require(policy.can_recover(work.actor, person_id, roles))
    work.require_fresh()
    if not SHORTEST_NOTE <= len(note.strip()) <= LONGEST_NOTE:
        raise Invalid(fields={"note": gettext("Please say in a sentence what you saw or asked.")})
    person = work.one(select(Person).where(Person.id == person_id, Person.left_at.is_(None)))
    offboarding.end_ways_in(work, person_id)
    people.begin_anew(work, person)
    work.add(Recovery(person_id=person_id, at=work.now, by_id=work.actor.id, how=how, note=note.strip()))
    audit.record(work, "person.recovered", f"person:{person_id}", purpose="operations", detail={"how": how})
    work.wake("person.recovered", person_id=person_id)
    return invitations.invite(work, person_id)


def how_of(text: str) -> HowVerified:
    """The way somebody was made sure of, as a form names it. Raises `Invalid`."""
    try:
        return HowVerified(text)
    except ValueError:
        raise Invalid(fields={"how": gettext("Please say how you made sure.")}) from None


def how_words() -> list[tuple[str, str]]:
    """How somebody may be made sure of."""
    return [
        (HowVerified.IN_PERSON, gettext("Seen in person, with an identity card")),
        (HowVerified.VOICE, gettext("A voice I know, and two facts only they know")),
        (HowVerified.VIDEO, gettext("Seen by video, with an identity card")),
    ]
