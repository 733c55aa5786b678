"""Who is behind a socket, asked again and again: at the handshake, before events, and in a sweep over all of them.

Flask's hooks do not run for socket events and a socket keeps what it knew when it connected, so nothing is remembered
here for longer than a moment: the session row decides.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar, cast
from uuid import UUID

from sqlalchemy import select

from telepsych.core.actor import Actor
from telepsych.core.work import Work
from telepsych.web import sessions
from telepsych.web.doors import NOBODY, Web
from telepsych.web.models import SignInSession
from telepsych.web.sessions import Standing

T = TypeVar("T")
AT_ONCE = 500
"""Ids in one query."""


class EpochsOf(Protocol):
    """The present epochs of these people, in one query; for somebody unknown there is none."""

    def __call__(self, work: Work, people: Collection[UUID]) -> Mapping[UUID, int]: ...


def open_session(web: Web, token: str) -> UUID | None:
    """The session that a cookie's token names, if it is open now."""
    with web.practice.begin(NOBODY, writes=False, public="live") as work:
        row = sessions.find(work, token)
        return row.id if row is not None and standing_of(work, web, row) is Standing.OPEN else None


def actor_of(work: Work, web: Web, session_id: UUID) -> Actor | Standing:
    """The actor a session stands for now; what the session is worth if it is not open."""
    row = work.session.get(SignInSession, session_id)
    if row is None:
        return Standing.ENDED
    worth = standing_of(work, web, row)
    return web.identify(work, row) if worth is Standing.OPEN else worth


def standing_of(work: Work, web: Web, row: SignInSession) -> Standing:
    """What a session row is worth now."""
    return sessions.standing(row, web.epoch_of(work, row), work.now, web.practice.settings)


def closed_among(web: Web, epochs: EpochsOf, session_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """Which of these sessions are no longer open, and what they are worth: one query for rows, one for epochs."""
    found: dict[UUID, Standing] = {}
    with web.practice.begin(NOBODY, writes=False, public="live") as work:
        for part in _parts(session_ids, AT_ONCE):
            rows = _rows(work, part)
            now = epochs(work, {row.person_id for row in rows})
            for row in rows:
                epoch = now.get(row.person_id, -1)
                found[row.id] = sessions.standing(row, epoch, work.now, web.practice.settings)
    worths = {one: found.get(one, Standing.ENDED) for one in session_ids}
    return {one: worth for one, worth in worths.items() if worth is not Standing.OPEN}


def epochs_one_by_one(web: Web) -> EpochsOf:
    """The epochs of people when the app offers no way to ask for many at once."""

    def ask(work: Work, people: Collection[UUID]) -> Mapping[UUID, int]:
        newest = select(SignInSession).where(SignInSession.person_id.in_(people)).order_by(SignInSession.started_at)
        rows = {row.person_id: row for row in work.session.scalars(newest)}
        return {person: web.epoch_of(work, row) for person, row in rows.items()}

    return ask


def _rows(work: Work, session_ids: Collection[UUID]) -> list[SignInSession]:
    """The clear columns that `sessions.standing` looks at, without opening what is sealed."""
    seen = SignInSession
    columns = (
        *(seen.id, seen.person_id, seen.epoch, seen.stage, seen.workforce),
        *(seen.started_at, seen.seen_at, seen.locked_at, seen.ended_at, seen.busy_until),
    )
    return cast(list[SignInSession], work.session.execute(select(*columns).where(seen.id.in_(session_ids))).all())


def _parts(things: Iterable[T], size: int) -> Iterator[list[T]]:
    whole = list(things)
    return (whole[start : start + size] for start in range(0, len(whole), size))
