"""Session rows: start, find, touch, lock, end. The only truth about who is signed in.

The browser's cookie holds a 256-bit random token and nothing else; the row holds its SHA-256. Signing in and showing a
fresh factor always make a new row, so an older id is worth nothing. Saving a row never brings back an ended one.
"""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, update

from telepsych.audit import service as audit
from telepsych.audit.models import Outcome
from telepsych.core.actor import Actor
from telepsych.core.clock import MINUTE, SECOND
from telepsych.core.settings import Settings
from telepsych.core.work import Practice, Work
from telepsych.web.models import LiveTicket, SignInSession, Stage

HALF_LIFE = 5 * MINUTE
"""How long the second factor may take."""
TOUCH_EVERY = SECOND
"""How exactly the sign of life is kept, and with it the idle limits."""
NOTED_EVERY = MINUTE
"""How often the use of one ended session is written down."""
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


def renew(work: Work, row: SignInSession, epoch: int) -> str:
    """Give a session whose person has just shown a fresh factor a new id. Returns the token for the cookie.

    It ends when the first of the chain would have: a fresh factor does not make a day longer.
    """
    end(work, row.id)
    new, token = start(work, row.person_id, epoch, workforce=row.workforce, device=row.device)
    new.lineage, new.started_at, new.device_id = row.chain, row.started_at, row.device_id
    new.busy_until = row.busy_until
    return token


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


def end(work: Work, session_id: UUID) -> bool:
    """End one session; its sockets close on the news, or within seconds on the sweep. False when it was over before."""
    person = work.session.scalar(select(SignInSession.person_id).where(SignInSession.id == session_id))
    still = SignInSession.id == session_id, SignInSession.ended_at.is_(None)
    ended = work.changed(update(SignInSession).where(*still).values(ended_at=work.now))
    work.announce([person], "signed-out", session=session_id)
    return ended == 1


def end_all(work: Work, person_id: UUID, *, but: UUID | None = None) -> None:
    """End every session of a person, but for one if given.

    Looks again until there is none: one that was just getting a new id is ended under that.
    """
    open_ones = select(SignInSession.id).where(
        SignInSession.person_id == person_id, SignInSession.ended_at.is_(None), SignInSession.id != (but or UUID(int=0))
    )
    while found := work.session.scalars(open_ones).all():
        for session_id in found:
            end(work, session_id)


def open_ones(work: Work, person_id: UUID, epoch: int) -> list[SignInSession]:
    """A person's sessions that are open or locked, the one used last first."""
    mine = select(SignInSession).where(
        SignInSession.person_id == person_id, SignInSession.ended_at.is_(None), SignInSession.stage == Stage.FULL
    )
    rows = work.session.scalars(mine.order_by(SignInSession.seen_at.desc(), SignInSession.id.desc()))
    settings = work.practice.settings
    return [row for row in rows if standing(row, epoch, work.now, settings) is not Standing.ENDED]


def void_tickets(work: Work, person_id: UUID) -> None:
    """Use up every live ticket of a person, whichever session it was issued to."""
    theirs = select(SignInSession.id).where(SignInSession.person_id == person_id)
    unused = LiveTicket.session_id.in_(theirs), LiveTicket.used_at.is_(None)
    work.changed(update(LiveTicket).where(*unused).values(used_at=work.now))


def note_use_after_end(practice: Practice, row: SignInSession, epoch: int) -> None:
    """Write down that somebody came with a session that was ended: once in a while, however often they try.

    A session that merely grew too old is no news.
    """
    revoked = row.ended_at is not None or row.epoch != epoch
    now = practice.clock.now()
    if not revoked or now < (row.refused_at or 0) + NOTED_EVERY:
        return
    with practice.begin(Actor(id=row.person_id, label="public:session"), public="session") as work:
        due = or_(SignInSession.refused_at.is_(None), SignInSession.refused_at <= work.now - NOTED_EVERY)
        mine = update(SignInSession).where(SignInSession.id == row.id, due).values(refused_at=work.now)
        if work.changed(mine):
            audit.record(work, "session.refused", f"session:{row.id}", purpose="operations", outcome=Outcome.REFUSED)


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
