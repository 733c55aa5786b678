"""Who is in the room with a live page, and signals between those pages. Rows here are transport, gone within a day."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, or_, select

from telepsych.audit import service as audit
from telepsych.core.actor import Decision
from telepsych.core.clock import DAY, MINUTE, SECOND
from telepsych.core.errors import NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.visits import room
from telepsych.visits.models import Visit, VisitParticipant, VisitPresence, VisitSignal

SIGNAL_LIVES = 30 * SECOND
PRESENCE_LIVES = DAY
FRESH = MINUTE
"""A live page that has just come counts for so long, before its heartbeat is heard."""
SILENCE = 45 * SECOND
PRESENCE_NEWS = "visit:presence"
SIGNAL_NEWS = "visit:signal-waiting"
FINGERPRINT = re.compile(r"^a=fingerprint:(\S+ \S+)\r?$", re.IGNORECASE | re.MULTILINE)


def appear(work: Work, visit_id: UUID, socket: str) -> Visit:
    """A page of the actor takes part. Raises `Refused` unless they may come in."""
    visit = room.enter(work, visit_id)
    mine = VisitPresence.visit_id == visit.id, VisitPresence.socket == socket
    row = work.session.scalar(select(VisitPresence).where(*mine))
    if row is None:
        work.add(VisitPresence(visit_id=visit.id, person_id=work.actor.id, socket=socket, at=work.now))
        audit.record(work, "visit.connected", f"visit:{visit.id}", patient_id=visit.patient_id)
    else:
        row.at = work.now
    _tell(work, visit, newcomer=work.actor.id)
    return visit


def disappear(work: Work, visit_id: UUID, socket: str) -> None:
    """A page no longer takes part: it says so, or its connection is gone. Always possible for one's own page."""
    work.require(Decision(True))
    mine = VisitPresence.visit_id == visit_id, VisitPresence.socket == socket
    row = work.session.scalar(select(VisitPresence).where(*mine))
    if row is None:
        return
    work.session.delete(row)
    visit = work.session.get(Visit, visit_id)
    if visit is not None:
        audit.record(work, "visit.disconnected", f"visit:{visit.id}", patient_id=visit.patient_id)
        _tell(work, visit)


def present(work: Work, visit: Visit) -> dict[UUID, list[str]]:
    """The live pages of everybody who is in the room: sockets by person. Pages that fell silent do not count."""
    alive = (
        select(VisitPresence)
        .outerjoin(
            VisitParticipant,
            (VisitParticipant.visit_id == VisitPresence.visit_id)
            & (VisitParticipant.person_id == VisitPresence.person_id),
        )
        .where(
            VisitPresence.visit_id == visit.id,
            or_(VisitPresence.at >= work.now - FRESH, VisitParticipant.heard_at >= work.now - SILENCE),
        )
    )
    allowed = set(room.participants(work, visit))
    found: dict[UUID, list[str]] = {}
    for row in work.session.scalars(alive.order_by(VisitPresence.at, VisitPresence.id)):
        if row.person_id in allowed:
            found.setdefault(row.person_id, []).append(row.socket)
    return found


def sockets_of(work: Work, visit_id: UUID, to: UUID) -> list[str]:
    """Where a signal of the actor to somebody in the same room has to go. Empty when they are not there right now.

    Raises `Refused` unless the actor may be in the room, `NotFound` for somebody who has no part in the visit.
    """
    visit = room.enter(work, visit_id)
    if to == work.actor.id or to not in room.participants(work, visit):
        raise NotFound(gettext("This person is not in your visit."))
    return present(work, visit).get(to, [])


def post(work: Work, visit_id: UUID, to: UUID, payload: Mapping[str, Any]) -> None:
    """Leave a signal for a page that another live process serves, and ring."""
    visit = room.enter(work, visit_id)
    signal = VisitSignal(
        visit_id=visit.id,
        patient_id=visit.patient_id,
        sender_id=work.actor.id,
        to_id=to,
        at=work.now,
        payload=dict(payload),
    )
    work.add(signal)
    work.announce([to], SIGNAL_NEWS, visit=visit.id, signal=signal.id)


def fetch(work: Work, visit_id: UUID, signal_id: UUID) -> dict[str, Any]:
    """A signal left for the actor, as their page gets it. Raises `Refused` or `NotFound`."""
    visit = room.enter(work, visit_id)
    mine = select(VisitSignal).where(
        VisitSignal.id == signal_id,
        VisitSignal.visit_id == visit.id,
        VisitSignal.to_id == work.actor.id,
        VisitSignal.at >= work.now - SIGNAL_LIVES,
    )
    signal = work.one(mine)
    return spoken(visit.id, signal.sender_id, signal.payload)


def spoken(visit_id: UUID, sender: UUID, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A signal as pages get it."""
    return {"visit": str(visit_id), "from": str(sender), "payload": dict(payload)}


def fingerprint_of(payload: Mapping[str, Any]) -> str:
    """A short name for the certificate a description speaks for; empty for other signals."""
    description = payload.get("description") or {}
    found: Iterable[str] = FINGERPRINT.findall(str(description.get("sdp", "")))
    named = sorted({one.upper() for one in found})
    return hashlib.sha256("|".join(named).encode()).hexdigest()[:32] if named else ""


def note_fingerprint(work: Work, visit_id: UUID, fingerprint: str, *, changed: bool) -> None:
    """Keep in the audit trail whose certificate took part; one that changes in a visit stands out."""
    visit = room.enter(work, visit_id)
    action = "visit.fingerprint-changed" if changed else "visit.fingerprint"
    about, detail = f"visit:{visit.id}", {"fingerprint": fingerprint}
    audit.record(work, action, about, patient_id=visit.patient_id, detail=detail)


def forget(work: Work) -> None:
    """Drop signals that nobody fetched, and live pages of processes that died."""
    work.session.execute(delete(VisitSignal).where(VisitSignal.at < work.now - SIGNAL_LIVES))
    work.session.execute(delete(VisitPresence).where(VisitPresence.at < work.now - PRESENCE_LIVES))


def _tell(work: Work, visit: Visit, newcomer: UUID | None = None) -> None:
    ids: dict[str, UUID] = {"visit": visit.id, **({"newcomer": newcomer} if newcomer else {})}
    work.announce(room.participants(work, visit), PRESENCE_NEWS, **ids)
