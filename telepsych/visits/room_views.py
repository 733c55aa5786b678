"""The way into a visit and the room itself: list, device test, waiting room, room, and what their scripts ask for."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Compartment, Relation
from telepsych.core.errors import Conflict, Refused
from telepsych.core.ids import parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import service as patients
from telepsych.visits import check_in, closing, forms, pages, policy, room, service, turn
from telepsych.visits.blueprint import ANYBODY, CARE, PATIENTS, bp
from telepsych.visits.forms import StepKey
from telepsych.visits.models import Visit
from telepsych.visits.states import HELD
from telepsych.visits.turn import MediaPolicy
from telepsych.web.doors import begin, practice, signed_in

CLINICIAN = CARE[0]


@bp.get("/visits")
@signed_in(*PATIENTS)
def mine() -> ResponseReturnValue:
    """One's own visits, or those of the people one represents."""
    with begin(writes=False) as work:
        ties = [tie for tie in work.actor.ties if tie.relation is not Relation.BREAK_GLASS]
        own = [tie.patient_id for tie in ties if Compartment.GENERAL in tie.compartments]
        work.asked = True
        groups = [_visits_of(work, patient_id, named=len(own) > 1) for patient_id in dict.fromkeys(own)]
    return render_template("visits/list.html", groups=groups)


@bp.get("/visits/<visit_id>/devices")
@signed_in(*PATIENTS)
def devices(visit_id: str) -> ResponseReturnValue:
    """Test camera and microphone, from the list of things to do or (`?join=1`) on the way in."""
    joins = "join" in request.args
    with begin(writes=False) as work:
        visit = service.visit(work, parse_id(visit_id))
        work.require(policy.may_check_in(work.actor, visit))
    onward = url_for(".waiting" if joins else ".hub", visit_id=visit.id)
    return render_template("visits/devices.html", visit=visit, onward=onward, joins=joins)


@bp.post("/visits/<visit_id>/devices")
@signed_in(*PATIENTS)
def note_devices(visit_id: str) -> ResponseReturnValue:
    with begin() as work:
        check_in.note_devices(work, parse_id(visit_id), _sent())
    return jsonify(saved=True)


@bp.get("/visits/<visit_id>/waiting")
@signed_in(*PATIENTS)
def waiting(visit_id: str) -> ResponseReturnValue:
    """The waiting room; opening it tells the clinician."""
    with begin() as work:
        visit = service.visit(work, parse_id(visit_id))
        decision = policy.may_wait(work.actor, visit, work.now)
        if decision:
            visit = room.arrive(work, visit.id)
        sentence = service.sentence_for(work, visit) if decision or visit.state in HELD else decision.reason
        enters = bool(policy.may_enter(work.actor, visit, work.now))
        where = check_in.readiness(work, visit).steps if decision else ()
        clinician = service.clinician_name(work, visit)
    if enters:
        return redirect(url_for(".show_room", visit_id=visit.id), 303)
    if not decision:
        return render_template("visits/not_open.html", visit=visit, sentence=sentence)
    still_open = any(not step.done and step.key == StepKey.WHERE for step in where)
    page = pages.WaitingPage(visit, clinician, sentence, visit.callback_number, still_open)
    return render_template("visits/waiting.html", page=page)


@bp.get("/visits/<visit_id>/state")
@signed_in(*ANYBODY)
def state(visit_id: str) -> ResponseReturnValue:
    with begin() as work:
        standing = room.look(work, parse_id(visit_id))
    return jsonify(state=standing.state.value, sentence=standing.sentence)


@bp.get("/visits/<visit_id>/room")
@signed_in(*ANYBODY)
def show_room(visit_id: str) -> ResponseReturnValue:
    with begin(writes=False) as work:
        visit = service.visit(work, parse_id(visit_id))
        is_clinician = policy.is_clinician_of(work.actor, visit)
        if visit.state in HELD:
            return redirect(_after(visit, is_clinician), 303)
        if not is_clinician and not policy.may_enter(work.actor, visit, work.now):
            work.require(policy.may_wait(work.actor, visit, work.now))
            return redirect(url_for(".waiting", visit_id=visit.id), 303)
        work.require(policy.may_enter(work.actor, visit, work.now))
        page = _room(work, visit, is_clinician)
    if turn.media_policy(practice.settings.turn_urls, _host()) is MediaPolicy.REFUSED:
        words = room.no_media_words(page.number or practice.settings.practice_phone)
        return render_template("visits/no_media.html", page=page, words=words)
    return render_template("visits/room.html", page=page)


@bp.get("/visits/<visit_id>/configuration")
@signed_in(*ANYBODY)
def configuration(visit_id: str) -> ResponseReturnValue:
    """What a page needs to take part. Asked again for names and before each new attempt to connect."""
    with begin() as work:
        found = room.configuration(work, parse_id(visit_id), _host())
    return jsonify(
        visit=str(found.visit_id),
        me=str(found.me),
        participants=[{"id": str(person), "name": name} for person, name in found.participants],
        ice=found.ice,
        heartbeat_url=url_for(".heartbeat", visit_id=found.visit_id),
        leave_url=url_for(".leave", visit_id=found.visit_id),
        direct_allowed=found.direct_allowed,
    )


@bp.post("/visits/<visit_id>/heartbeat")
@signed_in(*ANYBODY)
def heartbeat(visit_id: str) -> ResponseReturnValue:
    with begin() as work:
        visit = room.beat(work, parse_id(visit_id), _sent())
    return jsonify(state=visit.state.value)


@bp.post("/visits/<visit_id>/leave")
@signed_in(*ANYBODY)
def leave(visit_id: str) -> ResponseReturnValue:
    with begin() as work:
        room.leave(work, parse_id(visit_id))
    return jsonify(left=True)


