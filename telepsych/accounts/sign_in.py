"""Signing in: a passkey; or a password, then a code where one is set up. Setting the second factor up on the way.

Argon2 takes a tenth of a second, so it runs between units of work, never inside one.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID
from weakref import WeakKeyDictionary

from telepsych.accounts import factors, guesses, passkeys, passwords, service, totp
from telepsych.accounts.guesses import Subject
from telepsych.accounts.models import ChallengeUse, FactorKind, Person
from telepsych.accounts.passkeys import Browser
from telepsych.audit import service as audit
from telepsych.audit.models import Outcome
from telepsych.core.actor import Actor, Decision
from telepsych.core.errors import Invalid, SignInNeeded
from telepsych.core.words import gettext
from telepsych.core.work import Practice, Work
from telepsych.crypto.scopes import NOBODY, practice_scope
from telepsych.crypto.vault import Vault
from telepsych.web import sessions
from telepsych.web.models import SignInSession, Stage

PUBLIC = "sign-in"
_in_vain: WeakKeyDictionary[Vault, bytes] = WeakKeyDictionary()
"""Something sealed that is opened where there is no account, by vault."""


class Next(StrEnum):
    """What a right factor leads to."""

    HOME = "home"
    CODE = "code"
    """The second factor is asked for: a code, a passkey, or a line of the recovery sheet."""
    AUTHENTICATOR = "authenticator"
    """A second factor is set up before anything opens."""
    SHEET = "sheet"
    """In, with a new second factor: a recovery sheet is offered."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The outcome of a right factor: the token for the cookie, and what comes next."""

    token: str
    next: Next
    person_id: UUID


def with_passkey(
    practice: Practice, browser: Browser, answer: str, *, device: str, half: SignInSession | None = None
) -> SignedIn:
    """Sign in whoever shows a passkey of theirs: two factors at once. Raises `Invalid` alike for every wrong one.

    `half` is a half-finished sign-in of this browser, which this finishes. Wrong passwords do not slow this down.
    """
    nobody = Actor(id=None, label="public:sign-in")
    try:
        shown = passkeys.check_shown(practice, browser, answer, ChallengeUse.SIGN_IN)
        with practice.begin(_self(shown.person_id), public=PUBLIC) as work:
            passkeys.note_use(work, shown)
            if half is not None:
                sessions.end(work, half.id)
            return _full(work, work.session.get_one(Person, shown.person_id), device)
    except Invalid:
        _note_refused(practice, nobody, "sign-in.wrong-passkey", None)
        raise


def with_password(practice: Practice, email: str, password: str, *, address: str, device: str) -> SignedIn:
    """Check an e-mail address and password and start a session. Raises `Invalid` alike for every wrong pair.

    Raises `TooMany` after too many failures against the account or from the network.
    """
    nobody = Actor(id=None, label="public:sign-in")
    subjects = guesses.of_password(practice, email, address)
    with practice.begin(nobody, writes=False, public=PUBLIC) as work:
        guesses.check(work, subjects)
    with practice.begin(nobody, public=PUBLIC) as work:
        guesses.spend(work, subjects)
        person = service.find_by_email(work, email)
        kept = _kept(work, person)
    if not passwords.is_right(practice.vault, kept, password) or person is None:
        _note_refused(practice, nobody, "sign-in.failed", person.id if person else None)
        raise Invalid(gettext("That e-mail address and password don't go together. Please try again."))
    with practice.begin(_self(person.id), public=PUBLIC) as work:
        guesses.give_back(work, subjects)
        return _start(work, person, device)


def with_code(practice: Practice, row: SignInSession, code: str, *, device: str) -> SignedIn:
    """Check the code of a half-finished sign-in and start the full session. Each code works once."""
    subjects = _spend_code(practice, row.person_id)
    try:
        with practice.begin(_self(row.person_id), public=PUBLIC) as work:
            if not totp.use_code(work, row.person_id, code):
                message = gettext("That code isn't right, or was used already. Please wait for the next one.")
                raise Invalid(fields={"code": message})
            guesses.give_back(work, subjects)
            return _finish(work, row, device)
    except Invalid:
        _note_refused(practice, _self(row.person_id), "sign-in.wrong-code", row.person_id)
        raise


def with_line(practice: Practice, row: SignInSession, line: str, *, device: str) -> SignedIn:
    """Take a line of the recovery sheet in a half-finished sign-in: the old second factors end, a new one is set up.

    Answers another half session, which opens nothing but setting up. Each line works once.
    """
    subjects = _spend_code(practice, row.person_id)
    try:
        with practice.begin(_self(row.person_id), public=PUBLIC) as work:
            person = work.session.get_one(Person, row.person_id)
            if not factors.use_line(work, person, line):
                raise Invalid(fields={"line": gettext("We don't know this line, or it was used already.")})
            guesses.give_back(work, subjects)
            sessions.end_all(work, person.id)
            return SignedIn(_half(work, person, device), Next.AUTHENTICATOR, person.id)
    except Invalid:
        _note_refused(practice, _self(row.person_id), "sign-in.wrong-line", row.person_id)
        raise


def offer(practice: Practice, row: SignInSession) -> str:
    """The seed of the authenticator that is set up during a half-finished sign-in."""
    with practice.begin(_self(row.person_id), public=PUBLIC) as work:
        _require_none(work, row)
        return totp.offer(work, row.person_id)


