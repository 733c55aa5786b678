"""Signing in: a password, then a code where one is set up; counters against guessing; invitations' last step.

Argon2 takes a tenth of a second, so it runs between units of work, never inside one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import pyotp
from sqlalchemy import select, update

from telepsych.accounts import passwords, service
from telepsych.accounts.models import Factor, FactorKind, Guess, Person
from telepsych.audit import service as audit
from telepsych.audit.models import Outcome
from telepsych.core.actor import WORKFORCE, Actor, Decision
from telepsych.core.clock import HOUR, SECOND
from telepsych.core.errors import Invalid, TooMany
from telepsych.core.words import gettext
from telepsych.core.work import Practice, Work
from telepsych.web import sessions
from telepsych.web.models import SignInSession, Stage

GUESSES_AN_HOUR = 20
"""Failed attempts per account and hour; per address it is ten times that, because a household or clinic shares one."""
STEP = 30
SEED = re.compile("[A-Z2-7]{32}")
"""160 bits in base32. The page carries it back and forth, so it is looked at again."""


class Next(StrEnum):
    """What a right first factor leads to."""

    HOME = "home"
    CODE = "code"
    AUTHENTICATOR = "authenticator"
    """Workforce accounts set up a second factor before anything opens."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The outcome of a right factor: the token for the cookie, and what comes next."""

    token: str
    next: Next
    person_id: UUID


def set_password(work: Work, person: Person, hashed: str) -> None:
    """Keep a password (already hashed) for a person, in place of an earlier one; ends their other sessions."""
    work.require(Decision(work.actor.is_system or work.actor.id == person.id))
    _end_factors(work, person.id, FactorKind.PASSWORD)
    work.add(
        Factor(
            person_id=person.id,
            kind=FactorKind.PASSWORD,
            created_at=work.now,
            confirmed_at=work.now,
            secret=hashed,
            label="",
        )
    )
    person.epoch += 1
    sessions.end_all(work, person.id)
    audit.record(work, "factor.password-set", f"person:{person.id}", purpose="operations")


def set_totp(work: Work, person: Person, seed: str, *, last_step: int = 0) -> None:
    """Keep a confirmed authenticator seed for a person, in place of an earlier one."""
    work.require(Decision(work.actor.is_system or work.actor.id == person.id))
    _end_factors(work, person.id, FactorKind.TOTP)
    work.add(
        Factor(
            person_id=person.id,
            kind=FactorKind.TOTP,
            created_at=work.now,
            confirmed_at=work.now,
            last_step=last_step,
            secret=seed,
            label="",
        )
    )
    audit.record(work, "factor.totp-set", f"person:{person.id}", purpose="operations")


def has_factor(work: Work, person_id: UUID, kind: FactorKind) -> bool:
    """Whether a person has set up a factor of this kind."""
    return _factor(work, person_id, kind) is not None


def with_password(practice: Practice, email: str, password: str, *, address: str, device: str) -> SignedIn:
    """Check an e-mail address and password and start a session. Raises `Invalid` alike for every wrong pair.

    Raises `TooMany` after too many failures against the account or from the address.
    """
    nobody = Actor(id=None, label="public:sign-in")
    subjects = _subjects(practice, email, address)
    with practice.begin(nobody, public="sign-in") as work:
        _spend_guess(work, subjects)
        person = service.find_by_email(work, email)
        factor = _factor(work, person.id, FactorKind.PASSWORD) if person else None
        kept = factor.secret if factor else None
    if not passwords.is_right(practice.vault, kept, password) or person is None:
        _note_failure(practice, nobody, person)
        raise Invalid(gettext("That e-mail address and password don't go together. Please try again."))
    with practice.begin(Actor(id=person.id, label="public:sign-in"), public="sign-in") as work:
        _give_back(work, subjects)
        return _start(work, person, device)


def with_code(practice: Practice, row: SignInSession, code: str, *, device: str) -> SignedIn:
    """Check the code of a half-finished sign-in and start the full session. Each code works once."""
    actor = Actor(id=row.person_id, label="public:sign-in")
    subjects = [practice.vault.mac("guess", f"code:{row.person_id}".encode())]
    with practice.begin(actor, public="sign-in") as work:
        _spend_guess(work, subjects)
    with practice.begin(actor, public="sign-in") as work:
        accepted = _use_code(work, row.person_id, code)
        if accepted:
            _give_back(work, subjects)
            sessions.end(work, row.id)
            person = work.session.get_one(Person, row.person_id)
            return _full(work, person, device)
    with practice.begin(actor, public="sign-in") as work:
        audit.record(work, "sign-in.wrong-code", f"person:{row.person_id}", outcome=Outcome.REFUSED)
    raise Invalid(fields={"code": gettext("That code isn't right, or was used already. Please wait for the next one.")})


