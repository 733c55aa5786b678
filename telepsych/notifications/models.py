"""The outbox: notices are rows of the act's own transaction, sent by a job."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Mapped

from telepsych.core.columns import code, key, moment, opaque, small, state
from telepsych.core.database import Base


class OutboxState(StrEnum):
    """What has become of a notice."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    """Given up after every attempt; an operator is told."""


class OutboxRow(Base):
    """One notice to one person. It holds no words: those are fixed by its kind."""

    __tablename__ = "outbox"

    id = key()
    person_id: Mapped[UUID] = opaque(index=True)
    kind: Mapped[str] = code(24, "the kind of a notice whose text says nothing about anybody")
    state: Mapped[OutboxState] = state(OutboxState, index=True)
    created_at: Mapped[int] = moment()
    due_at: Mapped[int] = moment(index=True)
    lease_until: Mapped[int | None] = moment(optional=True)
    attempts: Mapped[int] = small(default=0)
    sent_at: Mapped[int | None] = moment(optional=True)
