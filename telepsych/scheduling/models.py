"""Booked times: who sees whom, when, and for how long."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Mapped

from telepsych.core.columns import key, moment, opaque, ref, small, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_text


class AppointmentState(StrEnum):
    """Whether the time still stands."""

    BOOKED = "booked"
    CANCELLED = "cancelled"


class Appointment(Sealed, Base):
    """A time booked with a clinician."""

    __tablename__ = "appointment"

    id = key()
    patient_id: Mapped[UUID] = ref("patient.id")
    clinician_id: Mapped[UUID] = ref("person.id")
    starts_at: Mapped[int] = moment(index=True)
    minutes: Mapped[int] = small()
    state: Mapped[AppointmentState] = state(AppointmentState)
    created_at: Mapped[int] = moment()
    booked_by = opaque(optional=True)
    reason: SealedField[str] = sealed_text()
    why_cancelled: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)
