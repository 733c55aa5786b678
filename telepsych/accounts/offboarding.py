"""Somebody leaves the practice: one act ends everything they could get in by or act with, and keeps what they did.

Ended with it, in one transaction: sessions with their sockets, live tickets, invitations, factors, roles, places in
teams. Higher rooms let go of what the person held (`person.left`) and say what stays behind (`person.leaving`).
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from telepsych.accounts import factors, invitations, people, policy
from telepsych.accounts.models import Factor, Invitation, KnownDevice, RoleGrant, TeamMember
from telepsych.audit import service as audit
from telepsych.core.work import Work
from telepsych.web import sessions
from telepsych.web.models import SignInSession


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something of theirs that others have to know of. `at` is when, for what has a time; `href` where to see to it."""

    what: str
    at: int | None = None
    href: str = ""


@dataclass(frozen=True, slots=True)
class Departure:
    """What leaving ends, or has ended: counts. `after` is what stays behind for others."""

    sessions: int
    factors: int
    invitations: int
    roles: int
    teams: int
    after: tuple[Leftover, ...]


def departure_of(work: Work, person_id: UUID) -> Departure:
    """What will happen when somebody leaves; once they have left, what has happened."""
    person = people.worker(work, person_id)
    after: list[Leftover] = []
    work.wake("person.leaving", person_id=person_id, tell=after.append)
    at = person.left_at
    return Departure(
        len(sessions.open_ones(work, person_id, person.epoch)) if at is None else _sessions_ended(work, person_id, at),
        _count(work, Factor.person_id == person_id, _now_or_at(Factor.ended_at, at)),
        _count(
            work, Invitation.person_id == person_id, Invitation.used_at.is_(None), _now_or_at(Invitation.ended_at, at)
        ),
        _count(work, RoleGrant.person_id == person_id, _held_until(RoleGrant.valid_until, at, work.now)),
        _count(work, TeamMember.person_id == person_id, _held_until(TeamMember.valid_until, at, work.now)),
        tuple(after),
    )


def leave(work: Work, person_id: UUID) -> None:
    """Somebody leaves the practice, now and for good. Their entries stay and keep their name.

    Raises `Conflict` for the last manager, and for who has left already. Wakes `person.left`.
    """
    work.require(policy.can_manage_people(work.actor))
    person = people.worker_here(work, person_id)
    work.require_fresh()
    people.refuse_last_manager(work, person_id)
    person.left_at, person.epoch = work.now, person.epoch + 1
    sessions.void_tickets(work, person_id)
    sessions.end_all(work, person_id)
    invitations.end_open(work, person_id)
    end_ways_in(work, person_id)
    _end_held(work, person_id)
    audit.record(work, "person.left", f"person:{person_id}", purpose="operations")
    work.wake("person.left", person_id=person_id)


def end_ways_in(work: Work, person_id: UUID) -> None:
    """End every factor of a person, of every kind, and forget the browsers they were known by."""
    factors.end_all_factors(work, person_id)
    for device in work.session.scalars(select(KnownDevice).where(KnownDevice.person_id == person_id)):
        work.session.delete(device)


def _end_held(work: Work, person_id: UUID) -> None:
    for held in (RoleGrant, TeamMember):
        runs = held.person_id == person_id, or_(held.valid_until.is_(None), held.valid_until > work.now)
        work.changed(update(held).where(*runs).values(valid_until=work.now))


def _sessions_ended(work: Work, person_id: UUID, at: int) -> int:
    return _count(work, SignInSession.person_id == person_id, SignInSession.ended_at == at)


def _now_or_at(column: InstrumentedAttribute[int | None], at: int | None) -> ColumnElement[bool]:
    """What runs now; or what ended when they left."""
    return column.is_(None) if at is None else column == at


def _held_until(column: InstrumentedAttribute[int | None], at: int | None, now: int) -> ColumnElement[bool]:
    return or_(column.is_(None), column > now) if at is None else column == at


def _count(work: Work, *conditions: ColumnElement[bool]) -> int:
    return work.session.scalar(select(func.count()).where(*conditions)) or 0
