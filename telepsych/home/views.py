"""Pages made of many rooms: where people land, the clinician's day, the brief, the chart, chart facts, help now."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Relation, Role
from telepsych.core.clock import local_date
from telepsych.core.errors import Invalid, NotFound
from telepsych.core.ids import parse_id
from telepsych.core.work import Work
from telepsych.home import brief, chart, chart_facts, day, patient_home, supported
from telepsych.home.content import ChartForm, chart_form
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.triage.content import crisis
from telepsych.visits import check_in
from telepsych.visits import service as visits
from telepsych.visits.check_in import Step
from telepsych.visits.states import OPEN
from telepsych.web.doors import begin, practice, public, signed_in, visitor

bp = Blueprint("home", __name__)
CARE = (Role.CLINICIAN, Role.STAFF, Role.MANAGER)


@dataclass(frozen=True, slots=True)
class BriefPage:
    """The brief with what surrounds it."""

    patient_id: UUID
    name: str
    about: str
    when: int
    sentence: str
    room_url: str
    checklist_url: str
    summary_url: str
    brief: brief.Brief
    glance: list[tuple[str, str, str]]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class FactsPage:
    """The chart-facts form."""

    patient_id: UUID
    name: str
    place: str
    form: ChartForm


@bp.get("/")
@signed_in()
def index() -> ResponseReturnValue:
    """Where people land: patients at home, clinicians in their day, staff in the inbox."""
    actor = visitor().actor
    if actor.has(Role.CLINICIAN):
        return _day_page()
    if actor.has(*CARE):
        return redirect(url_for("inbox.index"))
    if actor.is_workforce:
        return redirect(url_for("oversight.index"))
    return _patient_page()


@bp.get("/day/<day_text>")
@signed_in(*CARE)
def day_fragment(day_text: str) -> ResponseReturnValue:
    """The visits of a day, to be put into the page again when something has changed."""
    with begin(writes=False) as work:
        page = day.build(work, _date(day_text))
    return render_template("home/_visits_of_day.html", page=page)


@bp.get("/patients/<patient_id>")
@signed_in(*CARE)
def chart_page(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = chart.build(work, parse_id(patient_id))
    return render_template("home/chart.html", page=page)


@bp.get("/patients/<patient_id>/brief")
@signed_in(*CARE)
def brief_page(patient_id: str) -> ResponseReturnValue:
    visit_id = parse_id(request.args.get("visit", ""))
    with begin(writes=False) as work:
        page = _brief(work, parse_id(patient_id), visit_id)
    return render_template("home/brief.html", page=page)


@bp.get("/visits/<visit_id>/brief")
@signed_in(*CARE)
def brief_fragment(visit_id: str) -> ResponseReturnValue:
    """The brief beside the video."""
    with begin(writes=False) as work:
        visit = visits.visit(work, parse_id(visit_id))
        work.require(patients_policy.can_coordinate(work.actor, visit.patient_id))
        found = brief.build(work, visit)
    return render_template("home/_brief.html", brief=found, level=3)


@bp.get("/patients/<patient_id>/facts")
@signed_in(Role.CLINICIAN)
def facts(patient_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = _facts_page(work, parse_id(patient_id))
        values = chart_facts.shown(patients.facts_of(work, page.patient_id))
    return render_template("home/chart_facts.html", page=page, values=values, errors={})


@bp.post("/patients/<patient_id>/facts")
@signed_in(Role.CLINICIAN)
def record_facts(patient_id: str) -> ResponseReturnValue:
    typed = request.form
    try:
        with begin() as work:
            chart_facts.record(work, parse_id(patient_id), typed)
    except Invalid as error:
        with begin(writes=False) as work:
            page = _facts_page(work, parse_id(patient_id))
        values: dict[str, Any] = {name: typed.getlist(name) if name in _several() else typed[name] for name in typed}
        return render_template("home/chart_facts.html", page=page, values=values, errors=error.fields), error.status
    return redirect(url_for(".chart_page", patient_id=patient_id), 303)


@bp.get("/supporting")
@signed_in(Role.GUARDIAN)
def supporting() -> ResponseReturnValue:
    """What patients share with their supporter."""
    with begin(writes=False) as work:
        page = supported.build(work)
    return render_template("home/supporting.html", people=page)


@bp.get("/help")
@public("help")
def help_now() -> ResponseReturnValue:
    """Crisis help for anybody, signed in or not."""
    content = crisis()
    lines = content.lines_of(content.cards["crisis"], practice_phone=practice.settings.practice_phone)
    return render_template("home/help.html", lines=lines)


def _day_page() -> ResponseReturnValue:
    with begin(writes=False) as work:
        today = local_date(work.now, work.practice.settings.tz)
        wanted = request.args.get("day", "")
        page = day.build(work, _date(wanted) if wanted else today)
        work.require(patients_policy.can_coordinate(work.actor))
    return render_template("home/day.html", page=page)


def _patient_page() -> ResponseReturnValue:
    wanted = request.args.get("patient", "")
    with begin(writes=False) as work:
        try:
            patient = patients.my_patient(work, parse_id(wanted) if wanted else None)
        except NotFound:
            if wanted:
                raise
            people = patients.represented_by(work, work.actor.id) if work.actor.id else []
            if not people and any(tie.relation is Relation.SUPPORTER for tie in work.actor.ties):
                return redirect(url_for(".supporting"))
            return render_template("home/choose.html", people=people)
        page = patient_home.build(work, patient)
        own = any(tie.relation is Relation.SELF for tie in work.actor.ties)
    return render_template("home/patient.html", page=page, own=own)


def _brief(work: Work, patient_id: UUID, visit_id: UUID) -> BriefPage:
    work.require(patients_policy.can_coordinate(work.actor, patient_id))
    visit = visits.visit(work, visit_id)
    if visit.patient_id != patient_id:
        raise NotFound
    patient = patients.open_patient(work, patient_id)
    mine = visit.clinician_id == work.actor.id
    return BriefPage(
        patient_id=patient_id,
        name=patient.name,
        about=chart.about(work, patient),
        when=visit.starts_at,
        sentence=visits.sentence_for(work, visit),
        room_url=url_for("visits.show_room", visit_id=visit.id) if mine and visit.state in OPEN else "",
        checklist_url=url_for("appropriateness.checklist", visit_id=visit.id),
        summary_url=day.summary_url(work, visit),
        brief=brief.build(work, visit),
        glance=brief.glance(work, patient_id),
        steps=check_in.readiness(work, visit).steps,
    )


def _facts_page(work: Work, patient_id: UUID) -> FactsPage:
    work.require(patients_policy.can_care_for(work.actor, patient_id))
    patient = patients.open_patient(work, patient_id)
    return FactsPage(patient.id, patient.name, chart_facts.place_of(patient.id), chart_form())


def _several() -> frozenset[str]:
    return frozenset(field.name for field in chart_form().fields() if field.kind == "several")


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFound from None
