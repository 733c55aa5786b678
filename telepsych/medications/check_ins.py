"""The medication check-in before a visit: opened by the visit, answered step by step, read by the brief.

What cannot wait is raised in the unit that saves the answer: if the work item cannot be made, the answer is not taken
either, and the browser tries again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from telepsych.audit import service as audit
from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.medications import asking, medicine_list, policy
from telepsych.medications.asking import Asked, Kind, OwnChange, Step, Taking
from telepsych.medications.content import check_in as content
from telepsych.medications.content import medicines
from telepsych.medications.models import CheckInState, MedicationCheckIn, PatientMedicine
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.triage import service as triage
from telepsych.triage.models import ItemKind
from telepsych.triage.priority import Priority

ADULT = 18


@dataclass(frozen=True, slots=True)
class SavedStep:
    """An answer was taken. `help` asks to show at once what cannot wait; `safety` says that it is about self-harm."""

    check_in_id: UUID
    step: str
    at: int
    help: bool
    safety: bool


@dataclass(frozen=True, slots=True)
class Questioning:
    """A check-in with the steps its answers have led to so far."""

    check_in: MedicationCheckIn
    asked: tuple[Asked, ...]
    steps: tuple[Step, ...]

    @property
    def next(self) -> Step | None:
        """The first step that is still open."""
        return asking.next_step(self.steps, self.check_in.answers)


@dataclass(frozen=True, slots=True)
class Effect:
    """A side effect the patient chose."""

    symptom_id: str
    text: str
    severity: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a patient told about one medicine. `own_change` and `reasons` are words, empty when there are none."""

    row_id: UUID
    label: str
    taking: str
    missed: int | None
    own_change: str
    stopped_at_once: bool
    reasons: tuple[str, ...]
    days_left: int | None


@dataclass(frozen=True, slots=True)
class Raised:
    """Something that could not wait."""

    title: str
    priority: Priority
    words: str
    at: int
    stands: bool
    """False when the patient took the answer back before sending; it stays raised all the same."""
    symptom: str | None
    seen: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What the brief shows of a check-in; what could not wait comes first."""

    check_in_id: UUID
    visit_id: UUID
    opened_at: int
    completed_at: int | None
    raised: tuple[Raised, ...]
    medicines: tuple[Told, ...]
    effects: tuple[Effect, ...]
    burden: str


def open_check_in(work: Work, patient_id: UUID, visit_id: UUID) -> MedicationCheckIn:
    """Open the check-in of a visit, once."""
    work.require(policy.can_open_check_in(work.actor, patient_id))
    mine = patients_policy.patient_ids_of(work.actor, work.now)
    there = work.session.scalar(
        select(MedicationCheckIn).where(
            MedicationCheckIn.visit_id == visit_id,
            MedicationCheckIn.patient_id == patient_id,
            MedicationCheckIn.patient_id.in_(mine),
        )
    )
    if there is not None:
        return there
    patient = patients.open_patient(work, patient_id)
    row = MedicationCheckIn(patient_id=patient.id, visit_id=visit_id, state=CheckInState.OPEN, opened_at=work.now)
    work.add(row)
    audit.record(work, "check-in.opened", f"check-in:{row.id}", patient_id=patient.id)
    return row


def check_in_done(work: Work, visit_id: UUID) -> bool:
    """Whether the patient has finished the medication check-in of a visit."""
    mine = policy.check_ins_of(work.actor, work.now).where(MedicationCheckIn.visit_id == visit_id)
    rows = work.all(mine)
    return bool(rows) and rows[0].is_completed


def questioning(work: Work, visit_id: UUID) -> Questioning:
    """The check-in of a visit, to go on with. Raises `NotFound` unless the actor may see the patient's medicines."""
    row = work.one(policy.check_ins_of(work.actor, work.now).where(MedicationCheckIn.visit_id == visit_id))
    audit.look(work, "check-in.read", row.patient_id)
    return _questioning(work, row)


def save_check_in_answer(work: Work, visit_id: UUID, step_key: str, value: Any, *, whole: bool = True) -> SavedStep:
    """Take the answer of one step; the same answer again changes nothing.

    `whole` asks for every field of the step, which a page does and saving in passing does not. Raises `Invalid`.
    """
    now = _to_answer(work, visit_id)
    work.require(policy.can_change(now.check_in))
    step = asking.step_named(now.steps, step_key)
    given = asking.read(step, value)
    if whole and (missing := asking.gaps(step, given)):
        raise Invalid(fields=missing)
    if now.check_in.answers.get(step.key) != given:
        _keep(work, now, step, given)
    return _saved(work, now.check_in, step)


