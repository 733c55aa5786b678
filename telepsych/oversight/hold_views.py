"""Legal holds: which are open, placing one by a patient's exact name and birth date, and releasing it with a note."""

from dataclasses import dataclass, field
from datetime import date

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import service as accounts
from telepsych.core.actor import Role
from telepsych.core.errors import Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.oversight import looks, people
from telepsych.patients import holds
from telepsych.web.doors import begin, signed_in

bp = Blueprint("holds", __name__, url_prefix="/oversight/holds")
ENTRIES = ("name", "birth_date", "matter", "reason")


@dataclass(frozen=True, slots=True)
class HoldRow:
    """An open hold with the names that belong to it."""

    id: str
    patient: str
    matter: str
    reason: str
    placed_at: int
    placed_by: str


@dataclass(frozen=True, slots=True)
class HoldsPage:
    """Open holds and the form for another."""

    found: list[HoldRow]
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@bp.get("")
@signed_in(Role.COMPLIANCE)
def index() -> ResponseReturnValue:
    return _page({}, None)


@bp.post("")
@signed_in(Role.COMPLIANCE)
def place() -> ResponseReturnValue:
    typed = {name: request.form.get(name, "").strip() for name in ENTRIES}
    try:
        with begin() as work:  # of its own: the entry that somebody was looked for stays, whatever comes of it
            patient_id = looks.find_patient(work, typed["name"], _birth_date(typed["birth_date"]))
        if patient_id is None:
            raise Invalid(fields={"name": gettext("Nobody here has exactly this name and birth date.")})
        with begin() as work:
            holds.place(work, patient_id, matter=typed["matter"], reason=typed["reason"])
    except Invalid as error:
        return _page(typed, error)
    return redirect(url_for(".index"), 303)


@bp.post("/<hold_id>/release")
@signed_in(Role.COMPLIANCE)
def release(hold_id: str) -> ResponseReturnValue:
    note = request.form.get("note", "")
    try:
        with begin() as work:
            holds.release(work, parse_id(hold_id), note=note)
    except Invalid as error:
        fields = {f"note-{hold_id}": sentence for sentence in error.fields.values()}
        return _page({f"note-{hold_id}": note}, Invalid(error.sentence, fields))
    return redirect(url_for(".index"), 303)


def _page(typed: dict[str, str], error: Invalid | None) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = HoldsPage(_rows(work), typed, error.fields if error else {})
    return render_template("oversight/holds.html", page=page), error.status if error else 200


def _rows(work: Work) -> list[HoldRow]:
    found = holds.open_holds(work)
    names = accounts.names_of(work, [one.placed_by for one in found])
    patients = people.patient_names(work, [one.patient_id for one in found])
    return [
        HoldRow(
            str(one.id),
            patients.get(one.patient_id, ""),
            one.matter,
            one.reason,
            one.placed_at,
            people.name_of(names, one.placed_by),
        )
        for one in found
    ]


def _birth_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(fields={"birth_date": gettext("Please give the birth date.")}) from None
