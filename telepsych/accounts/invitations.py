"""Invitations: a single-use way in, made by the practice, good for 72 hours and bound to one person."""

import os
import secrets
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update

from telepsych.accounts import factors, passwords, policy, service, sign_in
from telepsych.accounts.models import FactorKind, Invitation, Person
from telepsych.accounts.sign_in import SignedIn
from telepsych.audit import service as audit
from telepsych.core.actor import WORKFORCE, Actor
from telepsych.core.clock import HOUR
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Practice, Work
from telepsych.web.sessions import hash_of

GOOD_FOR = 72 * HOUR
HAND_OVER = "Hand this link over yourself, on paper or by phone. It works once, for 72 hours."
"""What an operator is told with a link."""


@dataclass(frozen=True, slots=True)
class Invited:
    """Whom an open invitation is for."""

    name: str
    email: str
    workforce: bool


def invite(work: Work, person_id: UUID) -> str:
    """Invite a person the practice knows. Returns the token, which is not kept; earlier invitations end.

    Whoever has a way in already gets another through `recovery` alone, where somebody makes sure of them and the old
    ways end: else an invitation would be a way around their password. Raises `Conflict` then, `Invalid` without an
    address. Wakes `invitation.made`.
    """
    work.require(policy.can_invite(work.actor))
    person = work.one(select(Person).where(Person.id == person_id, Person.left_at.is_(None)))
    if not person.email:
        raise Invalid(fields={"email": gettext("Please add an e-mail address first.")})
    if service.roles_of(work, person_id) & WORKFORCE:
        work.require(policy.can_manage_people(work.actor))
        work.require_fresh()
    if not work.actor.is_system and factors.has_factor(work, person_id, FactorKind.PASSWORD, FactorKind.PASSKEY):
        sentence = gettext("They sign in already. If they can't any more, make sure of them and use “A new way in”.")
        raise Conflict(sentence)
    end_open(work, person_id)
    token = secrets.token_urlsafe(32)
    row = Invitation(
        person_id=person_id,
        invited_by=work.actor.id,
        token_hash=hash_of(token),
        created_at=work.now,
        expires_at=work.now + GOOD_FOR,
    )
    work.add(row)
    audit.record(work, "invited", f"person:{person_id}", purpose="operations")
    work.wake("invitation.made", person_id=person_id)
    return token


def link_for(practice: Practice, token: str, origin: str = "") -> str:
    """The address that a token is handed over as. Behind the `#` it reaches no server and no log.

    `origin` is where a page was asked for; a command has none and means this machine.
    """
    here = practice.settings.origin or origin or f"http://127.0.0.1:{os.environ.get('TELEPSYCH_HTTP_PORT', '8000')}"
    return f"{here.rstrip('/')}/invitation#{token}"


def look_up(work: Work, token: str) -> Invited:
    """Whom the invitation is for, without using it up. Raises `Invalid` when it is used, ended, too old or unknown."""
    row = _open(work, token)
    person = work.session.get_one(Person, row.person_id)
    return Invited(person.name, person.email, bool(service.roles_of(work, person.id) & WORKFORCE))


def accept(practice: Practice, token: str, password: str, *, device: str) -> SignedIn:
    """Use the invitation up, set the person's password and sign them in. Of many parallel uses exactly one succeeds."""
    nobody = Actor(id=None, label="public:invitation")
    with practice.begin(nobody, writes=False, public="invitation") as work:
        invited = look_up(work, token)
        person = work.session.get_one(Person, _open(work, token).person_id)
        about = factors.known_words(work, person)
    passwords.check_strength(password, second_factor=invited.workforce, about=about)
    hashed = passwords.hash_password(practice.vault, password)
    with practice.begin(nobody, writes=False, public="invitation") as work:
        person_id = _open(work, token).person_id
    with practice.begin(Actor(id=person_id, label="public:invitation"), public="invitation") as work:
        row = _open(work, token)
        _use(work, row)
        person = work.session.get_one(Person, row.person_id)
        factors.set_password(work, person, hashed)
        audit.record(work, "invitation.accepted", f"person:{person.id}", purpose="operations")
        return sign_in.start_for(work, person, device)


def _open(work: Work, token: str) -> Invitation:
    row = work.session.scalar(select(Invitation).where(Invitation.token_hash == hash_of(token.strip())))
    if row is None or row.ended_at is not None:
        raise Invalid(
            gettext("We don't know this invitation. Please check the link, or ask the practice for a new one.")
        )
    if row.used_at is not None:
        raise Invalid(gettext("This invitation was used already. If that was you, please sign in."))
    if work.now >= row.expires_at:
        raise Invalid(gettext("This invitation is too old. Please call the practice and ask for a new one."))
    return row


def _use(work: Work, row: Invitation) -> None:
    still = Invitation.id == row.id, Invitation.used_at.is_(None), Invitation.ended_at.is_(None)
    if not work.changed(update(Invitation).where(*still).values(used_at=work.now)):
        raise Invalid(gettext("This invitation was used already. If that was you, please sign in."))


def end_open(work: Work, person_id: UUID) -> None:
    """End every invitation of a person that was not used; the caller has asked a policy."""
    open_ones = Invitation.person_id == person_id, Invitation.used_at.is_(None), Invitation.ended_at.is_(None)
    work.session.execute(update(Invitation).where(*open_ones).values(ended_at=work.now))
