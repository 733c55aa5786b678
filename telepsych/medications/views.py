"""A patient's medicines, the check-in before a visit, and the clinician's list.

Every page works with plain forms. Where scripts run, each answer is also saved the moment it is given.
"""

from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Role
from telepsych.core.clock import DAY, to_micros
from telepsych.core.errors import Invalid
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.medications import asking, check_ins, pages, service
from telepsych.medications.check_ins import Questioning
from telepsych.medications.content import medicines
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.triage.content import crisis
from telepsych.web.doors import begin, practice, signed_in

bp = Blueprint("medications", __name__)

PEOPLE = (Role.PATIENT, Role.GUARDIAN)
RECENT = 90 * DAY
"""How far back the patient's own list marks what has changed, when no visit says better."""
FEW_DAYS = 7


@bp.get("/medicines")
@signed_in(*PEOPLE)
def mine() -> ResponseReturnValue:
    """What the patient takes. Whoever represents several people names one with `?patient=`."""
    chosen = request.args.get("patient")
    with begin(writes=False) as work:
        patient = patients.my_patient(work, parse_id(chosen) if chosen else None)
        lines = service.list_of(work, patient.id)
        changes = service.changes_since(work, patient.id, _last_visit(work, patient.id))
    return render_template("medications/list.html", lines=lines, changes=changes, few=FEW_DAYS)


@bp.get("/check-in/<visit_id>/medicines")
@signed_in(*PEOPLE)
def resume(visit_id: str) -> ResponseReturnValue:
    """Wherever the person left off, on whichever device; a short page when there is nothing to ask about."""
    with begin(writes=False) as work:
        now = check_ins.questioning(work, parse_id(visit_id))
    if not now.asked and not now.check_in.is_completed:
        return render_template("medications/none.html", visit_id=now.check_in.visit_id, home=_home_of(now))
    return redirect(_next_place(now), 303)


