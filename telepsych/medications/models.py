"""The medicines on a patient's list, with every change, and what the patient tells about them before a visit."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped

from telepsych.core.columns import key, moment, opaque, ref, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text


class MedicineState(StrEnum):
    """Whether a medicine is to be taken now."""

    ACTIVE = "active"
    STOPPED = "stopped"


class PatientMedicine(Sealed, Base):
    """A medicine of one patient. The list says what was decided; it prescribes nothing."""

    __tablename__ = "patient_medicine"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    state: Mapped[MedicineState] = state(MedicineState)
    started_at: Mapped[int] = moment()
    dose_changed_at: Mapped[int | None] = moment(optional=True)
    restarted_at: Mapped[int | None] = moment(optional=True)
    stopped_at: Mapped[int | None] = moment(optional=True)
    medicine_id: SealedField[str] = sealed_text()
    """Its id in the catalogue; empty for one that is not there."""
    name: SealedField[str] = sealed_text()
    strength: SealedField[str] = sealed_text()
    how: SealedField[str] = sealed_text()
    """How to take it, in everyday words."""
    reason: SealedField[str] = sealed_text()
    prescriber: SealedField[str] = sealed_text()
    history: SealedField[list[dict[str, Any]]] = sealed_json([])
    """Every change: kind, at (in effect from), recorded_at, by, why, and strength and how before and after."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)

    @property
    def is_active(self) -> bool:
        return self.state is MedicineState.ACTIVE

    @property
    def code(self) -> str:
        """How facts name it: by the catalogue's id, or by its own."""
        return self.medicine_id or f"other-{self.id}"

    @property
    def label(self) -> str:
        """Name and strength together."""
        return f"{self.name} {self.strength}".strip()


class CheckInState(StrEnum):
    """Whether the patient has finished. What was answered before counts either way."""

    OPEN = "open"
    COMPLETED = "completed"


class MedicationCheckIn(Sealed, Base):
    """What a patient tells about their medicines before one visit."""

    __tablename__ = "medication_check_in"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    visit_id: Mapped[UUID] = opaque(unique=True)
    state: Mapped[CheckInState] = state(CheckInState)
    opened_at: Mapped[int] = moment()
    completed_at: Mapped[int | None] = moment(optional=True)
    answers: SealedField[dict[str, Any]] = sealed_json()
    """What stands now, by step; see `asking`."""
    history: SealedField[list[dict[str, Any]]] = sealed_json([])
    """Every answer ever given, in order: step, value, at, by. Nothing is taken out again."""
    alerts: SealedField[list[dict[str, Any]]] = sealed_json([])
    """What could not wait: key, priority, title, words, at, and whether the patient has seen the words."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)

    @property
    def is_completed(self) -> bool:
        return self.state is CheckInState.COMPLETED
