"""The check-in: a list of what there is to do, then one small group of questions a page.

Every page works with plain forms, and can be left and taken up again on another device.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.errors import Invalid, NotFound
from telepsych.core.ids import parse_id
from telepsych.core.work import Work
from telepsych.patients import consent_content
from telepsych.patients import service as patients
from telepsych.triage.content import crisis
from telepsych.visits import check_in, forms, pages, policy, service
from telepsych.visits.blueprint import PATIENTS, bp
from telepsych.visits.forms import StepKey
from telepsych.visits.models import Visit
from telepsych.visits.states import HELD, OPEN
from telepsych.web import drafts
from telepsych.web.doors import begin, practice, signed_in

DETOURS = ("elsewhere", "driving", "unsafe", "help")


@bp.get("/check-in/<visit_id>")
@signed_in(*PATIENTS)
def hub(visit_id: str) -> ResponseReturnValue:
    """What is done, what is left, and how long it takes."""
    wanted = parse_id(visit_id)
    with begin(writes=False) as work:
        visit = service.visit(work, wanted)
        page = _hub(work, visit)
    if visit.state in HELD:
        return redirect(url_for("visits.mine"), 303)
    if page.readiness.is_ready and visit.checked_in_at is None and not page.closed:
        with begin() as work:
            visit = service.held(work, wanted)
            work.require(policy.may_check_in(work.actor, visit))
            work.audited = True
            service.check_in_complete(work, visit)
    return render_template("visits/check_in/hub.html", page=page)


@bp.get("/check-in/<visit_id>/<step>")
@signed_in(*PATIENTS)
def check_in_step(visit_id: str, step: str) -> ResponseReturnValue:
    key = _key(step)
    with begin(writes=False) as work:
        visit = service.visit(work, parse_id(visit_id))
        if key is StepKey.CONSENT:
            return _consent(work, visit, {}, {})
        work.require(policy.may_check_in(work.actor, visit))
        answers = check_in.answers(work, visit, key)
        return _step(work, visit, key, pages.values_of(key, answers), {})


@bp.post("/check-in/<visit_id>/<step>")
@signed_in(*PATIENTS)
def save_step(visit_id: str, step: str) -> ResponseReturnValue:
    key, wanted = _key(step), parse_id(visit_id)
    leaves = "leave" in request.form
    try:
        with begin() as work:
            detour = _save(work, wanted, key)
            _drop_draft(work)
    except Invalid as error:
        if leaves:
            return redirect(url_for(".hub", visit_id=wanted), 303)
        return _again(wanted, key, error), error.status
    if detour:
        return redirect(url_for(".detour", visit_id=wanted, kind=detour, after=key.value), 303)
    return redirect(url_for(".hub", visit_id=wanted) if leaves else _onward(wanted, key), 303)


@bp.post("/check-in/<visit_id>/consent/withdrawal")
@signed_in(*PATIENTS)
def withdraw_consent(visit_id: str) -> ResponseReturnValue:
    """Take one's consent back, on the page that promises it."""
    with begin() as work:
        visit = service.visit(work, parse_id(visit_id))
        patients.withdraw_consent(work, visit.patient_id)
    return redirect(url_for(".check_in_step", visit_id=visit_id, step=StepKey.CONSENT.value), 303)


@bp.get("/check-in/<visit_id>/after/<kind>")
@signed_in(*PATIENTS)
def detour(visit_id: str, kind: str) -> ResponseReturnValue:
    """A page that says what an answer means, before going on."""
    if kind not in DETOURS:
        raise NotFound
    with begin(writes=False) as work:
        visit = service.visit(work, parse_id(visit_id))
        patient = patients.open_patient(work, visit.patient_id)
        minor = check_in.is_minor(work, patient)
        state = check_in.given(work, visit, StepKey.WHERE).get("state", "")
    content = crisis()
    lines = content.lines_of(
        content.safety_page,
        minor=minor,
        practice_phone=practice.settings.practice_phone,
        in_connecticut=state in ("", "CT"),
    )
    after = request.args.get("after", "")
    onward = _onward(visit.id, StepKey(after)) if after in list(StepKey) else url_for(".hub", visit_id=visit.id)
    page = pages.DetourPage(visit, kind, onward, lines)
    return render_template("visits/check_in/detour.html", page=page)


