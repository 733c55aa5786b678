"""Where somebody is signed in: the list with names, ending one or all others, and knowing a browser again.

A browser that finished signing in keeps a random token of its own (the known-device cookie). It opens nothing; it only
tells a browser the person has used before from a new one, of which they are told.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update

from telepsych.accounts import policy
from telepsych.accounts.models import KnownDevice, Person
from telepsych.audit import service as audit
from telepsych.core.clock import DAY
from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.web import sessions
from telepsych.web.models import SignInSession, Stage
from telepsych.web.sessions import Standing

TOKEN = re.compile(r"[\w-]{43}")
"""256 random bits, as `secrets.token_urlsafe` writes them."""
LONGEST_NAME = 60
NEW_FOR = 14 * DAY
"""How long a device that came later than another is pointed out."""


@dataclass(frozen=True, slots=True)
class Device:
    """One place where a person is signed in."""

    session_id: UUID
    name: str
    """What the person calls it, else the browser and system it says it is."""
    first_seen_at: int
    seen_at: int
    is_this: bool
    is_locked: bool
    is_new: bool


# Knowing a browser again


def remember(work: Work, session_token: str, shown: str) -> str:
    """Note which browser a sign-in was finished on. Returns the token the browser should keep; empty when it was not.

    `shown` is what the browser showed. A browser the person has not used before wakes `device.new`.
    """
    row = sessions.find(work, session_token)
    if row is None or row.stage is Stage.HALF:
        return ""
    token = shown if TOKEN.fullmatch(shown) else secrets.token_urlsafe(32)
    known = _known(work, row.person_id, token)
    if known is None:
        known = _keep(work, row.person_id, token)
        audit.record(work, "device.new", f"session:{row.id}", purpose="operations")
        work.wake("device.new", person_id=row.person_id)
    known.seen_at = work.now
    work.session.execute(update(SignInSession).where(SignInSession.id == row.id).values(device_id=known.id))
    return token


def _keep(work: Work, person_id: UUID, token: str) -> KnownDevice:
    made = KnownDevice(
        person_id=person_id,
        token_hash=_hash(work, person_id, token),
        first_seen_at=work.now,
        seen_at=work.now,
        name="",
    )
    work.add(made)
    work.session.flush()
    return made


def _known(work: Work, person_id: UUID, token: str) -> KnownDevice | None:
    mine = KnownDevice.person_id == person_id, KnownDevice.token_hash == _hash(work, person_id, token)
    return work.session.scalar(select(KnownDevice).where(*mine))


def _hash(work: Work, person_id: UUID, token: str) -> bytes:
    """Keyed and bound to the person: two people at one browser cannot be told to be at the same one."""
    digest: bytes = work.practice.vault.mac("known-device", person_id.bytes + token.encode())
    return digest


# The list


def devices_of(work: Work, person_id: UUID) -> list[Device]:
    """Where a person is signed in now: this session first, then by last use."""
    work.require(policy.can_see_devices(work.actor, person_id))
    person = work.one(select(Person).where(Person.id == person_id))
    if person.left_at is not None:
        return []
    rows = sessions.open_ones(work, person_id, person.epoch)
    known = _devices(work, [row.device_id for row in rows])
    first = work.session.scalar(
        select(KnownDevice.first_seen_at).where(KnownDevice.person_id == person_id).order_by(KnownDevice.first_seen_at)
    )
    found = [_device(work, row, person.epoch, known.get(row.device_id), first) for row in rows]
    return sorted(found, key=lambda one: not one.is_this)


def _device(work: Work, row: SignInSession, epoch: int, known: KnownDevice | None, first: int | None) -> Device:
    is_this = row.id == work.actor.session_id
    first_seen = known.first_seen_at if known else row.started_at
    came_later = first is not None and first_seen > first and work.now < first_seen + NEW_FOR
    locked = sessions.standing(row, epoch, work.now, work.practice.settings) is Standing.LOCKED
    name = (known.name if known else "") or row.device
    return Device(row.id, name, first_seen, row.seen_at, is_this, locked, came_later and not is_this)


def _devices(work: Work, ids: Iterable[UUID | None]) -> dict[UUID | None, KnownDevice]:
    wanted = {one for one in ids if one is not None}
    return {row.id: row for row in work.session.scalars(select(KnownDevice).where(KnownDevice.id.in_(wanted)))}


# Changing it


def rename(work: Work, session_id: UUID, name: str) -> None:
    """Give one of one's own devices a name; an empty one goes back to what the browser says. Raises `Invalid`."""
    mine = SignInSession.id == session_id, SignInSession.person_id == work.actor.id
    row = work.one(select(SignInSession).where(*mine))
    if len(name.strip()) > LONGEST_NAME:
        raise Invalid(fields={"name": gettext("Please choose a shorter name.")})
    known = work.session.get(KnownDevice, row.device_id) if row.device_id else None
    if known is not None:
        known.name = name.strip()
    elif name.strip():
        row.device = name.strip()
    audit.record(work, "device.renamed", f"session:{session_id}", purpose="operations")


def end(work: Work, person_id: UUID, session_id: UUID) -> None:
    """End one session: one's own, or as a manager anybody's. Its sockets close with it."""
    work.require(policy.can_see_devices(work.actor, person_id))
    work.require_fresh()
    row = work.one(select(SignInSession).where(SignInSession.id == session_id, SignInSession.person_id == person_id))
    sessions.end(work, row.id)
    audit.record(work, "session.ended", f"session:{row.id}", purpose="operations", detail={"person": str(person_id)})


def end_others(work: Work, person_id: UUID) -> None:
    """End every session of a person but the one this is asked from, which only oneself has."""
    work.require(policy.can_see_devices(work.actor, person_id))
    work.require_fresh()
    sessions.end_all(work, person_id, but=work.actor.session_id)
    audit.record(work, "sessions.ended", f"person:{person_id}", purpose="operations")