@bp.get("/check-in/<visit_id>/medicines/<step>")
@signed_in(*PEOPLE)
def question(visit_id: str, step: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        now = check_ins.questioning(work, parse_id(visit_id))
        if now.check_in.is_completed:
            return redirect(_home_of(now), 303)
        return _question(now, step)


@bp.post("/check-in/<visit_id>/medicines/<step>")
@signed_in(*PEOPLE)
def answer(visit_id: str, step: str) -> ResponseReturnValue:
    visit, leaves = parse_id(visit_id), "leave" in request.form
    given: Any = None
    try:
        with begin() as work:
            now = check_ins.questioning(work, visit)
            given = _given(now, step)
            if given is None and leaves:
                return redirect(_home_of(now), 303)
            if given is None:
                raise Invalid(fields={"answer": gettext("Please choose one of the answers.")})
            saved = check_ins.save_check_in_answer(work, visit, step, given, whole=not leaves)
            now = check_ins.questioning(work, visit)
    except Invalid as error:
        return _again(visit, step, given, error), error.status
    if saved.help:
        return redirect(url_for(".help_now", visit_id=visit), 303)
    if leaves:
        return redirect(_home_of(now), 303)
    return redirect(_after(now, step), 303)


@bp.put("/api/check-in/<visit_id>/medicines/<step>")
@signed_in(*PEOPLE)
def save(visit_id: str, step: str) -> ResponseReturnValue:
    """Save a step as far as it is filled in. Doing it twice is as good as once."""
    body: Any = request.get_json(silent=True)
    if not isinstance(body, dict) or "answer" not in body:
        raise Invalid
    with begin() as work:
        saved = check_ins.save_check_in_answer(work, parse_id(visit_id), step, body["answer"], whole=False)
    where = url_for(".help_now", visit_id=parse_id(visit_id)) if saved.safety else None
    return jsonify(saved=True, at=saved.at, goto=where)


@bp.get("/check-in/<visit_id>/medicines/help")
@signed_in(*PEOPLE)
def help_now(visit_id: str) -> ResponseReturnValue:
    """What the patient told us that cannot wait, and what to do about it now."""
    with begin(writes=False) as work:
        now = check_ins.questioning(work, parse_id(visit_id))
        minor = check_ins.is_young(work, now.check_in)
    waiting = check_ins.unseen(now.check_in) or check_ins.raised(now.check_in)
    if not waiting:
        return redirect(_next_place(now), 303)
    harm = any(one.symptom == asking.SELF_HARM for one in waiting)
    content = crisis()
    place = content.safety_page if harm else content.cards["medical"]
    lines = content.lines_of(place, minor=minor, practice_phone=practice.settings.practice_phone)
    return render_template(
        "medications/help.html",
        visit_id=now.check_in.visit_id,
        waiting=waiting,
        harm=content.safety_page if harm else None,
        lines=lines,
    )


@bp.post("/check-in/<visit_id>/medicines/help")
@signed_in(*PEOPLE)
def help_seen(visit_id: str) -> ResponseReturnValue:
    with begin() as work:
        check_ins.see_help(work, parse_id(visit_id))
        now = check_ins.questioning(work, parse_id(visit_id))
    return redirect(_next_place(now), 303)


@bp.get("/check-in/<visit_id>/medicines/review")
@signed_in(*PEOPLE)
def review(visit_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        now = check_ins.questioning(work, parse_id(visit_id))
    if now.check_in.is_completed or not now.asked:
        return redirect(_home_of(now), 303)
    rows = pages.review_rows(now)
    last = now.steps[-1].key
    return render_template(
        "medications/review.html", visit_id=now.check_in.visit_id, rows=rows, last=last, home=_home_of(now)
    )


@bp.post("/check-in/<visit_id>/medicines/complete")
@signed_in(*PEOPLE)
def complete(visit_id: str) -> ResponseReturnValue:
    with begin() as work:
        now = check_ins.questioning(work, parse_id(visit_id))
        if now.next is not None and not now.check_in.is_completed:
            return redirect(url_for(".review", visit_id=now.check_in.visit_id), 303)
        check_ins.complete_check_in(work, now.check_in.visit_id)
    return redirect(_home_of(now), 303)


@bp.get("/patients/<patient_id>/medicines")
@signed_in(Role.CLINICIAN, Role.STAFF, Role.MANAGER)
def of_patient(patient_id: str) -> ResponseReturnValue:
    return _of_patient(parse_id(patient_id))


@bp.post("/patients/<patient_id>/medicines")
@signed_in(Role.CLINICIAN)
def add(patient_id: str) -> ResponseReturnValue:
    patient, form = parse_id(patient_id), request.form
    typed = form.get("name", "").strip()
    try:
        with begin() as work:
            service.add_medicine(
                work,
                patient,
                medicine_id=_known(typed),
                name=typed,
                strength=form.get("strength", ""),
                how=form.get("how", ""),
                reason=form.get("reason", ""),
                prescriber=form.get("prescriber", ""),
                started_on=_day(form.get("started_on", ""), "started_on"),
            )
    except Invalid as error:
        return _of_patient(patient, error), error.status
    return redirect(url_for(".of_patient", patient_id=patient), 303)


@bp.post("/patients/<patient_id>/medicines/<medicine_id>")
@signed_in(Role.CLINICIAN)
def change(patient_id: str, medicine_id: str) -> ResponseReturnValue:
    """Change, stop or start again, by the button that was pressed."""
    patient, medicine, form = parse_id(patient_id), parse_id(medicine_id), request.form
    try:
        with begin() as work:
            on = _day(form.get("on", ""), "on")
            service.require_of(work, patient, medicine)
            if "stop" in form:
                service.stop_medicine(work, medicine, why=form.get("why", ""), stopped_on=on)
            elif "again" in form:
                service.start_again(work, medicine, on=on)
            else:
                service.change_medicine(
                    work,
                    medicine,
                    strength=form.get("strength", ""),
                    how=form.get("how", ""),
                    why=form.get("why", ""),
                    changed_on=on,
                )
    except Invalid as error:
        return _of_patient(patient, error, medicine), error.status
    return redirect(url_for(".of_patient", patient_id=patient), 303)


def _question(now: Questioning, key: str, typed: Any = None, errors: dict[str, str] | None = None) -> str:
    step = asking.step_named(now.steps, key)
    page = pages.step_page(now, step, reviewing="reviewing" in request.values, typed=typed, errors=errors)
    return render_template("medications/step.html", page=page, home=_home_of(now))


def _again(visit_id: UUID, key: str, typed: Any, error: Invalid) -> str:
    """The same page with what was typed and what to do about it."""
    with begin(writes=False) as work:
        now = check_ins.questioning(work, visit_id)
        return _question(now, key, typed, error.fields or {"answer": error.sentence})


def _given(now: Questioning, key: str) -> Any:
    step = asking.step_named(now.steps, key)
    return pages.form_value(step.kind, request.form, request.form.to_dict(flat=False))


def _after(now: Questioning, key: str) -> str:
    names = [step.key for step in now.steps]
    place = names.index(key) + 1
    reviewing = "reviewing" in request.form and now.next is None
    if reviewing or place == len(names):
        return url_for(".review", visit_id=now.check_in.visit_id)
    return url_for(".question", visit_id=now.check_in.visit_id, step=names[place])


def _next_place(now: Questioning) -> str:
    visit_id = now.check_in.visit_id
    if check_ins.unseen(now.check_in):
        return url_for(".help_now", visit_id=visit_id)
    if now.check_in.is_completed:
        return _home_of(now)
    if now.next is None:
        return url_for(".review", visit_id=visit_id)
    return url_for(".question", visit_id=visit_id, step=now.next.key)


def _home_of(now: Questioning) -> str:
    return f"/check-in/{now.check_in.visit_id}"


def _last_visit(work: Work, patient_id: UUID) -> int:
    """Changes are marked since the last visit as the chart knows it, else for some weeks."""
    known = patients.facts_of(work, patient_id).get("last_visit")
    try:
        day = date.fromisoformat(str(known.value)) if known else None
    except ValueError:
        day = None
    if day is None:
        return work.now - RECENT
    return to_micros(datetime.combine(day, time(), practice.settings.tz))


def _of_patient(patient_id: UUID, error: Invalid | None = None, medicine_id: UUID | None = None) -> str:
    with begin(writes=False) as work:
        work.require(patients_policy.can_coordinate(work.actor, patient_id))
        patient = patients.open_patient(work, patient_id)
        lines = service.list_of(work, patient.id, stopped=True)
    return render_template(
        "medications/of_patient.html",
        patient_id=patient.id,
        name=patient.name,
        lines=lines,
        catalogue=sorted(medicines().values(), key=lambda one: one.name),
        typed=request.form,
        error=error,
        about=medicine_id,
    )


def _known(name: str) -> str:
    """The catalogue's id of what was typed, when it is the whole name of one medicine there."""
    words = name.casefold()
    found = [one.id for one in medicines().values() if words in (n.casefold() for n in (one.name, *one.brands))]
    return found[0] if len(found) == 1 else ""


def _day(text: str, field: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(fields={field: gettext("Please give a date.")}) from None
