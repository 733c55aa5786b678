"""How long a record is kept: from the last treatment, after a death, and for those who were young.

The years stand in `config/relations/retention.toml` with their source. A hold goes before every date (`holds`).
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import select

from telepsych.audit import service as audit
from telepsych.core.clock import local_date, to_micros
from telepsych.core.content import Document, load
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import holds, policy
from telepsych.patients.models import Patient
from telepsych.patients.opening import open_patient

MAJORITY = 18


class Retention(Document):
    """The years of `config/relations/retention.toml`."""

    status: Literal["verified", "unconfirmed"]
    chart_years: Annotated[int, Field(ge=1)]
    after_death_years: Annotated[int, Field(ge=0)]
    minor_until_age: Annotated[int, Field(ge=MAJORITY)]
    keystore_backup_days: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class Expired:
    """A record that had to be kept until a day that is past."""

    patient_id: UUID
    keep_until: date
    is_held: bool


@cache
def retention() -> Retention:
    """The rule in force."""
    return load(Retention, "relations/retention.toml")


def keep_until(rule: Retention, last_treated: date, born: date, died: date | None = None) -> date:
    """The last day on which a record has to be kept: the latest of all dates that apply.

    Source: Regs. Conn. 19a-14-42 as far as known (unconfirmed); keeping minors' records to 25 is the product's choice.
    """
    dates = [_years_later(last_treated, rule.chart_years)]
    if died is not None:
        dates.append(_years_later(died, rule.after_death_years))
    if last_treated < _years_later(born, MAJORITY):
        dates.append(_years_later(born, rule.minor_until_age))
    return max(dates)


def leave_care(work: Work, patient_id: UUID, *, last_treated: date, died_on: date | None = None) -> None:
    """Somebody is in care here no more. Raises `Invalid` for a day to come, `Conflict` when they left before."""
    work.require(policy.can_register(work.actor, patient_id))
    patient = open_patient(work, patient_id)
    today = local_date(work.now, work.practice.settings.tz)
    if last_treated > today or (died_on is not None and died_on > today):
        raise Invalid(fields={"last_treated": gettext("This day lies ahead.")})
    if patient.left_at is not None:
        raise Conflict(gettext("It is noted already that they are in care here no more."))
    patient.left_at = to_micros(datetime.combine(last_treated, time(), work.practice.settings.tz))
    patient.died_on = died_on.isoformat() if died_on else ""
    audit.record(work, "patient.left-care", f"patient:{patient_id}", patient_id=patient_id)


def keep_until_of(work: Work, patient: Patient) -> date | None:
    """Until when a patient's record has to be kept; None while they are in care."""
    if patient.left_at is None:
        return None
    last = local_date(patient.left_at, work.practice.settings.tz)
    died = date.fromisoformat(patient.died_on) if patient.died_on else None
    return keep_until(retention(), last, date.fromisoformat(patient.birth_date), died)


def expired(work: Work) -> list[Expired]:
    """Records that need not be kept any longer, the oldest first; none of somebody the actor knows in private life.
    Each one read leaves a look."""
    work.require(policy.can_keep_or_destroy(work.actor))
    today = local_date(work.now, work.practice.settings.tz)
    found = []
    gone = select(Patient).where(Patient.left_at.is_not(None), Patient.destroyed_at.is_(None))
    for patient in work.session.scalars(gone.where(Patient.id.not_in(work.actor.relatives))):
        until = keep_until_of(work, patient)
        if until is not None and until < today:
            audit.look(work, "patient.retention-read", patient.id, purpose="operations")
            found.append(Expired(patient.id, until, holds.is_held(work, patient.id)))
    return sorted(found, key=lambda one: one.keep_until)


def _years_later(day: date, years: int) -> date:
    """The same day of a later year; February 29 becomes March 1."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
