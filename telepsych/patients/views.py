"""Staff's pages about who is in care here: the list, taking somebody in, invitations."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from telepsych.accounts import invitations
from telepsych.core.actor import Role
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.patients import intake
from telepsych.patients.forms import InvitationPage, faults_of, typed_in
from telepsych.patients.intake import Found
from telepsych.web.doors import begin, practice, signed_in

bp = Blueprint("patients", __name__)

ENTRIES = ("name", "preferred_name", "birth_date", "pronouns", "email", "phone")


@dataclass(frozen=True, slots=True)
class ListPage:
    """The list and what was looked for."""

    text: str
    found: list[Found]
    most: int = intake.MOST_SHOWN


@dataclass(frozen=True, slots=True)
class FormPage:
    """A form with what was typed and what is wrong with it."""

    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@bp.get("/patients")
@signed_in(Role.STAFF, Role.MANAGER, Role.CLINICIAN)
def index() -> ResponseReturnValue:
    return _list("")


@bp.post("/patients")
@signed_in(Role.STAFF, Role.MANAGER, Role.CLINICIAN)
def look_up() -> ResponseReturnValue:
    """A name looked for is posted: in an address it would lie in logs and histories."""
    return _list(request.form.get("text", "").strip()[:200])


@bp.get("/patients/new")
@signed_in(Role.STAFF, Role.MANAGER)
def new() -> ResponseReturnValue:
    return render_template("patients/new.html", page=FormPage())


@bp.post("/patients/new")
@signed_in(Role.STAFF, Role.MANAGER)
def create() -> ResponseReturnValue:
    typed = typed_in(ENTRIES)
    try:
        born = _birth_date(typed)
        with begin() as work:
            patient = intake.take_in(work, **(typed | {"birth_date": born}))  # type: ignore[arg-type]
    except (Invalid, Conflict) as error:
        page = FormPage(typed, faults_of(error))
        return render_template("patients/new.html", page=page), error.status
    return redirect(f"/patients/{patient.id}", 303)


@bp.post("/patients/<patient_id>/invitation")
@signed_in(Role.STAFF, Role.MANAGER)
def invite(patient_id: str) -> ResponseReturnValue:
    patient = parse_id(patient_id)
    with begin() as work:
        token = intake.invite_patient(work, patient)
    return _invitation(patient, token)


def _list(text: str) -> str:
    with begin(writes=False) as work:
        page = ListPage(text, intake.search(work, text))
    return render_template("patients/index.html", page=page)


def _invitation(patient_id: UUID, token: str) -> str:
    link = invitations.link_for(practice, token, request.host_url)
    return render_template("patients/invitation.html", page=InvitationPage(patient_id, link))


def _birth_date(typed: dict[str, str]) -> date:
    try:
        return date.fromisoformat(typed["birth_date"])
    except ValueError:
        raise Invalid(fields={"birth_date": gettext("Please give the birth date.")}) from None
