"""Conversations, their messages and receipts, and the care team's own notes beside them."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from telepsych.core.actor import Compartment
from telepsych.core.columns import digest, key, moment, number, opaque, ref, state
from telepsych.core.database import Base
from telepsych.crypto.envelope import Part
from telepsych.crypto.scopes import Scope, patient_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text


class Side(StrEnum):
    """Where somebody stands in a conversation."""

    PATIENT = "patient"
    PROXY = "proxy"
    TEAM = "team"


class Conversation(Sealed, Base):
    """A talk in one compartment of a patient's record."""

    __tablename__ = "conversation"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    compartment: Mapped[Compartment] = state(Compartment)
    counter: Mapped[int] = number(default=0)
    """The newest sequence number given out. Taken under the row's lock, so that 1 to `counter` are all there."""
    created_by: Mapped[UUID] = opaque()
    created_at: Mapped[int] = moment()
    closed_at: Mapped[int | None] = moment(optional=True)
    reason: SealedField[str] = sealed_text()
    """The id of a reason to write (`config/triage/reasons.toml`)."""
    details: SealedField[dict[str, Any]] = sealed_json()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)


class Message(Sealed, Base):
    """One letter. It is bound to its place: in another conversation, from another sender or at another time, it does
    not open."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("conversation_id", "seq", name="uq_message_seq"),
        UniqueConstraint("conversation_id", "sender_id", "client_id", name="uq_message_client_id"),
    )

    id = key()
    conversation_id: Mapped[UUID] = ref("conversation.id", index=False)
    patient_id: Mapped[UUID] = ref("patient.id")
    compartment: Mapped[Compartment] = state(Compartment)
    seq: Mapped[int] = number()
    sender_id: Mapped[UUID] = opaque()
    client_id: Mapped[UUID] = opaque()
    """The name that the sender's browser gave it, under which it may be sent again and is kept once."""
    side: Mapped[Side] = state(Side)
    sent_at: Mapped[int] = moment()
    read_by: Mapped[int | None] = moment(optional=True)
    """By when the sender was told it will be read."""
    content_hash: Mapped[bytes] = digest()
    body: SealedField[str] = sealed_text()
    help: SealedField[str] = sealed_text()
    """The kind of help the sender was shown at once; empty when none."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)

    def sealing_extra(self) -> tuple[Part, ...]:
        return (self.conversation_id, self.sender_id, self.client_id, self.seq, self.sent_at)


class Receipt(Base):
    """A side has read the other's letters up to one. It has a sequence number of its own."""

    __tablename__ = "message_receipt"
    __table_args__ = (UniqueConstraint("conversation_id", "seq", name="uq_message_receipt_seq"),)

    id = key()
    conversation_id: Mapped[UUID] = ref("conversation.id", index=False)
    seq: Mapped[int] = number()
    reader_id: Mapped[UUID] = opaque()
    side: Mapped[Side] = state(Side)
    up_to: Mapped[int] = number()
    read_at: Mapped[int] = moment()


class InternalNote(Sealed, Base):
    """What the care team notes among itself about a conversation. Never an event of it, never shown to a patient."""

    __tablename__ = "internal_note"

    id = key()
    conversation_id: Mapped[UUID] = ref("conversation.id")
    patient_id: Mapped[UUID] = ref("patient.id")
    compartment: Mapped[Compartment] = state(Compartment)
    author_id: Mapped[UUID] = opaque()
    written_at: Mapped[int] = moment()
    body: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)

    def sealing_extra(self) -> tuple[Part, ...]:
        return (self.conversation_id, self.author_id, self.written_at)
