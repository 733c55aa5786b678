"""The checklist of a visit, for its clinician: a page of its own, and a fragment inside other pages."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.accounts import service as accounts
from telepsych.appropriateness import panel, service
from telepsych.appropriateness.content import Level, observations
from telepsych.appropriateness.panel import Panel
from telepsych.core.actor import Role
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import service as patients
from telepsych.web import drafts
from telepsych.web.doors import begin, signed_in

bp = Blueprint("appropriateness", __name__)

TEXTS = (
    "reason",
    "action_taken",
    "person_contacted",
    "contacted_at",
    "offered",
    "risks_explained",
    "alternative",
    "next_contact",
)


@bp.get("/visits/<visit_id>/checklist")
@signed_in(Role.CLINICIAN)
def checklist(visit_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _panel(work, parse_id(visit_id))
    return _show(page)


@bp.post("/visits/<visit_id>/checklist/evaluate")
@signed_in(Role.CLINICIAN)
def evaluate(visit_id: str) -> ResponseReturnValue:
    """Ask the rules again, at the moment the visit is in."""
    with begin() as work:
        subject = service.subject_of(work, parse_id(visit_id))
        service.evaluate(work, subject.patient_id, subject.stage, subject.visit_id)
    return _back(visit_id)


@bp.post("/visits/<visit_id>/checklist/observations")
@signed_in(Role.CLINICIAN)
def observe(visit_id: str) -> ResponseReturnValue:
    which, typed = parse_id(visit_id), request.form.to_dict()
    try:
        with begin() as work:
            subject = service.subject_of(work, which)
            before = service.observations_of(work, which)
            values = {code: value for code, value in _observed(typed).items() if value != before.get(code)}
            service.observe_all(work, which, subject.patient_id, values)
    except Invalid as error:
        return _again(which, typed, error)
    return _back(visit_id)


@bp.post("/visits/<visit_id>/checklist/tasks")
@signed_in(Role.CLINICIAN)
def tick(visit_id: str) -> ResponseReturnValue:
    which = parse_id(visit_id)
    done = frozenset(request.form.getlist("task"))
    with begin() as work:
        shown = service.latest(work, which)
        service.tick(work, which, {task.key: task.key in done for task in (shown.tasks if shown else ())})
    return _back(visit_id)


@bp.post("/visits/<visit_id>/checklist/decision")
@signed_in(Role.CLINICIAN)
def decide(visit_id: str) -> ResponseReturnValue:
    which, typed = parse_id(visit_id), request.form.to_dict()
    try:
        with begin() as work:
            subject = service.subject_of(work, which)
            service.decide(
                work,
                which,
                subject.patient_id,
                _level(typed),
                typed.get("reason_code", ""),
                seen=parse_id(typed["seen"]) if typed.get("seen") else None,
                days=_days(typed),
                **{name: typed.get(name, "") for name in TEXTS},
            )
            drafts.discard(work, f"checklist:{which}")
    except (Invalid, Conflict) as error:
        return _again(which, typed, error)
    return _back(visit_id)


def _panel(
    work: Work, visit_id: UUID, typed: Mapping[str, str] | None = None, error: Invalid | Conflict | None = None
) -> Panel:
    subject = service.subject_of(work, visit_id)
    patient = patients.open_patient(work, subject.patient_id)
    rows = service.decisions(work, visit_id)
    names = accounts.names_of(work, [row.decided_by for row in rows])
    return panel.build(
        visit_id,
        patient.name,
        patient.birth_date,
        service.latest(work, visit_id),
        ticked=service.ticks(work, visit_id),
        observed=service.observations_of(work, visit_id),
        decided=[(row, names[row.decided_by].name if row.decided_by in names else "") for row in rows],
        typed=typed,
        faults=error.fields if isinstance(error, Invalid) else {},
        problem=error.sentence if error else "",
    )


def _show(page: Panel) -> str:
    name = "panel" if request.headers.get("X-Fragment") == "1" or "fragment" in request.args else "checklist"
    return render_template(f"appropriateness/{name}.html", page=page)


def _again(visit_id: UUID, typed: Mapping[str, str], error: Invalid | Conflict) -> ResponseReturnValue:
    """The same page with what was typed and what is wrong with it."""
    with begin(writes=False) as work:
        page = _panel(work, visit_id, typed, error)
    return _show(page), error.status


def _back(visit_id: str) -> ResponseReturnValue:
    return redirect(url_for("appropriateness.checklist", visit_id=visit_id), 303)


def _observed(typed: Mapping[str, str]) -> dict[str, Any]:
    """The observations that were on the form. Raises `Invalid` for an answer that is none."""
    values: dict[str, Any] = {}
    for one in observations().values():
        text = typed.get(f"observed_{one.code}")
        if text is None:
            continue
        if one.most:
            values[one.code] = int(text) if text.isdecimal() else None
        else:
            values[one.code] = {"yes": True, "no": False}.get(text)
    return values


def _level(typed: Mapping[str, str]) -> Level:
    try:
        return Level(typed.get("level", ""))
    except ValueError:
        raise Invalid(fields={"level": gettext("Please choose what you decide.")}) from None


def _days(typed: Mapping[str, str]) -> int | None:
    text = typed.get("days", "").strip()
    if text and not text.isdecimal():
        raise Invalid(fields={"days": gettext("Please give a number of days.")})
    return int(text) if text else None
