"""Showing a fresh factor in the middle of a session. The session gets a new id; pages that are open stay good.

Whoever has a passkey shows it, or types their password and, where an authenticator is set up, its code.
"""

from uuid import UUID

from telepsych.accounts import factors, guesses, passkeys, passwords, totp
from telepsych.accounts.models import ChallengeUse, FactorKind, Person
from telepsych.accounts.passkeys import Browser
from telepsych.audit import service as audit
from telepsych.audit.models import Outcome
from telepsych.core.actor import Actor, Decision
from telepsych.core.errors import Invalid, SignInNeeded
from telepsych.core.words import gettext
from telepsych.core.work import Practice, Work
from telepsych.web import sessions
from telepsych.web.models import SignInSession
from telepsych.web.sessions import Standing


def ways(work: Work) -> tuple[bool, bool]:
    """Whether the actor may show a passkey, and whether a code is asked for beside the password."""
    work.require(Decision(work.actor.id is not None))
    person_id = _me(work.actor)
    has = factors.has_factor
    return has(work, person_id, FactorKind.PASSKEY), has(work, person_id, FactorKind.TOTP)


def passkey_options(work: Work, browser: Browser) -> str:
    """What the browser needs to show a passkey of the actor's once more, as JSON."""
    work.require(Decision(work.actor.id is not None))
    return passkeys.options_for_step_up(work, browser, _me(work.actor))


def with_passkey(practice: Practice, actor: Actor, browser: Browser, answer: str) -> str:
    """Show a passkey. Returns the token of the session's new id. Raises `Invalid`."""
    try:
        shown = passkeys.check_shown(practice, browser, answer, ChallengeUse.STEP_UP, _me(actor))
        with practice.begin(actor) as work:
            passkeys.note_use(work, shown)
            return _renew(work)
    except Invalid:
        _note_refused(practice, actor)
        raise


def with_password(practice: Practice, actor: Actor, password: str, code: str, *, address: str) -> str:
    """Type the password, and the code where there is an authenticator. Returns the token of the session's new id.

    Raises `Invalid` and `TooMany`; guesses count with those at the door.
    """
    with practice.begin(actor, writes=False) as work:
        work.require(Decision(True))
        person = work.session.get_one(Person, _me(actor))
        kept, asks_code = factors.password_of(work, person.id), factors.has_factor(work, person.id, FactorKind.TOTP)
        subjects = guesses.of_password(practice, person.email, address)
    if asks_code:
        subjects += guesses.of_code(practice, person.id)
    with practice.begin(actor, public="step-up") as work:
        guesses.spend(work, subjects)
    is_right = passwords.is_right(practice.vault, kept, password)
    try:
        with practice.begin(actor) as work:
            work.require(Decision(True))
            if not is_right or (asks_code and not totp.use_code(work, person.id, code)):
                raise _wrong(asks_code)
            guesses.give_back(work, subjects)
            return _renew(work)
    except Invalid:
        _note_refused(practice, actor)
        raise


def _renew(work: Work) -> str:
    work.require(Decision(work.actor.session_id is not None))
    mine = work.actor.session_id  # under its lock: whoever ends it at this moment is not overtaken
    row = work.session.get_one(SignInSession, mine, with_for_update=True, populate_existing=True)
    person = work.session.get_one(Person, row.person_id)
    if sessions.standing(row, person.epoch, work.now, work.practice.settings) is not Standing.OPEN:
        raise SignInNeeded
    audit.record(work, "step-up.done", f"session:{row.id}", purpose="operations")
    return sessions.renew(work, row, person.epoch)


def _wrong(asks_code: bool) -> Invalid:
    if asks_code:
        return Invalid(gettext("The password or the code wasn't right. Please try again with the next code."))
    return Invalid(gettext("That password wasn't right. Please try again."))


def _me(actor: Actor) -> UUID:
    if actor.id is None:
        raise SignInNeeded
    return actor.id


def _note_refused(practice: Practice, actor: Actor) -> None:
    with practice.begin(actor, public="step-up") as work:
        guesses.note_failure(work)
        audit.record(work, "step-up.failed", f"person:{actor.id}", purpose="operations", outcome=Outcome.REFUSED)
