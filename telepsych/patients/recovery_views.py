"""Staff's page that gives a patient, or somebody who acts for them, a new way in."""

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import invitations
from telepsych.accounts.forms import Form, asked, faults
from telepsych.accounts.recovery import how_of, how_words
from telepsych.core.actor import Role
from telepsych.core.errors import Invalid
from telepsych.core.ids import parse_id
from telepsych.patients import recovery
from telepsych.web.doors import begin, practice, signed_in

bp = Blueprint("recovery", __name__)


@bp.get("/patients/<patient_id>/recovery")
@signed_in(Role.STAFF, Role.MANAGER)
def patient(patient_id: str) -> ResponseReturnValue:
    return _page(parse_id(patient_id), None, Form())


@bp.post("/patients/<patient_id>/recovery")
@signed_in(Role.STAFF, Role.MANAGER)
def recover_patient(patient_id: str) -> ResponseReturnValue:
    return _recover(parse_id(patient_id), None)


@bp.get("/patients/<patient_id>/proxies/<proxy_id>/recovery")
@signed_in(Role.STAFF, Role.MANAGER)
def proxy(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    return _page(parse_id(patient_id), parse_id(proxy_id), Form())


@bp.post("/patients/<patient_id>/proxies/<proxy_id>/recovery")
@signed_in(Role.STAFF, Role.MANAGER)
def recover_proxy(patient_id: str, proxy_id: str) -> ResponseReturnValue:
    return _recover(parse_id(patient_id), parse_id(proxy_id))


def _recover(patient_id: UUID, proxy_id: UUID | None) -> ResponseReturnValue:
    typed = asked("how", "note")
    try:
        with begin() as work:
            token = recovery.recover(work, patient_id, how_of(typed["how"]), typed["note"], proxy_id)
    except Invalid as error:
        return _page(patient_id, proxy_id, Form(typed, faults(error, "note"))), error.status
    link = invitations.link_for(practice, token, request.host_url)
    return render_template("accounts/handed_over.html", link=link, back=f"/patients/{patient_id}", here="patients")


def _page(patient_id: UUID, proxy_id: UUID | None, form: Form) -> str:
    with begin(writes=False) as work:
        name = recovery.person_to_recover(work, patient_id, proxy_id).name
    if proxy_id is None:
        action = url_for("recovery.recover_patient", patient_id=patient_id)
    else:
        action = url_for("recovery.recover_proxy", patient_id=patient_id, proxy_id=proxy_id)
    ways, back = how_words(), f"/patients/{patient_id}"
    return render_template(
        "accounts/recovery.html", name=name, form=form, ways=ways, action=action, back=back, here="patients"
    )