def enrol(practice: Practice, row: SignInSession, code: str, *, device: str) -> SignedIn:
    """Take the authenticator's first code during a half-finished sign-in, and finish it."""
    with practice.begin(_self(row.person_id), public=PUBLIC) as work:
        _require_none(work, row)
        accepted = totp.accept(work, row.person_id, code)
        if accepted is None:
            raise factors.wrong_first_code()
        person = work.session.get_one(Person, row.person_id)
        factors.set_totp(work, person, accepted[0], last_step=accepted[1])
        return _finish(work, row, device, Next.SHEET)


def offer_passkey(practice: Practice, row: SignInSession, browser: Browser) -> str:
    """What the browser needs to make the passkey that is set up during a half-finished sign-in, as JSON."""
    with practice.begin(_self(row.person_id), public=PUBLIC) as work:
        _require_none(work, row)
        person = work.session.get_one(Person, row.person_id)
        audit.record(work, "factor.passkey-offered", f"person:{person.id}", purpose="operations")
        return passkeys.options_for_new(work, browser, person)


def enrol_passkey(
    practice: Practice, row: SignInSession, browser: Browser, answer: str, name: str, *, device: str
) -> SignedIn:
    """Keep the passkey that was made during a half-finished sign-in, and finish it."""
    made = passkeys.check_new(practice, browser, answer, row.person_id)
    with practice.begin(_self(row.person_id), public=PUBLIC) as work:
        _require_none(work, row)
        factors.keep_passkey(work, work.session.get_one(Person, row.person_id), made, name)
        return _finish(work, row, device, Next.SHEET)


def start_for(work: Work, person: Person, device: str) -> SignedIn:
    """Start a session for a person who has just proved themself by invitation."""
    return _start(work, person, device)


def sign_out(work: Work, row: SignInSession) -> None:
    """End the session on this device, its sockets included."""
    work.require(Decision(work.actor.id == row.person_id))
    sessions.end(work, row.id)
    audit.record(work, "signed-out", f"session:{row.id}", purpose="operations")


def needs_setting_up(work: Work, person_id: UUID) -> bool:
    """Whether a half-finished sign-in is for setting a second factor up."""
    return not factors.has_factor(work, person_id, *factors.SECOND)


def _start(work: Work, person: Person, device: str) -> SignedIn:
    """In for a patient without an authenticator; else half in. A patient's passkey is another way, no second step."""
    workforce = factors.is_workforce(work, person.id)
    needs_second = workforce or factors.has_factor(work, person.id, FactorKind.TOTP)
    if not needs_second and not factors.owes_second(work, person.id):
        return _full(work, person, device)
    audit.record(work, "sign-in.password-right", f"person:{person.id}", purpose="operations")
    step = Next.AUTHENTICATOR if needs_setting_up(work, person.id) else Next.CODE
    return SignedIn(_half(work, person, device), step, person.id)


def _half(work: Work, person: Person, device: str) -> str:
    workforce = factors.is_workforce(work, person.id)
    _row, token = sessions.start(work, person.id, person.epoch, workforce=workforce, device=device, stage=Stage.HALF)
    return token


def _full(work: Work, person: Person, device: str, step: Next = Next.HOME) -> SignedIn:
    workforce = factors.is_workforce(work, person.id)
    row, token = sessions.start(work, person.id, person.epoch, workforce=workforce, device=device)
    audit.record(work, "signed-in", f"session:{row.id}", purpose="operations")
    return SignedIn(token, step, person.id)


def _finish(work: Work, row: SignInSession, device: str, step: Next = Next.HOME) -> SignedIn:
    if not sessions.end(work, row.id):  # ended meanwhile, such as by a change of the password
        raise SignInNeeded
    return _full(work, work.session.get_one(Person, row.person_id), device, step)


def _require_none(work: Work, row: SignInSession) -> None:
    """Half a sign-in may set a second factor up only where there is none: a password alone adds nothing to others."""
    work.require(Decision(needs_setting_up(work, row.person_id)))


def _spend_code(practice: Practice, person_id: UUID) -> tuple[Subject, ...]:
    subjects = guesses.of_code(practice, person_id)
    with practice.begin(_self(person_id), public=PUBLIC) as work:
        guesses.spend(work, subjects)
    return subjects


def _kept(work: Work, person: Person | None) -> str | None:
    """The kept hash of somebody's password. For nobody the same is done in vain: look-up and opening."""
    if person is not None:
        return factors.password_of(work, person.id)
    factors.password_of(work, NOBODY)
    vault: Vault = work.practice.vault
    sealed = _in_vain.get(vault)
    if sealed is None:
        sealed = _in_vain[vault] = vault.seal(practice_scope(), "nobody", NOBODY, 1, b"nobody has this password" * 4)
    vault.open(practice_scope(), "nobody", NOBODY, 1, sealed)
    return None


def _self(person_id: UUID) -> Actor:
    return Actor(id=person_id, label="public:sign-in")


def _note_refused(practice: Practice, actor: Actor, action: str, person_id: UUID | None) -> None:
    with practice.begin(actor, public=PUBLIC) as work:
        guesses.note_failure(work)
        about = f"person:{person_id}" if person_id else "person:unknown"
        audit.record(work, action, about, purpose="operations", outcome=Outcome.REFUSED)