def _save(work: Work, visit_id: UUID, key: StepKey) -> str:
    if key is not StepKey.CONSENT:
        return check_in.save(work, visit_id, key, request.form).detour
    check_in.sign(
        work,
        visit_id,
        signer_name=request.form.get("signer_name", ""),
        agreed=request.form.get("agreed", ""),
        answers=request.form,
        digest=request.form.get("digest", ""),
    )
    return ""


def _again(visit_id: UUID, key: StepKey, error: Invalid) -> str:
    """The same page with what was typed."""
    with begin(writes=False) as work:
        visit = service.visit(work, visit_id)
        if key is StepKey.CONSENT:
            return _consent(work, visit, request.form, error.fields)
        return _step(work, visit, key, request.form, error.fields)


def _onward(visit_id: UUID, key: StepKey) -> str:
    """The next page that is still open, else the list."""
    with begin(writes=False) as work:
        following = check_in.next_step(work, service.visit(work, visit_id), key)
    if following is None:
        return url_for(".hub", visit_id=visit_id)
    return url_for(".check_in_step", visit_id=visit_id, step=following.value)


def _hub(work: Work, visit: Visit) -> pages.HubPage:
    patient = patients.open_patient(work, visit.patient_id)
    mine = patient.person_id == work.actor.id
    return pages.HubPage(
        visit=visit,
        clinician=service.clinician_name(work, visit),
        for_name="" if mine else patients.first_name(patient),
        readiness=check_in.readiness(work, visit),
        may_join=bool(policy.may_wait(work.actor, visit, work.now)),
        join_url=url_for("visits.devices", visit_id=visit.id, join=1),
        sentence=service.sentence_for(work, visit),
        closed=visit.state not in OPEN,
    )


def _step(work: Work, visit: Visit, key: StepKey, values: Mapping[str, Any], errors: Mapping[str, str]) -> str:
    patient = patients.open_patient(work, visit.patient_id)
    step, steps = check_in.place_of(work, visit, key)
    contact = None
    if key is StepKey.CONTACT:
        contact = patients.emergency_contact(work, visit.patient_id)
    if key is StepKey.PHONE and not values:
        values = {"number": patient.phone}
    page = pages.StepPage(
        visit_id=visit.id,
        key=key.value,
        title=forms.labels(check_in.name_for(work, patient))[key],
        about=check_in.name_for(work, patient),
        step=step,
        steps=steps,
        back=url_for(".hub", visit_id=visit.id),
        values=values,
        errors=errors,
        contact=contact,
        minor=check_in.is_minor(work, patient),
    )
    return render_template(f"visits/check_in/{key.value}.html", page=page)


def _consent(work: Work, visit: Visit, values: Mapping[str, Any], errors: Mapping[str, str]) -> str:
    patient = patients.open_patient(work, visit.patient_id)
    text = check_in.consent_text(work)
    years = patients.age(patient, work.now, practice.settings.tz)
    missing = patients.missing_signers(work, visit.patient_id)
    mine = patients.my_signer(work, visit.patient_id)
    step, steps = check_in.place_of(work, visit, StepKey.CONSENT)
    signed = patients.signatures(work, visit.patient_id)
    page = pages.ConsentPage(
        visit_id=visit.id,
        title=text.title,
        intro=text.intro,
        sections=consent_content.sections_for(text, years),
        questions=text.questions,
        statement=mine[0].statement if mine else "",
        withdraw=text.withdraw,
        version=text.version,
        digest=consent_content.digest(text, years),
        signed=tuple(signed),
        may_withdraw=any(one.signer_id == work.actor.id and one.withdrawn_at is None for one in signed),
        may_sign=mine is not None and mine[0].who in missing and bool(policy.may_check_in(work.actor, visit)),
        done=not missing,
        step=step,
        steps=steps,
        values=values,
        errors=errors,
    )
    return render_template("visits/check_in/consent.html", page=page)


def _key(step: str) -> StepKey:
    if step not in list(StepKey):
        raise NotFound
    return StepKey(step)


def _drop_draft(work: Work) -> None:
    """What was typed is sent: its draft is no longer needed."""
    if place := request.form.get("draft"):
        drafts.discard(work, place)
