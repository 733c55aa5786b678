"""What a person can show to prove who they are: listed, added, replaced and removed. E-mail never counts.

Every change asks for a fresh factor and tells the person. Who works here keeps a second factor at all times, and nobody
can remove their last way in: a password is changed and never removed, and it is one way in.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from telepsych.accounts import passkeys, policy, service, sheets, totp
from telepsych.accounts.models import Factor, FactorKind, Person
from telepsych.accounts.passkeys import Browser, Made
from telepsych.audit import service as audit
from telepsych.core.actor import WORKFORCE, Decision
from telepsych.core.errors import Conflict, Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.web import sessions
from telepsych.web.models import SignInSession

SECOND = (FactorKind.TOTP, FactorKind.PASSKEY)
"""What counts beside a password. A passkey alone counts as both."""
MOST_PASSKEYS = 20
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its owner knows it."""

    id: UUID
    name: str
    created_at: int
    used_at: int | None
    synced: bool
    """Kept by an account such as a phone's maker's, hence on several devices."""


@dataclass(frozen=True, slots=True)
class Factors:
    """How somebody signs in."""

    password_since: int | None
    authenticator_since: int | None
    passkeys: tuple[Passkey, ...]
    lines_left: int
    needs_two: bool
    """Whether a second factor must stay: everybody who works here."""

    @property
    def has_second(self) -> bool:
        return self.authenticator_since is not None or bool(self.passkeys)

    @property
    def may_remove_authenticator(self) -> bool:
        return self.authenticator_since is not None and not (self.needs_two and not self.passkeys)

    @property
    def may_remove_passkey(self) -> bool:
        spare = self.authenticator_since is not None or len(self.passkeys) > 1
        return spare if self.needs_two else spare or self.password_since is not None


def factors_of(work: Work, person_id: UUID) -> Factors:
    """How a person signs in. For themself, and for who looks after people."""
    work.require(Decision(work.actor.id == person_id or bool(policy.can_invite(work.actor))))
    return _factors(work, person_id)


def _factors(work: Work, person_id: UUID) -> Factors:
    password, authenticator = _one(work, person_id, FactorKind.PASSWORD), totp.confirmed(work, person_id)
    return Factors(
        password_since=password.created_at if password else None,
        authenticator_since=authenticator.created_at if authenticator else None,
        passkeys=tuple(
            Passkey(one.id, one.label, one.created_at, one.used_at, bool(one.details.get("backed_up")))
            for one in passkeys.passkeys_of(work, person_id)
        ),
        lines_left=sheets.left(work, person_id),
        needs_two=is_workforce(work, person_id),
    )


def has_factor(work: Work, person_id: UUID, *kinds: FactorKind) -> bool:
    """Whether a person has set up a factor of one of these kinds."""
    mine = select(Factor.id).where(
        Factor.person_id == person_id,
        Factor.kind.in_(kinds),
        Factor.confirmed_at.is_not(None),
        Factor.ended_at.is_(None),
    )
    return work.session.scalar(mine.limit(1)) is not None


def owes_second(work: Work, person_id: UUID) -> bool:
    """Whether a person used a line of their recovery sheet and has set nothing up since: then a password is not enough.

    A new password counts: somebody without one gets it from the practice, which has made sure of them.
    """
    used = select(func.max(Factor.used_at)).where(Factor.person_id == person_id, Factor.kind == FactorKind.RECOVERY)
    at = work.session.scalar(used)
    if at is None:
        return False
    since = Factor.person_id == person_id, Factor.kind != FactorKind.RECOVERY, Factor.confirmed_at >= at
    return work.session.scalar(select(Factor.id).where(*since).limit(1)) is None


def is_workforce(work: Work, person_id: UUID) -> bool:
    """Whether a person works here now."""
    return bool(service.roles_of(work, person_id) & WORKFORCE)


def password_of(work: Work, person_id: UUID) -> str | None:
    """The kept hash of a person's password."""
    found = _one(work, person_id, FactorKind.PASSWORD)
    return found.secret if found else None


# Setting up: also during an invitation or half a sign-in, when there is nothing yet to be fresh with


