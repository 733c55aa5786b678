"""Who can see what, for the patient, whoever acts for them and their team; and the patient's own supporters."""

from dataclasses import dataclass, field
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Relation, Role
from telepsych.core.errors import Invalid, NotFound
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import relations, service, sight, supporters
from telepsych.patients.forms import typed_in
from telepsych.patients.models import Authority
from telepsych.patients.relations import Ground, Part
from telepsych.patients.sight import What
from telepsych.patients.supporters import Asked, Supports
from telepsych.web.doors import begin, signed_in

bp = Blueprint("sight", __name__)

READERS = (Role.PATIENT, Role.GUARDIAN, Role.CLINICIAN, Role.STAFF, Role.MANAGER)
WISH = ("name", "contact", "relationship")


@dataclass(frozen=True, slots=True)
class SupportersPage:
    """The patient's supporters, their wishes, and the form for another."""

    patient_id: UUID
    ground: Ground
    offered: list[tuple[str, str]]
    there: list[Supports]
    asked: list[Asked]
    words: dict[str, str]
    typed: dict[str, str] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


@bp.get("/sight")
@signed_in(Role.PATIENT, Role.GUARDIAN)
def mine() -> ResponseReturnValue:
    """To the table about one's own record, or about the one person one acts for; else to the choice."""
    with begin(writes=False) as work:
        try:
            patient_id = service.my_patient(work).id
        except NotFound:
            return redirect(url_for("home.index"))
    return redirect(url_for(".table", patient_id=patient_id))


@bp.get("/records/<patient_id>/sight")
@signed_in(*READERS)
def table(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = sight.sight_of(work, parse_id(patient_id))
    return render_template("patients/sight.html", page=page, what=words_of_things(), Relation=Relation)


@bp.get("/records/<patient_id>/supporters")
@signed_in(Role.PATIENT)
def index(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _page(work, parse_id(patient_id))
    return render_template("patients/supporters.html", page=page)


@bp.post("/records/<patient_id>/supporters")
@signed_in(Role.PATIENT)
def ask(patient_id: str) -> ResponseReturnValue:
    patient, typed, parts = parse_id(patient_id), typed_in(WISH), request.form.getlist("parts")
    try:
        with begin() as work:
            supporters.ask(work, patient, parts=parts, **typed)
    except Invalid as error:
        with begin(writes=False) as work:
            page = _page(work, patient, typed, parts, error.fields)
        return render_template("patients/supporters.html", page=page), error.status
    return redirect(url_for(".index", patient_id=patient), 303)


@bp.post("/records/<patient_id>/supporters/requests/<request_id>/withdrawal")
@signed_in(Role.PATIENT)
def take_back(patient_id: str, request_id: str) -> ResponseReturnValue:
    with begin() as work:
        supporters.take_back_wish(work, parse_id(patient_id), parse_id(request_id))
    return redirect(url_for(".index", patient_id=patient_id), 303)


@bp.post("/records/<patient_id>/supporters/<proxy_id>/end")
@signed_in(Role.PATIENT)
def revoke(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    with begin() as work:
        supporters.revoke(work, parse_id(patient_id), parse_id(proxy_id))
    return redirect(url_for(".index", patient_id=patient_id), 303)


def words_of_things() -> dict[What, str]:
    """What there is to see, in people's words."""
    return {
        What.MESSAGES: gettext("Messages"),
        What.VISITS: gettext("When visits are"),
        What.ANSWERS: gettext("Answers to questionnaires"),
        What.MEDICINES: gettext("Medicines"),
        What.CONSENTS: gettext("Consents"),
        What.LOOKS: gettext("Who looked at the record"),
    }


def words_of_parts() -> dict[str, str]:
    """What a supporter may be shown, in the patient's words."""
    return {
        Part.VISITS.value: gettext("When my visits are, and with whom"),
        Part.MEDICINES.value: gettext("The list of my medicines and how I take them"),
    }


def _page(
    work: Work,
    patient_id: UUID,
    typed: dict[str, str] | None = None,
    parts: list[str] | None = None,
    errors: dict[str, str] | None = None,
) -> SupportersPage:
    there = supporters.supporters(work, patient_id)
    patient, words = service.open_patient(work, patient_id), words_of_parts()
    offered = [(part.value, words[part.value]) for part in supporters.offered(work, patient)]
    ground, asked = relations.grounds()[Authority.SUPPORTER], supporters.asked(work, patient_id)
    return SupportersPage(patient_id, ground, offered, there, asked, words, typed or {}, parts or [], errors or {})