def complete_check_in(work: Work, visit_id: UUID) -> MedicationCheckIn:
    """Finish the check-in; again is as good as once. Raises `Invalid` while a question is open."""
    now = _to_answer(work, visit_id)
    row = now.check_in
    if row.is_completed:
        return row
    if now.next is not None:
        raise Invalid(gettext("A question is still open."))
    row.state, row.completed_at = CheckInState.COMPLETED, work.now
    audit.record(work, "check-in.completed", f"check-in:{row.id}", patient_id=row.patient_id)
    medicine_list.refresh_ledger(work, row.patient_id)
    return row


def unseen(row: MedicationCheckIn) -> list[Raised]:
    """What could not wait and whose words the patient has not seen yet, the most urgent first."""
    return [one for one in raised(row) if not one.seen]


def see_help(work: Work, visit_id: UUID) -> None:
    """The patient has seen what to do at once, and goes on."""
    row = _to_answer(work, visit_id).check_in
    row.alerts = [{**alert, "seen": True} for alert in row.alerts]
    audit.record(work, "help.seen", f"check-in:{row.id}", patient_id=row.patient_id, purpose="safety")


def check_in(work: Work, patient_id: UUID, visit_id: UUID) -> Report | None:
    """What the patient told before a visit, finished or not; None when no check-in was opened."""
    mine = policy.check_ins_of(work.actor, work.now).where(
        MedicationCheckIn.visit_id == visit_id, MedicationCheckIn.patient_id == patient_id
    )
    rows = work.all(mine)
    if not rows:
        return None
    audit.look(work, "check-in.read", patient_id)
    return _report(work, rows[0])


def _report(work: Work, row: MedicationCheckIn) -> Report:
    every = medicine_list.rows_of(work, row.patient_id, stopped=True)
    asked = [_asked(one) for one in every if f"{one.id}.{Kind.TAKING}" in row.answers]
    levels = {one.id: one.text for one in content().severities}
    severity = row.answers.get(Kind.SEVERITY) or {}
    given = severity.get("symptoms", {})
    burdens = {one.id: one.text for one in content().burdens}
    effects = [
        Effect(name, content().symptom(name).text, levels.get(given.get(name, ""), ""))
        for name in asking.present(asked, row.answers)
    ]
    return Report(
        check_in_id=row.id,
        visit_id=row.visit_id,
        opened_at=row.opened_at,
        completed_at=row.completed_at,
        raised=tuple(raised(row)),
        medicines=tuple(_told(one, row.answers) for one in asked),
        effects=tuple(effects),
        burden=burdens.get(severity.get("burden") or "", ""),
    )


def _told(one: Asked, answers: asking.Answers) -> Told:
    change = asking.own_change(one, answers)
    reasons = {reason.id: reason.text for reason in content().reasons}
    taking = answers[f"{one.row}.{Kind.TAKING}"]
    return Told(
        row_id=UUID(one.row),
        label=one.label,
        taking=taking_words()[taking],
        missed=asking.missed_doses(one, answers),
        own_change="" if change is OwnChange.NONE else change_words()[change],
        stopped_at_once=change is OwnChange.STOPPED_AT_ONCE,
        reasons=tuple(reasons[name] for name in asking.reasons(one, answers)),
        days_left=asking.days_left(one, answers),
    )


def taking_words() -> dict[str, str]:
    """How the answers to "are you taking it" read."""
    return {
        Taking.YES: gettext("Yes, as prescribed"),
        Taking.SOMETIMES: gettext("Sometimes"),
        Taking.NO: gettext("No"),
    }


def change_words() -> dict[str, str]:
    """How the person's own changes read."""
    return {
        OwnChange.NONE: gettext("I changed nothing"),
        OwnChange.LESS: gettext("I take less"),
        OwnChange.MORE: gettext("I take more"),
        OwnChange.STOPPED_SLOWLY: gettext("I stopped it step by step"),
        OwnChange.STOPPED_AT_ONCE: gettext("I stopped it all at once"),
    }


def _to_answer(work: Work, visit_id: UUID) -> Questioning:
    """The check-in, held until the unit ends, so that two devices do not overwrite each other's answers."""
    mine = policy.check_ins_of(work.actor, work.now).where(MedicationCheckIn.visit_id == visit_id)
    row = work.one(mine.with_for_update())
    work.require(policy.can_answer(work.actor, row))
    return _questioning(work, row)