def set_password(work: Work, person: Person, hashed: str) -> None:
    """Keep a password (already hashed) for a person, in place of an earlier one; ends all their sessions."""
    work.require(Decision(work.actor.is_system or work.actor.id == person.id))
    _end(work, person.id, FactorKind.PASSWORD)
    _keep(work, person.id, FactorKind.PASSWORD, secret=hashed)
    person.epoch += 1
    sessions.end_all(work, person.id)
    audit.record(work, "factor.password-set", f"person:{person.id}", purpose="operations")


def set_totp(work: Work, person: Person, seed: str, *, last_step: int = 0) -> None:
    """Keep a confirmed authenticator seed for a person, in place of an earlier one."""
    work.require(Decision(work.actor.is_system or work.actor.id == person.id))
    _end(work, person.id, FactorKind.TOTP)
    _keep(work, person.id, FactorKind.TOTP, secret=seed, last_step=last_step)
    audit.record(work, "factor.totp-set", f"person:{person.id}", purpose="operations")


def keep_passkey(work: Work, person: Person, made: Made, name: str) -> None:
    """Keep a passkey that was checked. Raises `Conflict` when somebody has it already, `Invalid` for too many."""
    work.require(Decision(work.actor.is_system or work.actor.id == person.id))
    if work.session.scalar(select(Factor.id).where(Factor.proof == made.proof)):
        raise Conflict(gettext("This passkey is set up already."))
    if len(passkeys.passkeys_of(work, person.id)) >= MOST_PASSKEYS:
        raise Invalid(gettext("Please remove a passkey that you no longer use first."))
    row = _keep(work, person.id, FactorKind.PASSKEY, label=_name(name))
    row.proof, row.sign_count, row.details = made.proof, made.sign_count, made.details
    audit.record(work, "factor.passkey-added", f"person:{person.id}", purpose="operations")


# Changes by the person themself


def change_password(work: Work, hashed: str) -> str:
    """Change the actor's own password. Every session ends; returns the token of a new one for this browser."""
    person = _me_fresh(work)
    row = work.session.get_one(SignInSession, work.actor.session_id)
    set_password(work, person, hashed)
    _tell(work, person)
    return sessions.renew(work, row, person.epoch)


def offer_passkey(work: Work, browser: Browser) -> str:
    """What the browser needs to make another passkey of the actor's own, as JSON."""
    person = _me_fresh(work)
    audit.record(work, "factor.passkey-offered", f"person:{person.id}", purpose="operations")
    return passkeys.options_for_new(work, browser, person)


def add_passkey(work: Work, made: Made, name: str) -> None:
    """Add a passkey of the actor's own."""
    person = _me_fresh(work)
    keep_passkey(work, person, made, name)
    _tell(work, person)


def rename_passkey(work: Work, factor_id: UUID, name: str) -> None:
    """Call a passkey of one's own something else."""
    factor = _own_passkey(work, factor_id)
    factor.label = _name(name)
    audit.record(work, "factor.passkey-renamed", f"person:{factor.person_id}", purpose="operations")


def remove_passkey(work: Work, factor_id: UUID) -> None:
    """Remove a passkey of one's own. Raises `Conflict` when it is the last factor that has to stay."""
    person = _me_fresh(work)
    factor = _own_passkey(work, factor_id)
    if not _factors(work, person.id).may_remove_passkey:
        raise Conflict(gettext("This is your last second step. Please set up another one first."))
    factor.ended_at = work.now
    audit.record(work, "factor.passkey-removed", f"person:{person.id}", purpose="operations")
    _tell(work, person)


def offer_authenticator(work: Work) -> str:
    """The seed of a new authenticator of the actor's own; the old one works until the new one's first code."""
    return totp.offer(work, _me_fresh(work).id)


def replace_authenticator(work: Work, code: str) -> None:
    """Take the new authenticator's first code, and with it the new one in place of the old. Raises `Invalid`."""
    person = _me_fresh(work)
    accepted = totp.accept(work, person.id, code)
    if accepted is None:
        raise wrong_first_code()
    set_totp(work, person, accepted[0], last_step=accepted[1])
    _tell(work, person)


