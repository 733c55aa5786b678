"""Woken from below: somebody is about to leave the practice. Their booked visits stay, for others to take by hand."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import select

from telepsych.accounts.offboarding import Leftover
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.scheduling.models import Appointment, AppointmentState


def on_leaving(work: Work, person_id: UUID, tell: Callable[[Leftover], None]) -> None:
    """Each visit booked with them from now on, with the patient's name where their record is open to the actor."""
    ahead = select(Appointment.patient_id, Appointment.starts_at).where(
        Appointment.clinician_id == person_id,
        Appointment.state == AppointmentState.BOOKED,
        Appointment.starts_at >= work.now,
    )
    rows = work.session.execute(ahead.order_by(Appointment.starts_at)).all()
    wanted = Patient.id.in_([row.patient_id for row in rows])
    open_ones = set(work.session.scalars(patients_policy.patient_ids_of(work.actor, work.now).where(wanted)))
    for row in rows:
        if row.patient_id in open_ones:
            name = patients.open_patient(work, row.patient_id).name
            tell(Leftover(name, row.starts_at, f"/patients/{row.patient_id}"))
        else:
            tell(Leftover(gettext("A visit of another team's patient"), row.starts_at))


SUBSCRIBERS = {"person.leaving": on_leaving}
