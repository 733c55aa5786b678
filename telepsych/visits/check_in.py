"""The check-in: what there is to do before a visit, and each answer saved as it is given, on whichever device."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from telepsych.appropriateness import service as appropriateness
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.clock import HOUR, local_date
from telepsych.core.errors import Invalid, NotFound, Refused
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.medications import service as medications
from telepsych.patients import consent_content
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.consent_content import Consent
from telepsych.patients.models import Patient
from telepsych.questionnaires import service as questionnaires
from telepsych.triage import service as triage
from telepsych.triage.models import ItemKind
from telepsych.triage.priority import Priority
from telepsych.visits import forms, policy, service
from telepsych.visits.forms import StepKey
from telepsych.visits.models import CheckInAnswer, Visit
from telepsych.visits.states import VisitState

STALE = 12 * HOUR
"""How long an answer about where somebody is now stands."""
MEDICINE_MINUTES = 3
DEVICE_MINUTES = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do before a visit. `url` is empty for somebody whose it is not to do."""

    key: str
    label: str
    done: bool
    minutes: int
    url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far the preparation of a visit is. `place` is where the patient says they are, `licensed` whether we may
    treat there; None while nobody has said."""

    visit_id: UUID
    steps: tuple[Step, ...]
    place: str = ""
    licensed: bool | None = None

    @property
    def done(self) -> int:
        return sum(step.done for step in self.steps)

    @property
    def is_ready(self) -> bool:
        return all(step.done for step in self.steps)

    @property
    def minutes_left(self) -> int:
        return sum(step.minutes for step in self.steps if not step.done)

    @property
    def next(self) -> Step | None:
        """The first thing still to do that is the actor's to do."""
        return next((step for step in self.steps if not step.done and step.url), None)


@dataclass(frozen=True, slots=True)
class Saved:
    """An answer was taken. `detour` names a page to show before going on."""

    visit: Visit
    detour: str = ""


def readiness(work: Work, visit: Visit) -> Readiness:
    """Everything there is to do before this visit, in order."""
    audit.look(work, "check-in.read", visit.patient_id)
    patient = _patient(work, visit)
    saved = {row.step: row for row in _known(work, visit)}
    own = {key: _own_step(work, visit, patient, key, saved.get(key)) for key in steps_of(work, patient)}
    asked = [step for key, step in own.items() if key not in (StepKey.QUESTIONS, StepKey.MEANS)]
    last = [step for key, step in own.items() if key in (StepKey.QUESTIONS, StepKey.MEANS)]
    steps = (*asked, *_questionnaires(work, visit), _medicines(work, visit), *last, _devices(visit))
    state = _state_of(work, visit)
    licensed = state in work.practice.settings.licensed_states if state else None
    return Readiness(visit.id, steps, forms.STATES.get(state, ""), licensed)


def steps_of(work: Work, patient: Patient) -> list[StepKey]:
    """The visit's own pages for this patient, in order."""
    return [key for key in StepKey if key is not StepKey.GUARDIAN or is_minor(work, patient)]


def next_step(work: Work, visit: Visit, after: StepKey) -> StepKey | None:
    """The next of the visit's own pages that is still open, after this one."""
    patient = _patient(work, visit)
    saved = {row.step: row for row in _known(work, visit)}
    order = steps_of(work, patient)
    for key in order[order.index(after) + 1 :]:
        step = _own_step(work, visit, patient, key, saved.get(key))
        if not step.done and step.url:
            return key
    return None


def place_of(work: Work, visit: Visit, key: StepKey) -> tuple[int, int]:
    """Which page this is, of how many."""
    order = steps_of(work, _patient(work, visit))
    if key not in order:
        raise NotFound
    return order.index(key) + 1, len(order)


def answers(work: Work, visit: Visit, key: StepKey) -> dict[str, Any]:
    """What was answered on a page, as it stands. Raises `NotFound` when it is not the actor's to answer."""
    work.require(policy.may_check_in(work.actor, visit))
    _require_own(work, visit, key)
    row = _row(work, visit, key)
    return dict(row.answers) if row else {}


