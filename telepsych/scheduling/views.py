"""The booking page."""

from dataclasses import dataclass, field
from datetime import date, datetime, time
from uuid import UUID

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from telepsych.accounts import service as accounts
from telepsych.accounts.service import Named
from telepsych.core.actor import Role
from telepsych.core.clock import local_date, to_micros
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import service as patients
from telepsych.scheduling import policy, service
from telepsych.web.doors import begin, practice, signed_in

bp = Blueprint("scheduling", __name__)

LENGTHS = (15, 20, 25, 30, 45, 60)
USUAL = "25"
ENTRIES = ("clinician", "date", "time", "minutes", "reason")


@dataclass(frozen=True, slots=True)
class BookPage:
    """Everything the booking page shows."""

    patient_id: UUID
    name: str
    clinicians: list[Named]
    today: str
    lengths: tuple[int, ...] = LENGTHS
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@bp.get("/patients/<patient_id>/book")
@signed_in(Role.STAFF, Role.MANAGER, Role.CLINICIAN)
def book_page(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _page(work, parse_id(patient_id), {"minutes": USUAL})
    return render_template("scheduling/book.html", page=page)


@bp.post("/patients/<patient_id>/book")
@signed_in(Role.STAFF, Role.MANAGER, Role.CLINICIAN)
def book(patient_id: str) -> ResponseReturnValue:
    patient, typed = parse_id(patient_id), {name: request.form.get(name, "") for name in ENTRIES}
    try:
        clinician, starts_at, minutes = _read(typed)
        with begin() as work:
            service.book(work, patient, clinician, starts_at, minutes, typed["reason"])
    except (Invalid, Conflict) as error:
        faults = error.fields if isinstance(error, Invalid) else {"time": error.sentence}
        with begin(writes=False) as work:
            page = _page(work, patient, typed, faults)
        return render_template("scheduling/book.html", page=page), error.status
    return redirect(f"/patients/{patient}", 303)


def _page(work: Work, patient_id: UUID, typed: dict[str, str], faults: dict[str, str] | None = None) -> BookPage:
    work.require(policy.can_book(work.actor, patient_id))
    patient = patients.open_patient(work, patient_id)
    today = local_date(work.now, work.practice.settings.tz).isoformat()
    return BookPage(patient.id, patient.name, _clinicians(work, patient.id), today, typed=typed, errors=faults or {})


def _clinicians(work: Work, patient_id: UUID) -> list[Named]:
    """The clinicians of the care team: nobody else could open the record."""
    people = accounts.names_of(work, patients.care_team(work, patient_id, Role.CLINICIAN))
    return sorted(people.values(), key=lambda one: one.name)


def _read(typed: dict[str, str]) -> tuple[UUID, int, int]:
    """What was typed, as a clinician, a moment and a length. Raises `Invalid` naming every field at fault."""
    faults: dict[str, str] = {}
    clinician, day, at, minutes = UUID(int=0), date.min, time.min, 0
    try:
        clinician = UUID(typed["clinician"])
    except ValueError:
        faults["clinician"] = gettext("Please choose a clinician.")
    try:
        day = date.fromisoformat(typed["date"])
    except ValueError:
        faults["date"] = gettext("Please give a day.")
    try:
        at = time.fromisoformat(typed["time"]).replace(tzinfo=None)
    except ValueError:
        faults["time"] = gettext("Please give a time.")
    try:
        minutes = int(typed["minutes"])
    except ValueError:
        faults["minutes"] = gettext("Please choose how long.")
    if faults:
        raise Invalid(fields=faults)
    return clinician, to_micros(datetime.combine(day, at, practice.settings.tz)), minutes