def _questioning(work: Work, row: MedicationCheckIn) -> Questioning:
    asked = tuple(_asked(one) for one in medicine_list.rows_of(work, row.patient_id))
    without = _asked_elsewhere(work, row)
    return Questioning(row, asked, tuple(asking.steps(asked, row.answers, without=without)))


def is_young(work: Work, row: MedicationCheckIn) -> bool:
    """Whether the patient is under 18."""
    patient = patients.open_patient(work, row.patient_id)
    return patients.age(patient, work.now, work.practice.settings.tz) < ADULT


def _asked_elsewhere(work: Work, row: MedicationCheckIn) -> frozenset[str]:
    """Self-harm is asked of a young person in their own, confidential questions: this check-in a parent may read."""
    answers_alone = patients.open_patient(work, row.patient_id).person_id is not None
    return frozenset({asking.SELF_HARM}) if answers_alone and is_young(work, row) else frozenset()


def _asked(row: PatientMedicine) -> Asked:
    return Asked(str(row.id), row.code, row.name, row.label, medicines().get(row.medicine_id))


def _keep(work: Work, now: Questioning, step: Step, given: Any) -> None:
    row, before = now.check_in, now.check_in.answers
    row.answers = {**before, step.key: given}
    by = str(work.actor.id or work.actor.label)
    row.history = [*row.history, {"step": step.key, "value": given, "at": work.now, "by": by}]
    then = _questioning(work, row)
    _tell_ledger(
        work, row, asking.facts(now.asked, before, now.steps), asking.facts(then.asked, row.answers, then.steps)
    )
    _raise(work, row, asking.alerts(now.asked, before), asking.alerts(then.asked, row.answers))
    about = f"check-in:{row.id}"
    audit.record(work, "check-in.answered", about, patient_id=row.patient_id, detail={"step": step.key})


def _tell_ledger(work: Work, row: MedicationCheckIn, before: dict[str, Any], now: dict[str, Any]) -> None:
    news = {code: value for code, value in now.items() if before.get(code) != value}
    if news:
        patients.record_facts(work, row.patient_id, news, source="medication-check-in", as_of=work.now, about=row.id)


def _raise(work: Work, row: MedicationCheckIn, before: Sequence[asking.Alert], now: Sequence[asking.Alert]) -> None:
    """Raise what is new; say of what was taken back that it was. It stays raised."""
    known, standing = {one.key for one in before}, {one.key for one in now}
    for alert in now:
        if alert.key not in known:
            _raise_item(work, row, alert, alert.title)
            kept = [one for one in row.alerts if one["key"] != alert.key]
            row.alerts = [*kept, _alert(work, alert)]
    for alert in before:
        if alert.key not in standing:
            taken_back = gettext("{what}: taken back before sending; both are kept").format(what=alert.title)
            _raise_item(work, row, alert, taken_back)
            row.alerts = [{**one, "stands": one["stands"] and one["key"] != alert.key} for one in row.alerts]


def _raise_item(work: Work, row: MedicationCheckIn, alert: asking.Alert, why: str) -> None:
    harm = alert.symptom == asking.SELF_HARM
    triage.raise_item(
        work,
        row.patient_id,
        ItemKind.SAFETY_ANSWER if harm else ItemKind.MEDICATION,
        alert.priority,
        title=alert.title,
        why=(why,),
        about=("check-in-safety" if harm else "check-in", row.id),
    )


def _alert(work: Work, alert: asking.Alert) -> dict[str, Any]:
    return {
        "key": alert.key,
        "priority": alert.priority.value,
        "title": alert.title,
        "words": alert.words,
        "symptom": alert.symptom,
        "at": work.now,
        "stands": True,
        "seen": False,
    }


def raised(row: MedicationCheckIn) -> list[Raised]:
    """Everything that could not wait: what stands first, the most urgent first."""
    found = [
        Raised(
            one["title"],
            Priority(one["priority"]),
            one["words"],
            one["at"],
            one["stands"],
            one["symptom"],
            one["seen"],
        )
        for one in row.alerts
    ]
    return sorted(found, key=lambda one: (not one.stands, -one.priority.rank, one.at))


def _saved(work: Work, row: MedicationCheckIn, step: Step) -> SavedStep:
    waiting = unseen(row)
    harm = any(one.symptom == asking.SELF_HARM for one in waiting)
    return SavedStep(row.id, step.key, work.now, bool(waiting), harm)
