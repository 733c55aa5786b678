"""Booking and cancelling. A booking wakes `appointment.booked` in the same unit: the visit comes with it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person
from telepsych.audit import service as audit
from telepsych.core.actor import Role
from telepsych.core.clock import DAY, MINUTE, from_micros
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.notifications import service as notifications
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.relations import Part
from telepsych.scheduling import policy
from telepsych.scheduling.models import Appointment, AppointmentState

EARLIEST_HOUR, LATEST_HOUR = 6, 22
"""Local hours between which a visit may begin."""
SHORTEST, LONGEST = 5, 180
FURTHEST = 400 * DAY


def book(
    work: Work, patient_id: UUID, clinician_id: UUID, starts_at: int, minutes: int, reason: str = ""
) -> Appointment:
    """Book a time with a clinician. Raises `Invalid` naming the field, `Conflict` when the clinician is taken then."""
    work.require(policy.can_book(work.actor, patient_id))
    patient = patients.open_patient(work, patient_id)
    _check(work, patient.id, clinician_id, starts_at, minutes)
    _refuse_overlap(work, clinician_id, starts_at, minutes)
    appointment = Appointment(
        patient_id=patient.id,
        clinician_id=clinician_id,
        starts_at=starts_at,
        minutes=minutes,
        state=AppointmentState.BOOKED,
        created_at=work.now,
        booked_by=work.actor.id,
        reason=reason.strip(),
    )
    work.add(appointment)
    work.session.flush()
    audit.record(work, "appointment.booked", f"appointment:{appointment.id}", patient_id=patient_id)
    notifications.notify(work, _told(work, patient_id), "visit-booked")
    work.wake("appointment.booked", appointment=appointment)
    return appointment


def cancel(work: Work, appointment_id: UUID, why: str = "") -> Appointment:
    """Cancel a booked time; again is as good as once."""
    mine = policy.appointments_of(work.actor, work.now).where(Appointment.id == appointment_id)
    appointment = work.one(mine)
    work.require(policy.can_book(work.actor, appointment.patient_id))
    if appointment.state is AppointmentState.CANCELLED:
        return appointment
    appointment.state, appointment.why_cancelled = AppointmentState.CANCELLED, why.strip()
    audit.record(work, "appointment.cancelled", f"appointment:{appointment_id}", patient_id=appointment.patient_id)
    notifications.notify(work, _told(work, appointment.patient_id), "visit-changed")
    work.wake("appointment.cancelled", appointment=appointment)
    return appointment


@dataclass(frozen=True, slots=True)
class Shared:
    """When a visit is, and with whom; never what for."""

    starts_at: int
    minutes: int
    clinician: str


def shared_visits(work: Work, patient_id: UUID) -> list[Shared]:
    """What a supporter is shown of the visits still to come, the next one first."""
    work.require(patients_policy.can_see_part(work.actor, patient_id, Part.VISITS))
    audit.look(work, "appointments.read", patient_id)
    rows = work.all(policy.appointments_shared(patient_id, work.now).order_by(Appointment.starts_at))
    names = accounts.names_of(work, [row.clinician_id for row in rows])
    return [Shared(row.starts_at, row.minutes, names[row.clinician_id].name) for row in rows]


def _check(work: Work, patient_id: UUID, clinician_id: UUID, starts_at: int, minutes: int) -> None:
    faults = {}
    local = from_micros(starts_at, work.practice.settings.tz)
    if starts_at < work.now:
        faults["time"] = gettext("This time has passed.")
    elif starts_at > work.now + FURTHEST:
        faults["date"] = gettext("Please check the year.")
    elif not EARLIEST_HOUR <= local.hour < LATEST_HOUR and not work.actor.is_system:
        faults["time"] = gettext("Visits begin between 6 AM and 10 PM.")
    if not SHORTEST <= minutes <= LONGEST:
        faults["minutes"] = gettext("A visit takes between 5 minutes and 3 hours.")
    if clinician_id not in patients.care_team(work, patient_id, Role.CLINICIAN):
        faults["clinician"] = gettext("Please choose a clinician of the patient's care team.")
    if faults:
        raise Invalid(fields=faults)


def _told(work: Work, patient_id: UUID) -> frozenset[UUID]:
    return patients.people_of(work, patient_id) | patients.supporters_of(work, patient_id, Part.VISITS)


def _refuse_overlap(work: Work, clinician_id: UUID, starts_at: int, minutes: int) -> None:
    """Two bookings at once take turns at the clinician's row, so that the second sees the first."""
    work.session.execute(select(Person.id).where(Person.id == clinician_id).with_for_update())
    near = select(Appointment.starts_at, Appointment.minutes).where(
        Appointment.clinician_id == clinician_id,
        Appointment.state == AppointmentState.BOOKED,
        Appointment.starts_at > starts_at - LONGEST * MINUTE,
        Appointment.starts_at < starts_at + minutes * MINUTE,
    )
    if any(other + length * MINUTE > starts_at for other, length in work.session.execute(near)):
        raise Conflict(gettext("This clinician already has a visit at that time."))
