"""Who may book and cancel."""

from sqlalchemy import Select, select

from telepsych.core.actor import Actor, Decision
from telepsych.patients import policy as patients_policy
from telepsych.scheduling.models import Appointment


def appointments_of(actor: Actor, now: int) -> Select[Appointment]:
    """Appointments of patients whose record is open to the actor."""
    return select(Appointment).where(Appointment.patient_id.in_(patients_policy.patient_ids_of(actor, now)))


def can_book(actor: Actor) -> Decision:
    """The care team. Patients ask for a visit by writing."""
    return patients_policy.can_coordinate(actor)
