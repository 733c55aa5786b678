"""Pages about one record's privacy: who looked, for the patient and whoever acts for them, and requests about it."""

from dataclasses import dataclass, field
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Role
from telepsych.core.errors import Invalid, NotFound
from telepsych.core.ids import parse_id
from telepsych.core.work import Work
from telepsych.oversight import looks, rights
from telepsych.oversight.rights import RequestLine
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.web.doors import begin, signed_in

bp = Blueprint("records", __name__)
PEOPLE = (Role.PATIENT, Role.GUARDIAN)
CARE = (Role.CLINICIAN, Role.STAFF, Role.MANAGER)
FURTHEST = 120
"""Pages back: ten years."""


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """The requests about a record and the form for a new one."""

    patient_id: UUID
    name: str
    is_own: bool
    kinds: list[tuple[str, str, str]]
    found: list[RequestLine]
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@bp.get("/looks")
@signed_in(*PEOPLE)
def my_looks() -> ResponseReturnValue:
    """To the one record somebody is here for; who is here for several chooses at home."""
    with begin(writes=False) as work:
        try:
            patient = patients.my_patient(work)
        except NotFound:
            return redirect("/")
    return redirect(url_for(".looks_page", patient_id=patient.id))


@bp.get("/records/<patient_id>/looks")
@signed_in(*PEOPLE)
def looks_page(patient_id: str) -> ResponseReturnValue:
    back = request.args.get("back", "0")
    with begin(writes=False) as work:
        pages_back = min(int(back), FURTHEST) if back.isdecimal() else 0
        page = looks.of_record(work, parse_id(patient_id), pages_back)
    return render_template("oversight/looks.html", page=page)


@bp.get("/records/<patient_id>/requests")
@signed_in(*PEOPLE)
def my_requests(patient_id: str) -> ResponseReturnValue:
    return _mine(parse_id(patient_id), {}, None)


@bp.post("/records/<patient_id>/requests")
@signed_in(*PEOPLE)
def ask(patient_id: str) -> ResponseReturnValue:
    typed = _typed()
    try:
        with begin() as work:
            rights.ask(work, patients.my_patient(work, parse_id(patient_id)).id, typed["kind"], typed["words"])
    except Invalid as error:
        return _mine(parse_id(patient_id), typed, error)
    return redirect(url_for(".my_requests", patient_id=patient_id), 303)


@bp.post("/records/<patient_id>/requests/<request_id>/withdrawal")
@signed_in(*PEOPLE)
def withdraw(patient_id: str, request_id: str) -> ResponseReturnValue:
    with begin() as work:
        rights.withdraw(work, parse_id(request_id))
    return redirect(url_for(".my_requests", patient_id=patient_id), 303)


@bp.get("/patients/<patient_id>/requests")
@signed_in(*CARE)
def recorded(patient_id: str) -> ResponseReturnValue:
    return _recorded(parse_id(patient_id), {}, None)


@bp.post("/patients/<patient_id>/requests")
@signed_in(*CARE)
def record(patient_id: str) -> ResponseReturnValue:
    """What a patient asked in person, by telephone or by letter."""
    typed = _typed()
    try:
        with begin() as work:
            rights.record(work, parse_id(patient_id), typed["kind"], typed["words"])
    except Invalid as error:
        return _recorded(parse_id(patient_id), typed, error)
    return redirect(url_for(".recorded", patient_id=patient_id), 303)


def _mine(patient_id: UUID, typed: dict[str, str], error: Invalid | None) -> ResponseReturnValue:
    with begin(writes=False) as work:
        patient = patients.my_patient(work, patient_id)
        is_own = patients_policy.is_oneself(work.actor, patient.id)
        page = _page(work, patient.id, patients.first_name(patient), is_own, typed, error)
    return render_template("oversight/my_requests.html", page=page), error.status if error else 200


def _recorded(patient_id: UUID, typed: dict[str, str], error: Invalid | None) -> ResponseReturnValue:
    with begin(writes=False) as work:
        work.require(patients_policy.can_coordinate(work.actor, patient_id))
        patient = patients.open_patient(work, patient_id)
        page = _page(work, patient.id, patient.name, False, typed, error)
    return render_template("oversight/record_request.html", page=page), error.status if error else 200


def _page(
    work: Work, patient_id: UUID, name: str, is_own: bool, typed: dict[str, str], error: Invalid | None
) -> RequestsPage:
    found = rights.of_patient(work, patient_id)
    return RequestsPage(patient_id, name, is_own, rights.kinds(), found, typed, error.fields if error else {})


def _typed() -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in ("kind", "words")}
