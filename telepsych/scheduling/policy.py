"""Who may book and cancel."""

from uuid import UUID

from sqlalchemy import Select, select

from telepsych.core.actor import Actor, Decision
from telepsych.patients import policy as patients_policy
from telepsych.scheduling.models import Appointment, AppointmentState


def appointments_of(actor: Actor, now: int) -> Select[Appointment]:
    """Appointments of patients whose record is open to the actor."""
    return select(Appointment).where(Appointment.patient_id.in_(patients_policy.patient_ids_of(actor, now)))


def appointments_shared(patient_id: UUID, now: int) -> Select[Appointment]:
    """What a supporter is shown, once `patients.can_see_part` has said yes: what is booked and still to come."""
    return select(Appointment).where(
        Appointment.patient_id == patient_id,
        Appointment.state == AppointmentState.BOOKED,
        Appointment.starts_at >= now,
    )


def can_book(actor: Actor, patient_id: UUID) -> Decision:
    """The care team. Patients ask for a visit by writing."""
    return patients_policy.can_coordinate(actor, patient_id)