@bp.get("/visits/<visit_id>/door")
@signed_in(CLINICIAN)
def door(visit_id: str) -> ResponseReturnValue:
    """Who waits; a part of the clinician's room that keeps itself fresh."""
    with begin(writes=False) as work:
        return _door(work, parse_id(visit_id))


@bp.post("/visits/<visit_id>/admit")
@signed_in(CLINICIAN)
def admit(visit_id: str) -> ResponseReturnValue:
    wanted = parse_id(visit_id)
    try:
        with begin() as work:
            room.admit(work, wanted, anyway="anyway" in request.form)
    except Conflict as error:
        with begin(writes=False) as work:
            return _door(work, wanted, error.sentence), 422
    if _is_fragment():
        with begin(writes=False) as work:
            return _door(work, wanted)
    return redirect(url_for(".show_room", visit_id=wanted), 303)


@bp.get("/visits/<visit_id>/today")
@signed_in(CLINICIAN)
def today(visit_id: str) -> ResponseReturnValue:
    """Where the patient is and how they are reached: the emergency card of the visit."""
    with begin(writes=False) as work:
        page = _today(work, service.visit(work, parse_id(visit_id)))
    return render_template("visits/today.html", page=page, whole=not _is_fragment())


@bp.post("/visits/<visit_id>/confirm")
@signed_in(CLINICIAN)
def confirm(visit_id: str) -> ResponseReturnValue:
    wanted = parse_id(visit_id)
    with begin() as work:
        room.confirm(work, wanted, identity="identity" in request.form, location="location" in request.form)
    if _is_fragment():
        return today(str(wanted))
    return redirect(url_for(".show_room", visit_id=wanted), 303)


@bp.post("/visits/<visit_id>/end")
@signed_in(CLINICIAN)
def end(visit_id: str) -> ResponseReturnValue:
    with begin() as work:
        visit = room.end(work, parse_id(visit_id))
    return redirect(url_for(".close", visit_id=visit.id), 303)


@bp.post("/visits/<visit_id>/missed")
@signed_in(*CARE)
def missed(visit_id: str) -> ResponseReturnValue:
    with begin() as work:
        service.mark_no_show(work, parse_id(visit_id))
    return redirect("/", 303)


def _visits_of(work: Work, patient_id: UUID, *, named: bool) -> pages.PatientVisits:
    patient = patients.open_patient(work, patient_id)
    ahead, behind = service.upcoming(work, patient_id), service.past(work, patient_id)
    summarised = closing.has_summary(work, behind)
    return pages.PatientVisits(
        name=patients.first_name(patient) if named or patient.person_id != work.actor.id else "",
        upcoming=tuple(_line(work, visit, summarised) for visit in ahead),
        past=tuple(_line(work, visit, summarised) for visit in behind),
    )


def _line(work: Work, visit: Visit, summarised: frozenset[UUID]) -> pages.VisitLine:
    return pages.VisitLine(
        visit=visit,
        clinician=service.clinician_name(work, visit),
        sentence=service.sentence_for(work, visit),
        may_join=bool(policy.may_wait(work.actor, visit, work.now)),
        join_url=url_for(".devices", visit_id=visit.id, join=1),
        has_summary=visit.id in summarised,
    )


def _room(work: Work, visit: Visit, is_clinician: bool) -> pages.RoomPage:
    patient = patients.open_patient(work, visit.patient_id)
    number = (visit.callback_number or patient.phone) if is_clinician else practice.settings.practice_phone
    other = patients.first_name(patient) if is_clinician else service.clinician_name(work, visit)
    return pages.RoomPage(visit, other, is_clinician, number, _after(visit, is_clinician))


def _after(visit: Visit, is_clinician: bool) -> str:
    return url_for(".close" if is_clinician else ".summary", visit_id=visit.id)


def _door(work: Work, visit_id: UUID, error: str = "") -> str:
    visit = service.visit(work, visit_id)
    waits = tuple(room.waiting(work, visit))
    against = room.blocks(work, visit) if waits else ()
    page = pages.DoorPage(visit, waits, against, service.sentence_for(work, visit), error)
    return render_template("visits/door.html", page=page)


def _today(work: Work, visit: Visit) -> pages.TodayPage:
    work.require(policy.may_admit(work.actor, visit))
    patient = patients.open_patient(work, visit.patient_id)
    known = {code: fact.value for code, fact in patients.facts_of(work, visit.patient_id).items()}
    where = check_in.given(work, visit, StepKey.WHERE)
    privacy = check_in.given(work, visit, StepKey.PRIVACY)
    contact = patients.emergency_contact(work, visit.patient_id)
    asked = check_in.given(work, visit, StepKey.QUESTIONS).get("questions", [])
    blank = pages.StepPage(visit.id, "", "", 0, 0, "", {})
    return pages.TodayPage(
        visit=visit,
        name=patient.name,
        where=where,
        state_name=forms.STATES.get(where.get("state", ""), ""),
        licensed=where["state"] in practice.settings.licensed_states if where else None,
        contact=contact,
        contact_is_stale=patients.contact_is_stale(contact, work.now),
        callback_number=visit.callback_number or patient.phone,
        privacy=privacy,
        company=dict(blank.company).get(privacy.get("company", ""), ""),
        situation=dict(blank.situations).get(where.get("situation", ""), ""),
        identity_verified=bool(known.get("identity.verified")),
        location_confirmed=bool(known.get("visit.location_confirmed")),
        questions=tuple(asked),
    )


def _is_fragment() -> bool:
    return request.headers.get("X-Fragment") == "1"


def _host() -> str:
    return urlsplit(f"//{request.host}").hostname or ""


def _sent() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise Refused(gettext("This request is incomplete. Please reload the page."))
    return body
