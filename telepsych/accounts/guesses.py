"""Guessing is bounded in the database, across processes: counted before the outcome is known, given back when right.

Four subjects are paced, none is ever locked for good, and nobody waits inside a request: who comes too early is told
when to come again. An account may be tried 40 times at once and then once a minute, so never more than 100 times in any
hour, from however many addresses. An account from one network, and one network, are slowed more with every failure.
When the whole practice is being guessed at, networks get less patience. A passkey cannot be guessed and asks nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from telepsych.accounts.models import Guess
from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.errors import TooMany
from telepsych.core.ids import new_id
from telepsych.core.words import gettext
from telepsych.core.work import Practice, Work


class Kind(StrEnum):
    """What is being paced. The order of locking is the order here."""

    ACCOUNT = "account"
    """Hashes of one account's password."""
    PAIR = "pair"
    """One account from one network."""
    NETWORK = "network"
    CODE = "code"
    """Six digits of an authenticator, or a line of a recovery sheet, of one person."""


@dataclass(frozen=True, slots=True)
class Budget:
    """`burst` attempts at once, and one more each `interval`: in any span no more than burst + span / interval."""

    burst: int
    interval: int

    def after(self, due: int, now: int) -> int:
        """Until when the attempts count once another was made. Raises `TooSoon`."""
        start = max(due, now)
        wait = start + self.interval - now - self.burst * self.interval
        if wait > 0:
            raise TooSoon(wait)
        return start + self.interval


@dataclass(frozen=True, slots=True)
class Slope:
    """`free` attempts, then a pause that doubles with each, up to `longest`. An hour of quiet forgets them."""

    free: int
    longest: int
    free_under_pressure: int

    def pause(self, count: int, pressed: bool) -> int:
        """How long to wait after this many attempts."""
        over = count - (self.free_under_pressure if pressed else self.free)
        return 0 if over < 0 else min(SECOND << min(over, 30), self.longest)


class TooSoon(Exception):
    """The next attempt is `wait` microseconds away."""

    def __init__(self, wait: int) -> None:
        super().__init__(wait)
        self.wait = wait


BUDGETS = {Kind.ACCOUNT: Budget(40, MINUTE), Kind.CODE: Budget(5, 5 * MINUTE)}
SLOPES = {Kind.PAIR: Slope(5, 5 * MINUTE, 5), Kind.NETWORK: Slope(40, MINUTE, 5)}
PRESSED_FROM = 1_000
"""Failures in the practice, each forgotten after an hour, from which networks get less patience."""
FORGET = HOUR


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that is paced, by a keyed hash."""

    kind: Kind
    hash: bytes


def of_password(practice: Practice, email: str, network: str) -> tuple[Subject, ...]:
    """What an attempt at an account's password counts against, whether there is such an account or not."""
    account = practice.vault.blind("email", email).value
    parts = {
        Kind.ACCOUNT: account,
        Kind.PAIR: account + b"|" + network.encode(),
        Kind.NETWORK: network.encode(),
    }
    return tuple(Subject(kind, _hash(practice, kind, part)) for kind, part in parts.items())


def of_code(practice: Practice, person_id: object) -> tuple[Subject, ...]:
    """What an attempt at a person's codes counts against."""
    return (Subject(Kind.CODE, _hash(practice, Kind.CODE, str(person_id).encode())),)


def check(work: Work, subjects: Iterable[Subject]) -> None:
    """Refuse what `spend` would refuse, without writing: a flood of refused attempts keeps nobody from writing.

    Raises `TooMany`.
    """
    pressed = _is_pressed(work)
    for subject in subjects:
        row = work.session.scalar(select(Guess).where(Guess.subject == subject.hash, Guess.window == 0))
        if row is not None:
            _next(subject.kind, row.count, row.due_at or 0, work.now, pressed)


def spend(work: Work, subjects: Iterable[Subject]) -> None:
    """Count an attempt against all of these, or against none. Raises `TooMany` with when to come again.

    Rows are locked in one order, so of many attempts at the same moment no two see the same count.
    """
    pressed = _is_pressed(work)
    for subject in sorted(subjects, key=lambda one: list(Kind).index(one.kind)):
        row = _locked(work, subject.hash)
        row.count, row.due_at = _next(subject.kind, row.count, row.due_at or 0, work.now, pressed)


def give_back(work: Work, subjects: Iterable[Subject]) -> None:
    """A right factor takes its attempt back, and clears what this account was slowed by from this network."""
    for subject in sorted(subjects, key=lambda one: list(Kind).index(one.kind)):
        row = _locked(work, subject.hash)
        if subject.kind in BUDGETS:
            row.due_at = max((row.due_at or 0) - BUDGETS[subject.kind].interval, 0)
        elif subject.kind is Kind.PAIR:
            row.count, row.due_at = 0, 0
        else:
            row.count, row.due_at = max(row.count - 1, 0), 0


def note_failure(work: Work) -> None:
    """Count a wrong guess against the practice as a whole."""
    row = _locked(work, _everywhere(work.practice))
    row.count = row.count + 1 if work.now < (row.due_at or 0) + FORGET else 1
    row.due_at = work.now


def _next(kind: Kind, count: int, due: int, now: int, pressed: bool) -> tuple[int, int]:
    """What a subject's row holds after another attempt now. Raises `TooMany`."""
    try:
        if kind in BUDGETS:
            return count, BUDGETS[kind].after(due, now)
        recent = count if now < due + FORGET else 0
        ready = due + SLOPES[kind].pause(recent, pressed)
        if recent and now < ready:
            raise TooSoon(ready - now)
        return recent + 1, now
    except TooSoon as early:
        seconds = -(-early.wait // SECOND)
        raise TooMany(_sentence(seconds), retry_after=seconds) from None


def _is_pressed(work: Work) -> bool:
    found = work.session.scalar(select(Guess).where(Guess.subject == _everywhere(work.practice), Guess.window == 0))
    return found is not None and found.count >= PRESSED_FROM and work.now < (found.due_at or 0) + FORGET


def _locked(work: Work, subject: bytes) -> Guess:
    """The row of a subject, made if it is not there, and nobody else's until this unit ends."""
    dialect = work.session.get_bind().dialect.name
    insert = postgresql_insert if dialect == "postgresql" else sqlite_insert
    row = {"id": new_id(), "subject": subject, "window": 0, "count": 0, "due_at": 0}
    work.session.execute(insert(Guess).values(row).on_conflict_do_nothing())
    mine = select(Guess).where(Guess.subject == subject, Guess.window == 0).with_for_update()
    return work.session.scalars(mine.execution_options(populate_existing=True)).one()


def _hash(practice: Practice, kind: Kind, data: bytes) -> bytes:
    return practice.vault.mac("guess", kind.encode() + b":" + data)  # type: ignore[no-any-return]


def _everywhere(practice: Practice) -> bytes:
    return practice.vault.mac("guess", b"everywhere")  # type: ignore[no-any-return]


def _sentence(seconds: int) -> str:
    if seconds <= 90:
        wait = gettext("{count} seconds").format(count=seconds)
    else:
        wait = gettext("{count} minutes").format(count=-(-seconds // 60))
    said = gettext("That was tried too often. Please try again in {wait}, use your passkey, or call the practice.")
    return said.format(wait=wait)