def given(work: Work, visit: Visit, key: StepKey) -> dict[str, Any]:
    """The same for whoever prepares the visit; empty where it is not open to the actor."""
    row = _row(work, visit, key)
    return dict(row.answers) if row else {}


def save(work: Work, visit_id: UUID, key: StepKey, form: Mapping[str, str]) -> Saved:
    """Take the answers of one page. Raises `Invalid` naming the fields that need another look."""
    visit = service.held(work, visit_id)
    work.require(policy.may_check_in(work.actor, visit))
    compartment = _require_own(work, visit, key)
    if key is StepKey.CONSENT:
        raise NotFound
    taken = forms.read(key, form)
    _keep(work, visit, key, compartment, taken)
    _follow(work, visit, key, taken)
    found = forms.facts(key, taken)
    if found:
        source = f"check-in:{visit.id}"
        patients.record_facts(work, visit.patient_id, found, source=source, compartment=compartment, about=visit.id)
    audit.record(work, "check-in.saved", f"visit:{visit.id}", patient_id=visit.patient_id, detail={"step": key.value})
    return Saved(visit, _settle(work, visit, key, compartment, taken))


def sign(
    work: Work, visit_id: UUID, *, signer_name: str, agreed: str, answers: Mapping[str, str], digest: str
) -> Visit:
    """Sign the consent before this visit. Raises `Invalid` naming what is missing, `Conflict` for an old text."""
    visit = service.held(work, visit_id)
    work.require(policy.may_check_in(work.actor, visit))
    mine = patients.my_signer(work, visit.patient_id)
    if mine is None or mine[0].who not in patients.missing_signers(work, visit.patient_id):
        raise Refused(gettext("Your signature is not needed here."))
    problems = {}
    if not signer_name.strip():
        problems["signer_name"] = gettext("Please type your full name to sign.")
    if agreed.strip(" .!").casefold() != gettext("I agree").casefold():
        problems["agreed"] = gettext("If you agree, please type the words: I agree.")
    for question in consent_text(work).questions:
        if answers.get(question.id) not in ("yes", "no"):
            problems[question.id] = gettext("Please choose yes or no. Both are fine.")
    if problems:
        raise Invalid(fields=problems)
    given = {question.id: answers[question.id] for question in consent_text(work).questions}
    patients.sign_consent(
        work, visit.patient_id, signer_name=signer_name, capacity=mine[1], answers=given, text_digest=digest
    )
    settle(work, visit)
    return visit


def consent_text(work: Work) -> Consent:
    """The text that is signed today."""
    return consent_content.in_force("telehealth", local_date(work.now, work.practice.settings.tz))


def note_devices(work: Work, visit_id: UUID, result: Mapping[str, Any]) -> Visit:
    """Keep how the test of camera and microphone went."""
    visit = service.held(work, visit_id)
    work.require(policy.may_check_in(work.actor, visit))
    why = str(result.get("why", ""))[:40]
    tried = {name: bool(result.get(name)) for name in ("ok", "camera", "microphone")}
    visit.devices = {**tried, "why": why, "at": work.now}
    audit.record(work, "check-in.devices", f"visit:{visit.id}", patient_id=visit.patient_id)
    settle(work, visit)
    return visit


def settle(work: Work, visit: Visit) -> None:
    """Ask the rules again after an answer, and see whether everything is done."""
    work.session.flush()
    appropriateness.evaluate(work, visit.patient_id, service.moment_of(visit), visit.id)
    if visit.state is VisitState.BOOKED and readiness(work, visit).is_ready:
        service.check_in_complete(work, visit)
    else:
        service.announce(work, visit)


def is_minor(work: Work, patient: Patient) -> bool:
    """Whether the patient is under 18 today."""
    return patients.age(patient, work.now, work.practice.settings.tz) < service.ADULT


def compartment_of(work: Work, patient: Patient, key: StepKey) -> Compartment:
    """Where the answers of a page are kept: a young person who signs in answers the private ones in confidence."""
    private = key in forms.PRIVATE and patient.person_id is not None and is_minor(work, patient)
    return Compartment.CONFIDENTIAL if private else Compartment.GENERAL


