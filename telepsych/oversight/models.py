"""What the compliance officer works through: reviews of emergency access, weeks, and requests about records."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped

from telepsych.core.actor import Compartment
from telepsych.core.columns import code, key, moment, opaque, ref, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope, practice_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text


class Verdict(StrEnum):
    """What a reviewer came to. Sealed: it judges a person."""

    APPROPRIATE = "appropriate"
    NOT_APPROPRIATE = "not-appropriate"
    FOLLOW_UP = "follow-up"
    """More has to be asked first: the review stays open."""


class GlassReview(Sealed, Base):
    """The review of one emergency access. It stays open until it was found appropriate or not."""

    __tablename__ = "glass_review"

    id = key()
    glass_id: Mapped[UUID] = ref("break_glass.id", unique=True)
    patient_id: Mapped[UUID] = ref("patient.id", index=False)
    person_id: Mapped[UUID] = opaque(index=True)
    """Whose access it was: never the one who signs off."""
    due_at: Mapped[int] = moment(index=True)
    closed_at: Mapped[int | None] = moment(optional=True)
    decisions: SealedField[list[dict[str, Any]]] = sealed_json([])
    """Each with `at`, `by`, `verdict` and `note`, the newest last."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)


class WeekReview(Sealed, Base):
    """One practice-local week of the audit trail, looked through and signed off."""

    __tablename__ = "week_review"

    id = key()
    monday: Mapped[str] = code(10, "a date of the practice's own calendar", unique=True)
    made_at: Mapped[int] = moment()
    due_at: Mapped[int] = moment()
    signed_at: Mapped[int | None] = moment(optional=True)
    signed_by: Mapped[UUID | None] = opaque(optional=True)
    note: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return practice_scope()


class LineKind(StrEnum):
    """Why an access is put before the reviewer. Sealed: a shared name says something about two people."""

    BREAK_GLASS = "break-glass"
    SAME_SURNAME = "same-surname"
    AFTER_HOURS = "after-hours"
    BULK = "bulk"


class WeekLine(Sealed, Base):
    """One thing of a week to look at: whose access, to one record or to many."""

    __tablename__ = "week_line"

    id = key()
    week_id: Mapped[UUID] = ref("week_review.id")
    person_id: Mapped[UUID] = opaque()
    """Whose access it was: never the one who signs off."""
    patient_id: Mapped[UUID | None] = opaque(optional=True)
    first_at: Mapped[int] = moment()
    last_at: Mapped[int] = moment()
    signed_at: Mapped[int | None] = moment(optional=True)
    signed_by: Mapped[UUID | None] = opaque(optional=True)
    kind: SealedField[str] = sealed_text()
    entries: SealedField[int] = sealed_json(0)
    patients: SealedField[int] = sealed_json(0)
    note: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return practice_scope()


class RequestState(StrEnum):
    """Where a request about a record stands."""

    OPEN = "open"
    EXTENDED = "extended"
    DONE = "done"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


UNSETTLED = (RequestState.OPEN, RequestState.EXTENDED)


class RequestKind(StrEnum):
    """What a patient may ask about their record. Sealed with the rest."""

    ACCESS = "access"
    AMENDMENT = "amendment"
    ACCOUNTING = "accounting"


class RightsRequest(Sealed, Base):
    """A patient's request about their record, with its due date in law.

    What the patient asks themself is kept in confidence, so that a guardian does not read it.
    """

    __tablename__ = "rights_request"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    compartment: Mapped[Compartment] = state(Compartment)
    state: Mapped[RequestState] = state(RequestState, index=True)
    received_at: Mapped[int] = moment()
    due_at: Mapped[int] = moment(index=True)
    extended_at: Mapped[int | None] = moment(optional=True)
    settled_at: Mapped[int | None] = moment(optional=True)
    settled_by: Mapped[UUID | None] = opaque(optional=True)
    asked_by: Mapped[UUID | None] = opaque(optional=True)
    """Who asked on their own page; None when staff recorded it."""
    recorded_by: Mapped[UUID | None] = opaque(optional=True)
    kind: SealedField[str] = sealed_text()
    words: SealedField[str] = sealed_text()
    rule: SealedField[dict[str, str]] = sealed_json()
    """The dated rule that set the due date, as it was then: key, value, source."""
    extension_reason: SealedField[str] = sealed_text()
    outcome: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)
