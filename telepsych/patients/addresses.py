"""No shared way to reach two people: whoever acts for a young person never has the same e-mail address or telephone.

With a shared address a parent would read what is meant for the young person alone. It is looked at from both sides,
and again whenever either changes: a proxy is added, a sign-in is given, a telephone or an e-mail address is changed.
"""

from uuid import UUID

from sqlalchemy import or_, select

from telepsych.accounts.models import Person
from telepsych.core.errors import Conflict
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import opening, relations
from telepsych.patients.models import Patient, Proxy


def refuse_shared(work: Work, patient_id: UUID) -> None:
    """Raise `Conflict` when the patient shares an address with somebody who acts for them, or is to.

    A child under 13 without a sign-in is reached through their parents, so nothing is compared yet.
    """
    patient = work.session.get_one(Patient, patient_id)
    if patient.person_id is None and opening.age_now(work, patient) < relations.private_from():
        return
    own = work.session.get(Person, patient.person_id) if patient.person_id else None
    emails, phones = _reached_by(own)
    phones |= {digits(patient.phone)} - {""}
    for other in _acting(work, patient_id):
        their_emails, their_phones = _reached_by(other)
        if emails & their_emails or phones & their_phones:
            raise Conflict(
                gettext("The patient and this person need an e-mail address and a phone number of their own.")
            )


def refuse_for(work: Work, person_id: UUID) -> None:
    """The same for everybody to whom a person is tied, after their e-mail address or telephone changed in this unit."""
    work.session.flush()
    theirs = select(Proxy.patient_id).where(Proxy.person_id == person_id)
    tied = or_(Patient.person_id == person_id, Patient.id.in_(theirs))
    rows = work.session.scalars(select(Patient.id).where(tied, Patient.destroyed_at.is_(None)))
    for patient_id in rows.all():
        refuse_shared(work, patient_id)


def digits(text: str) -> str:
    """A telephone number as it is compared: the last ten digits."""
    return "".join(letter for letter in text if letter.isdigit())[-10:]


def mailbox(email: str) -> str:
    """The mailbox that an address leads to: `wren+school@example.org` is read where `wren@example.org` is."""
    name, at, host = email.strip().casefold().partition("@")
    return f"{name.partition('+')[0]}{at}{host}"


def _acting(work: Work, patient_id: UUID) -> list[Person]:
    """Everybody whose authority has not ended, suspended or awaited as it may be."""
    still = or_(Proxy.valid_until.is_(None), Proxy.valid_until > work.now)
    acting = select(Proxy.person_id).where(Proxy.patient_id == patient_id, still)
    return list(work.session.scalars(select(Person).where(Person.id.in_(acting))))


def _reached_by(person: Person | None) -> tuple[set[str], set[str]]:
    if person is None:
        return set(), set()
    return {mailbox(person.email)} - {""}, {digits(person.phone)} - {""}