def name_for(work: Work, patient: Patient) -> str:
    """What to call the patient before somebody who acts for them; empty before everybody else."""
    acts = patients_policy.can_write_as_patient(work.actor, patient.id)
    oneself = patients_policy.is_oneself(work.actor, patient.id) or work.actor.is_system
    return patients.first_name(patient) if acts and not oneself else ""


def _patient(work: Work, visit: Visit) -> Patient:
    return patients.open_patient(work, visit.patient_id)


def _known(work: Work, visit: Visit) -> list[CheckInAnswer]:
    """All pages answered, for their clear columns only."""
    work.one(policy.visits_of(work.actor, work.now).where(Visit.id == visit.id))
    return list(work.session.scalars(select(CheckInAnswer).where(CheckInAnswer.visit_id == visit.id)))


def _row(work: Work, visit: Visit, key: StepKey) -> CheckInAnswer | None:
    mine = policy.answers_of(work.actor, work.now).where(
        CheckInAnswer.visit_id == visit.id, CheckInAnswer.step == key.value
    )
    found = work.all(mine)
    return found[0] if found else None


def _own_step(work: Work, visit: Visit, patient: Patient, key: StepKey, row: CheckInAnswer | None) -> Step:
    label, minutes = forms.labels(name_for(work, patient))[key], forms.MINUTES[key]
    if key is StepKey.CONSENT:
        missing = patients.missing_signers(work, visit.patient_id)
        return Step(
            key.value, label, not missing, minutes, f"/check-in/{visit.id}/consent", _signing_note(work, visit, missing)
        )
    fresh = row is not None and not _is_stale(work, visit, key, row)
    mine = policy.opens(work.actor, visit.patient_id, compartment_of(work, patient, key))
    url = f"/check-in/{visit.id}/{key.value}" if mine or not policy.is_of_the_patient(work.actor, visit) else ""
    note = ""
    if not url:
        name = patients.first_name(patient)
        note = gettext("%(name)s answers this one without you.") % {"name": name}
    elif row is not None and not fresh:
        note = gettext("Please make sure this is still right.")
    return Step(key.value, label, fresh, minutes, url, note)


def _signing_note(work: Work, visit: Visit, missing: list[str]) -> str:
    mine = patients.my_signer(work, visit.patient_id)
    if not missing or (mine and mine[0].who in missing) or not policy.is_of_the_patient(work.actor, visit):
        return ""
    if "guardian" in missing:
        return gettext("You have signed. Your parent or guardian signs too.")
    return gettext("The patient still has to sign.")


def _is_stale(work: Work, visit: Visit, key: StepKey, row: CheckInAnswer) -> bool:
    """Where somebody is now is asked again when the answer is old; who to call, when it is half a year old."""
    if key is StepKey.CONTACT and "refused" not in _answers_open(work, visit, key):
        contact = patients.emergency_contact(work, visit.patient_id)
        return contact is None or patients.contact_is_stale(contact, work.now)
    return key in forms.OF_THE_DAY and row.saved_at < min(work.now, visit.starts_at) - STALE


def _answers_open(work: Work, visit: Visit, key: StepKey) -> Mapping[str, Any]:
    row = _row(work, visit, key)
    return row.answers if row else {}


def _questionnaires(work: Work, visit: Visit) -> list[Step]:
    return [
        Step(
            one.instrument_id,
            one.title,
            one.is_done,
            one.minutes,
            f"/questionnaires/{one.response_id}" if one.mine else "",
        )
        for one in questionnaires.standing(work, visit.patient_id, visit.id)
    ]


def _medicines(work: Work, visit: Visit) -> Step:
    done = medications.check_in_done(work, visit.id)
    return Step("medicines", gettext("Your medicines"), done, MEDICINE_MINUTES, f"/check-in/{visit.id}/medicines")


def _devices(visit: Visit) -> Step:
    label = gettext("Test your camera and microphone")
    return Step("devices", label, bool(visit.devices), DEVICE_MINUTES, f"/visits/{visit.id}/devices")


