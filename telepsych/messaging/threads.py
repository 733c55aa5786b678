"""Reading: the list of conversations, one as letters, and what is new in it since a number.

A reader first takes the conversation's counter and then asks for everything up to it: whatever stands behind a counter
has been committed with it, so nothing up to there can still be missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select

from telepsych.accounts import service as accounts
from telepsych.accounts.service import Named
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.errors import Invalid
from telepsych.core.work import Work
from telepsych.messaging import policy
from telepsych.messaging.audience import find
from telepsych.messaging.models import Conversation, Message, Receipt, Side
from telepsych.messaging.receipts import read_up_to
from telepsych.triage.content import reasons

WINDOW = 500
"""Most events of one answer. A full one says: ask again from `up_to`."""
EXCERPT = 140


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as a reader sees it. `client_id` is there for the reader's own."""

    id: UUID
    seq: int
    sent_at: int
    side: Side
    author: Named | None
    mine: bool
    body: str
    client_id: UUID | None
    help: str = ""
    """The kind of help its sender was shown; for the sender only."""
    read_by: int | None = None
    """By when the sender was told it will be read; for the sender only."""


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation with its letters. `read_by_team` and `read_by_patient` are the numbers read up to."""

    conversation_id: UUID
    patient_id: UUID
    compartment: Compartment
    reason: str
    reason_label: str
    details: dict[str, Any]
    created_at: int
    closed_at: int | None
    letters: tuple[Letter, ...]
    up_to: int
    read_by_team: int
    read_by_patient: int
    can_write: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A conversation in a list."""

    conversation_id: UUID
    patient_id: UUID
    compartment: Compartment
    reason: str
    reason_label: str
    created_at: int
    closed_at: int | None
    last_at: int
    last_side: Side | None
    last_author: Named | None
    excerpt: str
    unread: bool
    read_by_team: bool
    """Whether the team has read the newest letter, if that is of the patient's side."""


@dataclass(frozen=True, slots=True)
class Sync:
    """What happened after a number, in order and without gaps."""

    events: tuple[dict[str, Any], ...]
    up_to: int


def sync(work: Work, conversation_id: UUID, after: int) -> Sync:
    """Everything that happened in a conversation after a number. Leaves an audit entry when there is something."""
    if after < 0:
        raise Invalid
    conversation = find(work, conversation_id)
    up_to = min(conversation.counter, after + WINDOW)
    if up_to <= after:
        return Sync((), after)
    audit.look(work, "messages.read", conversation.patient_id, about=f"conversation:{conversation.id}")
    letters = _letters(work, conversation, after, up_to)
    events = [*map(_message_event, letters), *map(_receipt_event, _receipts(work, conversation_id, after, up_to))]
    return Sync(tuple(sorted(events, key=lambda event: int(event["seq"]))), up_to)


def thread(work: Work, conversation_id: UUID) -> Thread:
    """A conversation with all its letters, oldest first."""
    conversation = find(work, conversation_id)
    up_to = conversation.counter
    audit.look(work, "messages.read", conversation.patient_id, about=f"conversation:{conversation.id}")
    return Thread(
        conversation_id=conversation.id,
        patient_id=conversation.patient_id,
        compartment=conversation.compartment,
        reason=conversation.reason,
        reason_label=label_of(conversation.reason),
        details=dict(conversation.details),
        created_at=conversation.created_at,
        closed_at=conversation.closed_at,
        letters=tuple(_letters(work, conversation, 0, up_to)),
        up_to=up_to,
        read_by_team=read_up_to(work, conversation.id, Side.TEAM),
        read_by_patient=read_up_to(work, conversation.id, Side.PATIENT),
        can_write=bool(policy.can_write(work.actor, conversation)),
    )


def conversations(work: Work, patient_id: UUID | None = None) -> list[Line]:
    """The conversations open to the actor, of one patient or of all, the newest letter first."""
    query = policy.conversations_of(work.actor, work.now)
    if patient_id is not None:
        query = query.where(Conversation.patient_id == patient_id)
    rows = work.all(query)
    last = _last_messages(work, [row.id for row in rows])
    read = _read_by_side(work, [row.id for row in rows])
    newest = _newest_by_side(work, [row.id for row in rows])
    authors = accounts.names_of(work, [message.sender_id for message in last.values()])
    for patient in sorted({row.patient_id for row in rows}):
        audit.look(work, "conversations.listed", patient)
    lines = [_line(work, row, last.get(row.id), read, newest, authors) for row in rows]
    return sorted(lines, key=lambda line: line.last_at, reverse=True)


