"""What somebody has to do about a patient by when, and everything that happened to it. The talk is kept elsewhere."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from telepsych.core import columns
from telepsych.core.actor import Compartment
from telepsych.core.columns import code, key, moment, opaque, ref
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text
from telepsych.triage.priority import Priority


class ItemKind(StrEnum):
    """What gave rise to an item."""

    MESSAGE = "message"
    SAFETY_ANSWER = "safety-answer"
    IN_PERSON = "in-person"
    MEDICATION = "medication"
    CALL_BACK = "call-back"
    RELATION = "relation"
    """Who may see a record is to be looked after: a document, a birthday, a supporter."""


class ItemState(StrEnum):
    """How far an item has come."""

    OPEN = "open"
    CLAIMED = "claimed"
    """Somebody says they are working on it."""
    WAITING = "waiting"
    """Answered; the patient's word is awaited."""
    RESOLVED = "resolved"


class Happening(StrEnum):
    """What may happen to an item."""

    RAISED = "raised"
    RAISED_AGAIN = "raised-again"
    PATIENT_WROTE = "patient-wrote"
    READ = "read"
    ACKNOWLEDGED = "acknowledged"
    CLAIMED = "claimed"
    RELEASED = "released"
    TAKEN_OVER = "taken-over"
    ASSIGNED = "assigned"
    REPLIED = "replied"
    CALLED = "called"
    RESOLVED = "resolved"
    ACKNOWLEDGE_MISSED = "acknowledge-missed"
    READ_MISSED = "read-missed"
    REPLY_MISSED = "reply-missed"
    DUE_MISSED = "due-missed"


class WorkItem(Sealed, Base):
    """Something the care team must do about one patient. One is open about one thing at a time."""

    __tablename__ = "work_item"
    __table_args__ = (
        Index(
            "uq_work_item_open_about",
            "about_kind", "about_id", "compartment",
            unique=True, sqlite_where=text("resolved_at IS NULL"), postgresql_where=text("resolved_at IS NULL"),
        ),
    )  # fmt: skip

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    compartment: Mapped[Compartment] = columns.state(Compartment)
    kind: Mapped[ItemKind] = columns.state(ItemKind)
    priority: Mapped[Priority] = columns.state(Priority)
    state: Mapped[ItemState] = columns.state(ItemState, index=True)
    created_at: Mapped[int] = moment()
    acknowledge_by: Mapped[int | None] = moment(optional=True)
    read_by: Mapped[int | None] = moment(optional=True)
    reply_by: Mapped[int | None] = moment(optional=True)
    due_at: Mapped[int | None] = moment(optional=True)
    acknowledged_at: Mapped[int | None] = moment(optional=True)
    read_at: Mapped[int | None] = moment(optional=True)
    replied_at: Mapped[int | None] = moment(optional=True)
    resolved_at: Mapped[int | None] = moment(optional=True, index=True)
    owner_id: Mapped[UUID | None] = opaque(optional=True)
    """Who has to see to it; unlike a claim it stays when they go home."""
    claimed_by: Mapped[UUID | None] = opaque(optional=True)
    """Who is working on it now."""
    claimed_at: Mapped[int | None] = moment(optional=True)
    about_kind: Mapped[str | None] = code(32, "what sort of row the item is about", optional=True)
    about_id: Mapped[UUID | None] = opaque(optional=True)
    title: SealedField[str] = sealed_text()
    why: SealedField[list[str]] = sealed_json([])
    """Why it was raised, in words for the team, the newest last."""
    disposition: SealedField[str] = sealed_text()
    note: SealedField[str] = sealed_text()
    """What was written when it was resolved."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def concerns_safety(self) -> bool:
        """Whether somebody has to look now, and nobody may close it without a word."""
        return self.priority >= Priority.URGENT

    @property
    def next_deadline(self) -> int | None:
        """The first clock that is still running."""
        return min((at for _, at in self.running()), default=None)

    def running(self) -> list[tuple[Happening, int]]:
        """The clocks still running, by what it is called when they are missed."""
        if not self.is_open:
            return []
        clocks = (
            (Happening.ACKNOWLEDGE_MISSED, self.acknowledge_by, self.acknowledged_at),
            (Happening.READ_MISSED, self.read_by, self.read_at),
            (Happening.REPLY_MISSED, self.reply_by, self.replied_at),
            (Happening.DUE_MISSED, self.due_at, None),
        )
        return [(missed, by) for missed, by, stopped in clocks if by is not None and stopped is None]


class WorkItemEvent(Sealed, Base):
    """One thing that happened to an item: what, who, when. Rows are added, never changed."""

    __tablename__ = "work_item_event"
    __table_args__ = (UniqueConstraint("item_id", "what", "deadline", name="uq_work_item_event_deadline"),)

    id = key()
    item_id: Mapped[UUID] = ref("work_item.id")
    patient_id: Mapped[UUID] = ref("patient.id", index=False)
    compartment: Mapped[Compartment] = columns.state(Compartment)
    what: Mapped[Happening] = columns.state(Happening)
    at: Mapped[int] = moment()
    by_id: Mapped[UUID | None] = opaque(optional=True)
    """None when a clock did it."""
    deadline: Mapped[int | None] = moment(optional=True)
    """The deadline that was missed; each is told of once."""
    detail: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)
