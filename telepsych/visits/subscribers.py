"""Woken by scheduling: an appointment brings its visit with it, in the same unit of work."""

from telepsych.core.work import Work
from telepsych.scheduling.models import Appointment
from telepsych.visits import service


def on_booked(work: Work, appointment: Appointment) -> None:
    """Make the visit and everything there is to do before it."""
    service.book(
        work,
        appointment.id,
        appointment.patient_id,
        appointment.clinician_id,
        appointment.starts_at,
        appointment.minutes,
    )


def on_cancelled(work: Work, appointment: Appointment) -> None:
    """The visit is cancelled with its appointment."""
    service.cancel(work, appointment.id)


SUBSCRIBERS = {"appointment.booked": on_booked, "appointment.cancelled": on_cancelled}
