"""What is kept: which visit is about whom, every evaluation as it was made, decisions, and ticked tasks."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped

from telepsych.appropriateness.content import Moment
from telepsych.core.actor import Compartment
from telepsych.core.columns import key, moment, opaque, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text


class VisitSubject(Base):
    """Whom a visit is about and whose visit it is. Visits lie above this room; they leave this here."""

    __tablename__ = "appropriateness_subject"

    id = key()
    visit_id: Mapped[UUID] = opaque(unique=True)
    patient_id: Mapped[UUID] = opaque(index=True)
    clinician_id: Mapped[UUID] = opaque(index=True)
    starts_at: Mapped[int | None] = moment(optional=True)
    stage: Mapped[Moment] = state(Moment)
    """How far the visit has come: which moment a new fact is judged at."""
    opened_at: Mapped[int] = moment()


class EvaluationSnapshot(Sealed, Base):
    """One evaluation: rule ids and versions, inputs and result. Written once, never changed."""

    __tablename__ = "evaluation_snapshot"

    id = key()
    patient_id: Mapped[UUID] = opaque(index=True)
    visit_id: Mapped[UUID | None] = opaque(optional=True, index=True)
    compartment: Mapped[Compartment] = state(Compartment)
    """The most private compartment any of its inputs came from."""
    stage: Mapped[Moment] = state(Moment)
    made_at: Mapped[int] = moment(index=True)
    result: SealedField[dict[str, Any]] = sealed_json()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)


class ChecklistDecision(Sealed, Base):
    """What a clinician decided on a snapshot. A later decision stands beside it and never replaces it."""

    __tablename__ = "checklist_decision"

    id = key()
    visit_id: Mapped[UUID] = opaque(index=True)
    patient_id: Mapped[UUID] = opaque(index=True)
    snapshot_id: Mapped[UUID] = opaque()
    compartment: Mapped[Compartment] = state(Compartment)
    decided_by: Mapped[UUID] = opaque()
    decided_at: Mapped[int] = moment(index=True)
    level: SealedField[str] = sealed_text()
    recommended: SealedField[str] = sealed_text()
    reason_code: SealedField[str] = sealed_text()
    reason: SealedField[str] = sealed_text()
    details: SealedField[dict[str, Any]] = sealed_json()
    """Days, action taken, person contacted and when; what was offered, risks, alternative, next contact."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)


class TaskTick(Sealed, Base):
    """A task of the checklist that somebody ticked, and perhaps took back."""

    __tablename__ = "checklist_tick"

    id = key()
    visit_id: Mapped[UUID] = opaque(index=True)
    patient_id: Mapped[UUID] = opaque()
    done_by: Mapped[UUID] = opaque()
    done_at: Mapped[int] = moment()
    undone_at: Mapped[int | None] = moment(optional=True)
    task: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)
