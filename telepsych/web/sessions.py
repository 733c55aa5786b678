"""Session rows: start, find, touch, lock, end. The only truth about who is signed in.

The browser's cookie holds a 256-bit random token and nothing else; the row holds its SHA-256. Signing in and showing a
fresh factor always make a new row, so an older id is worth nothing. Saving a row never brings back an ended one.
"""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from telepsych.core.clock import MINUTE, SECOND
from telepsych.core.settings import Settings
from telepsych.core.work import Work
from telepsych.web.models import SignInSession, Stage

HALF_LIFE = 5 * MINUTE
"""How long the second factor may take."""
TOUCH_EVERY = 20 * SECOND
MOST_SESSIONS = 10


class Standing(StrEnum):
    """What a session row is worth now."""

    HALF = "half"
    OPEN = "open"
    LOCKED = "locked"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Limits:
    """Idle and absolute limits of a session, in microseconds."""

    idle: int
    absolute: int

    @classmethod
    def of(cls, settings: Settings, workforce: bool) -> "Limits":
        if workforce:
            return cls(settings.staff_idle * SECOND, settings.staff_absolute * SECOND)
        return cls(settings.patient_idle * SECOND, settings.patient_absolute * SECOND)


def hash_of(token: str) -> bytes:
    """What we keep of a token."""
    return hashlib.sha256(token.encode()).digest()


def start(
    work: Work, person_id: UUID, epoch: int, *, workforce: bool, device: str, stage: Stage = Stage.FULL
) -> tuple[SignInSession, str]:
    """Start a session for a person who has just shown a factor. Returns the row and the token for the cookie."""
    token = secrets.token_urlsafe(32)
    row = SignInSession(
        token_hash=hash_of(token),
        person_id=person_id,
        epoch=epoch,
        stage=stage,
        workforce=workforce,
        started_at=work.now,
        seen_at=work.now,
        factor_at=work.now,
        device=device[:200],
    )
    work.add(row)
    work.session.flush()
    _end_oldest(work, person_id)
    return row, token


def find(work: Work, token: str) -> SignInSession | None:
    """The row that a cookie's token names, whatever it is worth."""
    return work.session.scalar(select(SignInSession).where(SignInSession.token_hash == hash_of(token)))


def standing(row: SignInSession, epoch: int, now: int, settings: Settings) -> Standing:
    """What the row is worth now, given the person's present epoch."""
    limits = Limits.of(settings, row.workforce)
    if row.ended_at is not None or row.epoch != epoch or now >= row.started_at + limits.absolute:
        return Standing.ENDED
    if row.stage is Stage.HALF:
        return Standing.HALF if now < row.started_at + HALF_LIFE else Standing.ENDED
    if row.locked_at is not None or now >= max(row.seen_at, row.busy_until or 0) + limits.idle:
        return Standing.LOCKED
    return Standing.OPEN


def needs_touch(row: SignInSession, now: int) -> bool:
    """Whether the sign of life is old enough to be written again."""
    return now - row.seen_at >= TOUCH_EVERY


def touch(work: Work, session_id: UUID, *, busy_for: int = 0) -> None:
    """Note a sign of life; `busy_for` microseconds of a live visit count as activity. Never revives a row."""
    values = {"seen_at": work.now}
    if busy_for:
        values["busy_until"] = work.now + busy_for
    work.session.execute(update(SignInSession).where(*_alive(session_id)).values(**values))


def lock(work: Work, session_id: UUID) -> None:
    """Lock a session that was idle too long: it opens nothing until its person signs in again."""
    work.session.execute(update(SignInSession).where(*_alive(session_id)).values(locked_at=work.now))


def end(work: Work, session_id: UUID) -> None:
    """End one session; its sockets close on the news, or within seconds on the sweep."""
    person = work.session.scalar(select(SignInSession.person_id).where(SignInSession.id == session_id))
    work.session.execute(
        update(SignInSession)
        .where(SignInSession.id == session_id, SignInSession.ended_at.is_(None))
        .values(ended_at=work.now)
    )
    work.announce([person], "signed-out", session=session_id)


def end_all(work: Work, person_id: UUID, *, but: UUID | None = None) -> None:
    """End every session of a person, but for one if given."""
    open_ones = select(SignInSession.id).where(
        SignInSession.person_id == person_id, SignInSession.ended_at.is_(None), SignInSession.id != (but or UUID(int=0))
    )
    for session_id in work.session.scalars(open_ones).all():
        end(work, session_id)


def _alive(session_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return SignInSession.id == session_id, SignInSession.ended_at.is_(None), SignInSession.locked_at.is_(None)


def _end_oldest(work: Work, person_id: UUID) -> None:
    newest_first = (
        select(SignInSession.id)
        .where(SignInSession.person_id == person_id, SignInSession.ended_at.is_(None))
        .order_by(SignInSession.started_at.desc(), SignInSession.id.desc())
    )
    for session_id in work.session.scalars(newest_first).all()[MOST_SESSIONS:]:
        end(work, session_id)
