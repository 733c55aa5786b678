"""Staff's pages about who is in care here: the list, taking somebody in, those who act for them, invitations."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import invitations
from telepsych.core.actor import Role
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import intake, service
from telepsych.patients.intake import ActsFor, Found
from telepsych.patients.models import Authority
from telepsych.web.doors import begin, practice, signed_in

bp = Blueprint("patients", __name__)

ENTRIES = ("name", "preferred_name", "birth_date", "pronouns", "email", "phone")
PROXY_ENTRIES = ("name", "email", "phone", "authority", "document", "confidential")


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
    patient_id: UUID | None = None
    name: str = ""
    options: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProxiesPage:
    """Who acts for a patient."""

    patient_id: UUID
    name: str
    people: list[ActsFor]
    authorities: dict[str, str]


@dataclass(frozen=True, slots=True)
class InvitationPage:
    """An invitation's link, shown this once."""

    patient_id: UUID
    link: str


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
    typed = _typed(ENTRIES)
    try:
        born = _birth_date(typed)
        with begin() as work:
            patient = intake.take_in(work, **(typed | {"birth_date": born}))  # type: ignore[arg-type]
    except (Invalid, Conflict) as error:
        page = FormPage(typed, _faults(error))
        return render_template("patients/new.html", page=page), error.status
    return redirect(f"/patients/{patient.id}", 303)


@bp.post("/patients/<patient_id>/invitation")
@signed_in(Role.STAFF, Role.MANAGER)
def invite(patient_id: str) -> ResponseReturnValue:
    patient = parse_id(patient_id)
    with begin() as work:
        token = intake.invite_patient(work, patient)
    return _invitation(patient, token)


@bp.get("/patients/<patient_id>/proxies")
@signed_in(Role.STAFF, Role.MANAGER)
def proxies(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        patient = service.open_patient(work, parse_id(patient_id))
        people = intake.acting_for(work, patient.id)
        page = ProxiesPage(patient.id, patient.name, people, dict(_authorities()))
    return render_template("patients/proxies.html", page=page)


@bp.get("/patients/<patient_id>/proxies/new")
@signed_in(Role.STAFF, Role.MANAGER)
def new_proxy(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _proxy_form(work, parse_id(patient_id), {}, {})
    return render_template("patients/new_proxy.html", page=page)


@bp.post("/patients/<patient_id>/proxies/new")
@signed_in(Role.STAFF, Role.MANAGER)
def create_proxy(patient_id: str) -> ResponseReturnValue:
    patient, typed = parse_id(patient_id), _typed(PROXY_ENTRIES)
    try:
        with begin() as work:
            intake.take_in_guardian(
                work,
                patient,
                name=typed["name"],
                email=typed["email"],
                phone=typed["phone"],
                authority=_authority(typed["authority"]),
                document=typed["document"],
                opens_confidential=typed["confidential"] == "1",
            )
    except (Invalid, Conflict) as error:
        with begin(writes=False) as work:
            page = _proxy_form(work, patient, typed, _faults(error))
        return render_template("patients/new_proxy.html", page=page), error.status
    return redirect(url_for("patients.proxies", patient_id=patient), 303)


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/invitation")
@signed_in(Role.STAFF, Role.MANAGER)
def invite_proxy(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    with begin() as work:
        token = intake.invite_proxy(work, parse_id(proxy_id))
    return _invitation(parse_id(patient_id), token)


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/suspension")
@signed_in(Role.STAFF, Role.MANAGER)
def suspend_proxy(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    with begin() as work:
        patient = intake.suspend(work, parse_id(proxy_id))
    return redirect(url_for("patients.proxies", patient_id=patient), 303)


def _list(text: str) -> str:
    with begin(writes=False) as work:
        page = ListPage(text, intake.search(work, text))
    return render_template("patients/index.html", page=page)


def _invitation(patient_id: UUID, token: str) -> str:
    link = invitations.link_for(practice, token, request.host_url)
    return render_template("patients/invitation.html", page=InvitationPage(patient_id, link))


def _proxy_form(work: Work, patient_id: UUID, typed: dict[str, str], errors: dict[str, str]) -> FormPage:
    patient = service.open_patient(work, patient_id)
    return FormPage(typed, errors, patient.id, patient.name, _authorities())


def _authorities() -> list[tuple[str, str]]:
    return [
        (Authority.PARENT, gettext("Parent")),
        (Authority.SOLE_CUSTODY, gettext("Parent with sole custody")),
        (Authority.PROBATE_GUARDIAN, gettext("Guardian named by the probate court")),
        (Authority.DCF, gettext("Department of Children and Families")),
        (Authority.CONSERVATOR, gettext("Conservator")),
        (Authority.HEALTHCARE_REPRESENTATIVE, gettext("Health-care representative")),
        (Authority.SUPPORTER, gettext("Supporter named by the patient")),
    ]


def _authority(text: str) -> Authority:
    try:
        return Authority(text)
    except ValueError:
        raise Invalid(fields={"authority": gettext("Please choose on what ground they act.")}) from None


def _birth_date(typed: dict[str, str]) -> date:
    try:
        return date.fromisoformat(typed["birth_date"])
    except ValueError:
        raise Invalid(fields={"birth_date": gettext("Please give the birth date.")}) from None


def _typed(names: tuple[str, ...]) -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in names}


def _faults(error: Invalid | Conflict) -> dict[str, str]:
    fields = error.fields if isinstance(error, Invalid) else {}
    return fields or {"email": error.sentence}
