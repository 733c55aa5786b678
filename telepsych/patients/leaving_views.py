"""Noting that somebody is in care here no more, from which the time runs for which their record is kept."""

from datetime import date

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Role
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.patients import policy, retention
from telepsych.patients.forms import faults_of, typed_in
from telepsych.patients.opening import open_patient
from telepsych.web.doors import begin, signed_in

bp = Blueprint("leaving", __name__, url_prefix="/patients/<patient_id>/leaving")
ENTRIES = ("last_treated", "died_on")


@bp.get("")
@signed_in(Role.STAFF, Role.MANAGER)
def form(patient_id: str) -> ResponseReturnValue:
    return _page(patient_id, {}, {}), 200


@bp.post("")
@signed_in(Role.STAFF, Role.MANAGER)
def leave(patient_id: str) -> ResponseReturnValue:
    typed = typed_in(ENTRIES)
    try:
        last, died = _day(typed, "last_treated"), _day(typed, "died_on") if typed["died_on"] else None
        with begin() as work:
            retention.leave_care(work, parse_id(patient_id), last_treated=last, died_on=died)
    except (Invalid, Conflict) as error:
        return _page(patient_id, typed, faults_of(error, "last_treated")), error.status
    return redirect(url_for("patients.index"), 303)


def _page(patient_id: str, typed: dict[str, str], errors: dict[str, str]) -> str:
    with begin(writes=False) as work:
        patient = open_patient(work, parse_id(patient_id))
        work.require(policy.can_register(work.actor, patient.id))
    rule = retention.retention()
    return render_template("patients/leaving.html", patient=patient, typed=typed, errors=errors, rule=rule)


def _day(typed: dict[str, str], name: str) -> date:
    try:
        return date.fromisoformat(typed[name])
    except ValueError:
        raise Invalid(fields={name: gettext("Please give a day.")}) from None