def remove_authenticator(work: Work) -> None:
    """Sign in without an authenticator from now on. Raises `Conflict` when it is the last factor that has to stay."""
    person = _me_fresh(work)
    if not _factors(work, person.id).may_remove_authenticator:
        raise Conflict(gettext("This is your last second step. Please set up another one first."))
    _end(work, person.id, FactorKind.TOTP)
    audit.record(work, "factor.totp-removed", f"person:{person.id}", purpose="operations")
    _tell(work, person)


def new_sheet(work: Work) -> list[str]:
    """A new recovery sheet of the actor's own, in place of the old one. Its lines are shown once and not kept."""
    person = _me_fresh(work)
    lines = sheets.make(work, person.id)
    audit.record(work, "factor.sheet-made", f"person:{person.id}", purpose="operations")
    _tell(work, person)
    return lines


# When factors are lost


def use_line(work: Work, person: Person, line: str) -> bool:
    """Use up a line of the recovery sheet: every second factor ends, and a new one is set up before anything opens."""
    work.require(Decision(work.actor.id == person.id))
    if not sheets.use_line(work, person.id, line):
        return False
    for kind in SECOND:
        _end(work, person.id, kind)
    audit.record(work, "factor.line-used", f"person:{person.id}", purpose="operations")
    work.wake("factors.line-used", person_id=person.id)
    return True


def end_all_factors(work: Work, person_id: UUID) -> None:
    """End every way in of a person who left, or who lost theirs and whose identity the practice has made sure of."""
    for_workforce = policy.can_manage_people if is_workforce(work, person_id) else policy.can_invite
    work.require(for_workforce(work.actor))
    for kind in FactorKind:
        _end(work, person_id, kind)
    audit.record(work, "factors.ended", f"person:{person_id}", purpose="operations")


def wrong_first_code() -> Invalid:
    """A first code that doesn't fit the seed that was shown."""
    return Invalid(fields={"code": gettext("That code isn't right. Please wait for the next one and try again.")})


def _me_fresh(work: Work) -> Person:
    """The actor as a person, who has just shown a factor."""
    work.require(Decision(work.actor.id is not None))
    work.require_fresh()
    return work.session.get_one(Person, work.actor.id)


def _own_passkey(work: Work, factor_id: UUID) -> Factor:
    work.require(Decision(work.actor.id is not None))
    factor = work.session.get(Factor, factor_id)
    is_theirs = factor is not None and factor.person_id == work.actor.id and factor.kind is FactorKind.PASSKEY
    if factor is None or not is_theirs or factor.ended_at is not None:
        raise NotFound
    return factor


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME:
        raise Invalid(fields={"name": gettext("Please give it a name of up to 60 characters, such as “My phone”.")})
    return name


def _one(work: Work, person_id: UUID, kind: FactorKind) -> Factor | None:
    mine = select(Factor).where(Factor.person_id == person_id, Factor.kind == kind, Factor.ended_at.is_(None))
    return work.session.scalar(mine)


def _keep(
    work: Work, person_id: UUID, kind: FactorKind, *, secret: str = "", label: str = "", last_step: int = 0
) -> Factor:
    row = Factor(person_id=person_id, kind=kind, created_at=work.now, confirmed_at=work.now, last_step=last_step)
    row.secret, row.label = secret, label
    return work.add(row)


def _end(work: Work, person_id: UUID, *kinds: FactorKind) -> None:
    mine = select(Factor).where(Factor.person_id == person_id, Factor.kind.in_(kinds), Factor.ended_at.is_(None))
    for factor in work.session.scalars(mine):
        factor.ended_at = work.now


def _tell(work: Work, person: Person) -> None:
    """Tell the person, outside the product, that the way they sign in has changed."""
    work.wake("factors.changed", person_id=person.id)


def known_words(work: Work, person: Person) -> Collection[str]:
    """What others know of a person, and would try as their password."""
    return (
        person.name,
        person.email,
        person.email.partition("@")[0],
        work.practice.settings.practice_name,
        "telepsych",
    )