def _state_of(work: Work, visit: Visit) -> str:
    return str(given(work, visit, StepKey.WHERE).get("state", ""))


def _require_own(work: Work, visit: Visit, key: StepKey) -> Compartment:
    """The compartment of a page. Raises `NotFound` when the page is not asked, `Refused` when another answers it."""
    patient = _patient(work, visit)
    if key not in steps_of(work, patient):
        raise NotFound
    compartment = compartment_of(work, patient, key)
    if not policy.opens(work.actor, visit.patient_id, compartment):
        raise Refused(gettext("The patient answers this one for themself."))
    return compartment


def _keep(work: Work, visit: Visit, key: StepKey, compartment: Compartment, taken: dict[str, Any]) -> None:
    row = _row(work, visit, key)
    if row is None:
        row = CheckInAnswer(
            visit_id=visit.id, patient_id=visit.patient_id, compartment=compartment, step=key.value, saved_at=work.now
        )
        work.add(row)
    row.answers, row.saved_at, row.saved_by = taken, work.now, work.actor.id


def _follow(work: Work, visit: Visit, key: StepKey, taken: Mapping[str, Any]) -> None:
    """What an answer changes besides the facts."""
    if key is StepKey.PHONE:
        visit.callback_number = taken["number"]
    if key is not StepKey.CONTACT or "refused" in taken:
        return
    if "kept" in taken:
        known = patients.emergency_contact(work, visit.patient_id)
        if known is None:
            raise NotFound
        name, relationship, phone = known.name, known.relationship, known.phone
    else:
        name, relationship, phone = taken["name"], taken["relationship"], taken["phone"]
    patients.set_emergency_contact(work, visit.patient_id, name=name, relationship=relationship, phone=phone)


def _settle(work: Work, visit: Visit, key: StepKey, compartment: Compartment, taken: Mapping[str, Any]) -> str:
    detour = ""
    if key is StepKey.WHERE:
        detour = _after_where(work, visit, taken)
    elif key is StepKey.PRIVACY and not taken["safe"]:
        detour = "unsafe"
        title = gettext("Says it is not safe to talk where they are")
        why = gettext(
            "Answered at check-in. Do not leave a message on the phone, and do not call before the chart is read."
        )
        _raise(work, visit, "visit-unsafe", Priority.URGENT, title, why, compartment)
    elif key is StepKey.QUESTIONS:
        detour = _after_questions(work, visit, compartment, taken)
    settle(work, visit)
    return detour


def _after_where(work: Work, visit: Visit, taken: Mapping[str, Any]) -> str:
    if taken["state"] not in work.practice.settings.licensed_states:
        title = gettext("Will be outside our licensed states at the visit")
        why = gettext("Said at check-in: %(place)s.") % {"place": forms.STATES[taken["state"]]}
        soon = visit.starts_at - work.now < STALE * 2
        _raise(work, visit, "visit-place", Priority.SOON if soon else Priority.ROUTINE, title, why)
        return "elsewhere"
    return "driving" if taken["situation"] == forms.Situation.DRIVING else ""


def _after_questions(work: Work, visit: Visit, compartment: Compartment, taken: Mapping[str, Any]) -> str:
    """What a patient writes is screened like a message: help is shown at once, and the team sees it."""
    text = "\n".join(taken["questions"])
    if not text:
        return ""
    found = triage.screen_text(work, visit.patient_id, text)
    if found.priority < Priority.URGENT:
        return ""
    title = gettext("Wrote something at check-in that needs a look")
    why = gettext("In the questions for the visit.")
    _raise(work, visit, "visit-questions", found.priority, title, why, compartment, ItemKind.SAFETY_ANSWER)
    return "help"


def _raise(
    work: Work,
    visit: Visit,
    about: str,
    priority: Priority,
    title: str,
    why: str,
    compartment: Compartment = Compartment.GENERAL,
    kind: ItemKind = ItemKind.CALL_BACK,
) -> None:
    triage.raise_item(
        work,
        visit.patient_id,
        kind,
        priority,
        title=title,
        why=(why,),
        about=(about, visit.id),
        compartment=compartment,
    )
