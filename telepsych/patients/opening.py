"""Opening a record, and the plain facts about who is in it."""

from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.work import Work
from telepsych.patients import policy, relations
from telepsych.patients.models import Patient


def open_patient(work: Work, patient_id: UUID, compartment: Compartment = Compartment.GENERAL) -> Patient:
    """A patient whose record is open to the actor, with a look in the audit. Raises `NotFound`."""
    patient = work.one(policy.patients_of(work.actor, work.now, compartment).where(Patient.id == patient_id))
    audit.look(work, "patient.read", patient_id)
    return patient


def age(patient: Patient, now: int, zone: ZoneInfo) -> int:
    """Completed years on the practice's local date."""
    return relations.age_at(date.fromisoformat(patient.birth_date), now, zone)


def age_now(work: Work, patient: Patient) -> int:
    """Completed years now, where the practice is."""
    return age(patient, work.now, work.practice.settings.tz)


def first_name(patient: Patient) -> str:
    """What to call a patient."""
    return patient.preferred_name or patient.name.split()[0]
