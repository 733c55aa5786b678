"""A visit, what was answered before it, who took part in it and how well it was heard, and what came out of it."""

from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from telepsych.core.actor import Compartment
from telepsych.core.clock import MINUTE
from telepsych.core.columns import code, key, moment, number, opaque, ref, small, state
from telepsych.core.database import Base
from telepsych.crypto.scopes import Scope, patient_scope
from telepsych.crypto.sealed import Sealed, SealedField, sealed_json, sealed_text
from telepsych.visits.states import VisitState


class Visit(Sealed, Base):
    """One appointment as a visit by video."""

    __tablename__ = "visit"

    id = key()
    appointment_id: Mapped[UUID] = opaque(unique=True)
    patient_id: Mapped[UUID] = ref("patient.id")
    clinician_id: Mapped[UUID] = opaque(index=True)
    starts_at: Mapped[int] = moment(index=True)
    minutes: Mapped[int] = small()
    state: Mapped[VisitState] = state(VisitState, index=True)
    created_at: Mapped[int] = moment()
    checked_in_at: Mapped[int | None] = moment(optional=True)
    waiting_at: Mapped[int | None] = moment(optional=True)
    admitted_at: Mapped[int | None] = moment(optional=True)
    lost_at: Mapped[int | None] = moment(optional=True)
    """Since when somebody has not been heard; None while everybody is."""
    ended_at: Mapped[int | None] = moment(optional=True)
    dropped: Mapped[int] = number(default=0)
    """Microseconds of this visit in which the connection was lost."""
    admitted: SealedField[list[str]] = sealed_json([])
    """Who was let in, by person id. Whoever comes later is let in by the clinician like everybody else."""
    callback_number: SealedField[str] = sealed_text()
    """The number agreed for when the picture or the sound fails."""
    devices: SealedField[dict[str, Any]] = sealed_json()
    """The last result of the camera and microphone test: ok, camera, microphone, why, at."""

    telemetry: SealedField[dict[str, Any]] = sealed_json()
    """How it was heard, worked out at its end."""

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)

    @property
    def ends_at(self) -> int:
        """The end of its slot."""
        return self.starts_at + self.minutes * MINUTE


class CheckInAnswer(Sealed, Base):
    """What was answered on one page of the check-in, as it stands. A young person's private ones are sealed apart."""

    __tablename__ = "visit_check_in_answer"
    __table_args__ = (UniqueConstraint("visit_id", "step"),)

    id = key()
    visit_id: Mapped[UUID] = ref("visit.id")
    patient_id: Mapped[UUID] = opaque()
    compartment: Mapped[Compartment] = state(Compartment)
    step: Mapped[str] = code(24, "the name of a page that everybody is asked before a visit")
    saved_at: Mapped[int] = moment()
    saved_by: Mapped[UUID | None] = opaque(optional=True)
    answers: SealedField[dict[str, Any]] = sealed_json()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)


class VisitParticipant(Base):
    """Somebody at the door or in the room: when they were last heard of. Signs of life, not acts."""

    __tablename__ = "visit_participant"
    __transport__ = True
    __table_args__ = (UniqueConstraint("visit_id", "person_id"),)

    id = key()
    visit_id: Mapped[UUID] = ref("visit.id")
    person_id: Mapped[UUID] = opaque()
    waits_at: Mapped[int | None] = moment(optional=True)
    """When their waiting room last asked."""
    joined_at: Mapped[int | None] = moment(optional=True)
    heard_at: Mapped[int | None] = moment(optional=True)
    """When their room last sent its figures."""
    left_at: Mapped[int | None] = moment(optional=True)
    """Set while they have left of their own accord."""


class VisitPresence(Base):
    """One page of a participant with a live connection, so that several live processes know of each other's."""

    __tablename__ = "visit_presence"
    __transport__ = True
    __table_args__ = (UniqueConstraint("visit_id", "socket"),)

    id = key()
    visit_id: Mapped[UUID] = ref("visit.id")
    person_id: Mapped[UUID] = opaque()
    socket: Mapped[str] = code(64, "the technical name of a live connection", index=True)
    at: Mapped[int] = moment()


class VisitHeartbeat(Sealed, Base):
    """How one participant's page heard and saw the others, every ten seconds."""

    __tablename__ = "visit_heartbeat"
    __transport__ = True

    id = key()
    visit_id: Mapped[UUID] = ref("visit.id")
    patient_id: Mapped[UUID] = opaque()
    person_id: Mapped[UUID] = opaque()
    at: Mapped[int] = moment()
    figures: SealedField[dict[str, Any]] = sealed_json()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)


class VisitSignal(Sealed, Base):
    """A signal on its way to a page that another live process serves. It lives for half a minute."""

    __tablename__ = "visit_signal"
    __transport__ = True

    id = key()
    visit_id: Mapped[UUID] = ref("visit.id")
    patient_id: Mapped[UUID] = opaque()
    sender_id: Mapped[UUID] = opaque()
    to_id: Mapped[UUID] = opaque()
    at: Mapped[int] = moment(index=True)
    payload: SealedField[dict[str, Any]] = sealed_json()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id)


class Summary(Sealed, Base):
    """What the patient takes home from a visit, in plain words."""

    __tablename__ = "visit_summary"

    id = key()
    visit_id: Mapped[UUID] = ref("visit.id", unique=True)
    patient_id: Mapped[UUID] = ref("patient.id")
    compartment: Mapped[Compartment] = state(Compartment)
    written_by: Mapped[UUID] = opaque()
    written_at: Mapped[int] = moment()
    decisions: SealedField[str] = sealed_text()
    medicines: SealedField[str] = sealed_text()
    next_step: SealedField[str] = sealed_text()
    next_visit: SealedField[str] = sealed_text()
    in_person: SealedField[str] = sealed_text()
    whom_to_call: SealedField[str] = sealed_text()

    @property
    def sealing_scope(self) -> Scope:
        return patient_scope(self.patient_id, self.compartment)
