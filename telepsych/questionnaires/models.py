"""A questionnaire given to a patient, its answers as they come in, and everything that was ever answered in it."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from telepsych.core.actor import Compartment
from telepsych.core.columns import code, key, moment, opaque, ref, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json


class ResponseState(StrEnum):
    """How far a questionnaire has come. One that was begun and left still counts: every answer in it is saved."""

    ASSIGNED = "assigned"
    STARTED = "started"
    COMPLETED = "completed"


class Response(Sealed, Base):
    """One questionnaire for one patient, asked in the version named here."""

    __tablename__ = "questionnaire_response"
    __table_args__ = (UniqueConstraint("visit_id", "instrument_id"),)

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    compartment: Mapped[Compartment] = state(Compartment)
    visit_id: Mapped[UUID | None] = opaque(optional=True, index=True)
    instrument_id: Mapped[str] = code(32, "the id of a published form that everybody in care is given")
    instrument_version: Mapped[str] = code(16, "the version of that form's file")
    state: Mapped[ResponseState] = state(ResponseState)
    assigned_at: Mapped[int] = moment()
    started_at: Mapped[int | None] = moment(optional=True)
    completed_at: Mapped[int | None] = moment(optional=True)
    age: SealedField[int] = sealed_json(0)
    """The patient's age in years when it was assigned; some answers are read by age."""
    answers: SealedField[dict[str, dict[str, str]]] = sealed_json()
    """What stands now, by item id, as `answers.write_answers` writes it."""
    history: SealedField[list[dict[str, Any]]] = sealed_json([])
    """Every answer ever given, in order: item, state, option, at, by. Nothing is taken out again."""
    score: SealedField[dict[str, Any]] = sealed_json()
    """The result as it was worked out at the end, as `Score.as_dict` writes it."""
    safety: SealedField[dict[str, Any]] = sealed_json()
    """What followed from a safety answer: priority, item, deadlines, and what the patient has seen of it."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)

    @property
    def is_completed(self) -> bool:
        return self.state is ResponseState.COMPLETED

    @property
    def is_minors(self) -> bool:
        """Whether it is a young person's."""
        return self.age < 18
