"""Changing the address one signs in with. The old one is told; nobody learns whether another account has the new."""

from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import service
from telepsych.accounts.guesses import Kind, Subject, spend
from telepsych.accounts.models import FormerEmail, Person
from telepsych.audit import service as audit
from telepsych.core.actor import Actor, Decision
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Practice, Work


def change(work: Work, email: str) -> None:
    """Sign in with another address from now on. Raises `Invalid` for one that cannot be used, whyever.

    Wakes `email.changing`, whose subscribers raise `Conflict` where two people may not share an address.
    """
    work.require(Decision(work.actor.id is not None))
    work.require_fresh()
    service.check_address(email)
    person = work.session.get_one(Person, work.actor.id)
    index = work.practice.vault.blind("email", email)
    if index.value == person.email_index:
        raise Invalid(fields={"email": gettext("This is the address you sign in with already.")})
    if work.session.scalar(select(Person.id).where(Person.email_index == index.value)):
        raise _cannot()
    former = FormerEmail(person_id=person.id, changed_at=work.now, email=person.email)
    person.email, person.email_index, person.email_index_version = email.strip(), index.value, index.version
    try:
        work.wake("email.changing", person_id=person.id, email=email.strip())
    except Conflict:
        raise _cannot() from None
    work.add(former)
    audit.record(work, "person.email-changed", f"person:{person.id}", purpose="operations")
    work.wake("email.changed", person_id=person.id)


def count_attempt(practice: Practice, actor: Actor) -> None:
    """Count an attempt at a new address, so that nobody tries many to learn who is known here. Raises `TooMany`."""
    subject = practice.vault.mac("guess", f"email-change:{actor.id}".encode())
    with practice.begin(actor, public="email-change") as work:
        spend(work, (Subject(Kind.CODE, subject),))


def former_address(work: Work, person_id: UUID) -> str:
    """The address a person had before the present one; empty when there was none."""
    newest = select(FormerEmail).where(FormerEmail.person_id == person_id).order_by(FormerEmail.changed_at.desc())
    found = work.session.scalar(newest.limit(1))
    return found.email if found else ""


def _cannot() -> Invalid:
    return Invalid(fields={"email": gettext("We can't use this address for you. Please try another, or call us.")})