def enrol(practice: Practice, row: SignInSession, seed: str, code: str, *, device: str) -> SignedIn:
    """Set up the authenticator during a half-finished sign-in, once its first code fits, and finish signing in."""
    step = code_fits(seed, code, practice.clock.now(), 0) if SEED.fullmatch(seed) else None
    if step is None:
        raise Invalid(fields={"code": gettext("That code isn't right. Please wait for the next one and try again.")})
    with practice.begin(Actor(id=row.person_id, label="public:sign-in"), public="sign-in") as work:
        work.require(Decision(not has_factor(work, row.person_id, FactorKind.TOTP)))
        person = work.session.get_one(Person, row.person_id)
        set_totp(work, person, seed, last_step=step)
        sessions.end(work, row.id)
        return _full(work, person, device)


def start_for(work: Work, person: Person, device: str) -> SignedIn:
    """Start a session for a person who has just proved themself by invitation."""
    return _start(work, person, device)


def sign_out(work: Work, row: SignInSession) -> None:
    """End the session on this device, its sockets included."""
    work.require(Decision(work.actor.id == row.person_id))
    sessions.end(work, row.id)
    audit.record(work, "signed-out", f"session:{row.id}", purpose="operations")


def code_fits(seed: str, code: str, now: int, last_step: int) -> int | None:
    """The time step a code belongs to, one step of drift either way, if it is newer than the last one used."""
    totp = pyotp.TOTP(seed)
    present = now // SECOND // STEP
    for step in (present, present - 1, present + 1):
        if step > last_step and pyotp.utils.strings_equal(totp.generate_otp(step), code.strip().replace(" ", "")):
            return step
    return None


def _start(work: Work, person: Person, device: str) -> SignedIn:
    workforce = bool(service.roles_of(work, person.id) & WORKFORCE)
    has_totp = has_factor(work, person.id, FactorKind.TOTP)
    if not (has_totp or workforce):
        return _full(work, person, device)
    _row, token = sessions.start(work, person.id, person.epoch, workforce=workforce, device=device, stage=Stage.HALF)
    audit.record(work, "sign-in.password-right", f"person:{person.id}", purpose="operations")
    return SignedIn(token, Next.CODE if has_totp else Next.AUTHENTICATOR, person.id)


def _full(work: Work, person: Person, device: str) -> SignedIn:
    workforce = bool(service.roles_of(work, person.id) & WORKFORCE)
    row, token = sessions.start(work, person.id, person.epoch, workforce=workforce, device=device)
    audit.record(work, "signed-in", f"session:{row.id}", purpose="operations")
    return SignedIn(token, Next.HOME, person.id)


def _use_code(work: Work, person_id: UUID, code: str) -> bool:
    factor = _factor(work, person_id, FactorKind.TOTP)
    if factor is None:
        return False
    step = code_fits(factor.secret, code, work.now, factor.last_step)
    if step is None:
        return False
    newer = update(Factor).where(Factor.id == factor.id, Factor.last_step < step).values(last_step=step)
    return work.changed(newer) == 1


def _factor(work: Work, person_id: UUID, kind: FactorKind) -> Factor | None:
    mine = select(Factor).where(Factor.person_id == person_id, Factor.kind == kind, Factor.ended_at.is_(None))
    return work.session.scalar(mine)


def _end_factors(work: Work, person_id: UUID, kind: FactorKind) -> None:
    for factor in work.session.scalars(
        select(Factor).where(Factor.person_id == person_id, Factor.kind == kind, Factor.ended_at.is_(None))
    ):
        factor.ended_at = work.now


def _subjects(practice: Practice, email: str, address: str) -> list[bytes]:
    account = practice.vault.blind("email", email).value
    return [
        practice.vault.mac("guess", b"account:" + account),
        practice.vault.mac("guess", b"from:" + address.encode()),
    ]


def _spend_guess(work: Work, subjects: Iterable[bytes]) -> None:
    """Count the attempt before its outcome is known, so that parallel attempts cannot outrun the limit."""
    window = work.now - work.now % HOUR
    for place, subject in enumerate(subjects):
        row = work.session.scalar(select(Guess).where(Guess.subject == subject, Guess.window == window))
        if row is None:
            row = work.add(Guess(subject=subject, window=window, count=0))
        if row.count >= GUESSES_AN_HOUR * (10 if place else 1):
            left = (window + HOUR - work.now) // SECOND
            raise TooMany(
                gettext("That was tried too often. Please wait an hour, or call the practice."), retry_after=int(left)
            )
        row.count += 1


def _give_back(work: Work, subjects: Iterable[bytes]) -> None:
    """A right factor gives its attempt back: only failures count."""
    window = work.now - work.now % HOUR
    counted = Guess.subject.in_(list(subjects)), Guess.window == window, Guess.count > 0
    work.session.execute(update(Guess).where(*counted).values(count=Guess.count - 1))


def _note_failure(practice: Practice, actor: Actor, person: Person | None) -> None:
    with practice.begin(actor, public="sign-in") as work:
        about = f"person:{person.id}" if person else "person:unknown"
        audit.record(work, "sign-in.failed", about, purpose="operations", outcome=Outcome.REFUSED)
