"""Emergency access: finding somebody by exact name and birth date, saying why, and ending it."""

from dataclasses import dataclass, field
from datetime import date

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Role
from telepsych.core.errors import Conflict, Invalid, TooMany
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.patients import break_glass
from telepsych.patients.break_glass import Match
from telepsych.patients.glass_content import GlassRules, glass_rules
from telepsych.web.doors import begin, signed_in, visitor

bp = Blueprint("break_glass", __name__, url_prefix="/break-glass")
CARE = (Role.CLINICIAN, Role.STAFF, Role.MANAGER)
ENTRIES = ("name", "birth_date", "ground", "reason", "acknowledged")


@dataclass(frozen=True, slots=True)
class GlassPage:
    """The form with what was typed, who was found and what is wrong."""

    rules: GlassRules
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    match: Match | None = None
    nobody: bool = False
    may_open_all: bool = False

    @property
    def grounds(self) -> list[tuple[str, str, str]]:
        """The grounds to choose from."""
        return [(one.id, one.label, one.hint) for one in self.rules.grounds]


@bp.get("")
@signed_in(*CARE)
def search() -> ResponseReturnValue:
    return render_template("patients/break_glass.html", page=GlassPage(glass_rules()))


@bp.post("")
@signed_in(*CARE)
def find() -> ResponseReturnValue:
    """A name looked for is posted: in an address it would lie in logs and histories."""
    typed = _typed()
    try:
        with begin() as work:
            match = break_glass.find(work, name=typed["name"], birth_date=_birth_date(typed))
    except (Invalid, Conflict, TooMany) as error:
        return _again("patients/break_glass.html", typed, error)
    if match is None:
        page = GlassPage(glass_rules(), typed, nobody=True)
        return render_template("patients/break_glass.html", page=page)
    return _reason_form(typed, match)


@bp.post("/open")
@signed_in(*CARE)
def open_record() -> ResponseReturnValue:
    typed = _typed()
    born = _birth_date(typed)
    try:
        with begin() as work:
            row = break_glass.break_glass(
                work,
                name=typed["name"],
                birth_date=born,
                ground=typed["ground"],
                reason=typed["reason"],
                acknowledged=typed["acknowledged"] == "1",
            )
    except Invalid as error:
        return _reason_form(typed, Match(None, typed["name"], born.isoformat(), False), error)
    return redirect(f"/patients/{row.patient_id}", 303)


@bp.post("/<glass_id>/end")
@signed_in(*CARE)
def end(glass_id: str) -> ResponseReturnValue:
    with begin() as work:
        break_glass.end(work, parse_id(glass_id))
    return redirect(url_for("patients.index"), 303)


def _reason_form(typed: dict[str, str], match: Match, error: Invalid | None = None) -> ResponseReturnValue:
    page = GlassPage(
        glass_rules(),
        typed,
        error.fields if error else {},
        match,
        may_open_all=visitor().actor.has(Role.CLINICIAN),
    )
    return render_template("patients/break_glass_reason.html", page=page), error.status if error else 200


def _again(template: str, typed: dict[str, str], error: Invalid | Conflict | TooMany) -> ResponseReturnValue:
    faults = (error.fields if isinstance(error, Invalid) else {}) or {"name": error.sentence}
    return render_template(template, page=GlassPage(glass_rules(), typed, faults)), error.status


def _typed() -> dict[str, str]:
    return {name: request.form.get(name, "").strip() for name in ENTRIES}


def _birth_date(typed: dict[str, str]) -> date:
    if not typed["name"]:
        raise Invalid(fields={"name": gettext("Please give the full name.")})
    try:
        return date.fromisoformat(typed["birth_date"])
    except ValueError:
        raise Invalid(fields={"birth_date": gettext("Please give the birth date.")}) from None