def label_of(reason_id: str) -> str:
    """A reason in the patient's words; the id itself when it is no longer offered."""
    return next((one.label for one in reasons().reasons if one.id == reason_id), reason_id)


def _letters(work: Work, conversation: Conversation, after: int, up_to: int) -> list[Letter]:
    wanted = Message.conversation_id == conversation.id, Message.seq > after, Message.seq <= up_to
    rows = list(work.session.scalars(select(Message).where(*wanted).order_by(Message.seq)))
    authors = accounts.names_of(work, [row.sender_id for row in rows])
    return [_letter(work, row, authors.get(row.sender_id)) for row in rows]


def _letter(work: Work, row: Message, author: Named | None) -> Letter:
    mine = row.sender_id == work.actor.id
    return Letter(
        id=row.id, seq=row.seq, sent_at=row.sent_at, side=row.side, author=author, mine=mine, body=row.body,
        client_id=row.client_id if mine else None, help=row.help if mine else "", read_by=row.read_by if mine else None,
    )  # fmt: skip


def _receipts(work: Work, conversation_id: UUID, after: int, up_to: int) -> list[Receipt]:
    wanted = Receipt.conversation_id == conversation_id, Receipt.seq > after, Receipt.seq <= up_to
    return list(work.session.scalars(select(Receipt).where(*wanted)))


def _message_event(letter: Letter) -> dict[str, Any]:
    author = letter.author
    return {
        "seq": letter.seq,
        "type": "message",
        "at": letter.sent_at,
        "id": str(letter.id),
        "client_id": str(letter.client_id) if letter.client_id else None,
        "side": letter.side.value,
        "author": {"name": author.name, "title": author.title} if author else None,
        "mine": letter.mine,
        "body": letter.body,
    }


def _receipt_event(row: Receipt) -> dict[str, Any]:
    """Which side has read how far; never who of it."""
    return {"seq": row.seq, "type": "receipt", "at": row.read_at, "side": row.side.value, "up_to": row.up_to}


def _last_messages(work: Work, ids: Iterable[UUID]) -> dict[UUID, Message]:
    newest = (
        select(Message.conversation_id, func.max(Message.seq).label("seq"))
        .where(Message.conversation_id.in_(list(ids)))
        .group_by(Message.conversation_id)
        .subquery()
    )
    here = and_(Message.conversation_id == newest.c.conversation_id, Message.seq == newest.c.seq)
    return {row.conversation_id: row for row in work.session.scalars(select(Message).join(newest, here))}


def _read_by_side(work: Work, ids: Iterable[UUID]) -> dict[tuple[UUID, Side], int]:
    query = (
        select(Receipt.conversation_id, Receipt.side, func.max(Receipt.up_to))
        .where(Receipt.conversation_id.in_(list(ids)))
        .group_by(Receipt.conversation_id, Receipt.side)
    )
    return {(conversation, side): up_to for conversation, side, up_to in work.session.execute(query)}


def _newest_by_side(work: Work, ids: Iterable[UUID]) -> dict[tuple[UUID, Side], int]:
    query = (
        select(Message.conversation_id, Message.side, func.max(Message.seq))
        .where(Message.conversation_id.in_(list(ids)))
        .group_by(Message.conversation_id, Message.side)
    )
    return {(conversation, side): seq for conversation, side, seq in work.session.execute(query)}


def _line(
    work: Work,
    row: Conversation,
    last: Message | None,
    read: dict[tuple[UUID, Side], int],
    newest: dict[tuple[UUID, Side], int],
    authors: dict[UUID, Named],
) -> Line:
    side = policy.side_of(work.actor, row.patient_id)
    of_others = max((newest.get((row.id, other), 0) for other in Side if other is not side), default=0)
    return Line(
        conversation_id=row.id,
        patient_id=row.patient_id,
        compartment=row.compartment,
        reason=row.reason,
        reason_label=label_of(row.reason),
        created_at=row.created_at,
        closed_at=row.closed_at,
        last_at=last.sent_at if last else row.created_at,
        last_side=last.side if last else None,
        last_author=authors.get(last.sender_id) if last else None,
        excerpt=_excerpt(last.body) if last else "",
        unread=of_others > read.get((row.id, side), 0),
        read_by_team=bool(last) and last is not None and read.get((row.id, Side.TEAM), 0) >= last.seq,
    )


def _excerpt(body: str) -> str:
    line = " ".join(body.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1].rstrip()}…"
