"""Asking the rules about a visit, keeping what they said, observing, ticking and deciding.

The rules recommend and a clinician decides. Facts, and so patients, only ever raise a level; lowering one is a
clinician's act with a reason, and for L3 and L4 with what was done about it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from telepsych.appropriateness import policy
from telepsych.appropriateness.content import Level, Moment, kind_of, observations, rules
from telepsych.appropriateness.decisions import Choice, Reason, checked
from telepsych.appropriateness.engine import Recorded, Sheet
from telepsych.appropriateness.engine import evaluate as judge
from telepsych.appropriateness.models import ChecklistDecision, EvaluationSnapshot, TaskTick, VisitSubject
from telepsych.appropriateness.snapshots import DERIVED, Snapshot, freeze, thaw
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment, system
from telepsych.core.clock import local_date, to_micros
from telepsych.core.errors import Conflict, Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.triage import service as triage
from telepsych.triage.models import ItemKind
from telepsych.triage.priority import Priority

PRIVACY = list(Compartment)
"""From the least private to the most."""
LATE_STAGES = (Moment.ARRIVAL, Moment.IN_VISIT, Moment.CLOSE)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An in-person recommendation and what became of it."""

    visit_id: UUID
    level: Level
    days: int | None
    made_at: int
    decided: str | None
    """The level a clinician decided on this very snapshot; none yet: None."""


def open_checklist(
    work: Work, visit_id: UUID, patient_id: UUID, clinician_id: UUID, starts_at: int | None = None
) -> VisitSubject:
    """Begin a visit's checklist, or note that it was moved or changed hands."""
    work.require(policy.can_open(work.actor))
    work.one(policy.patient_to_evaluate(work.actor, work.now, patient_id))
    subject = _subject(work, visit_id)
    if subject is None:
        subject = VisitSubject(visit_id=visit_id, patient_id=patient_id, stage=Moment.BOOKING, opened_at=work.now)
        work.add(subject)
    elif subject.patient_id != patient_id:
        raise Conflict
    subject.clinician_id, subject.starts_at = clinician_id, starts_at or subject.starts_at
    audit.record(work, "checklist.opened", f"visit:{visit_id}", patient_id=patient_id)
    return subject


def evaluate(work: Work, patient_id: UUID, when: Moment, visit_id: UUID | None = None) -> Snapshot:
    """Ask the rules at a moment and keep what they say. Same inputs and result as the last time: nothing is written.

    Whoever acts, the rules see every compartment; what they say is kept in the most private one they read from.
    """
    patient = work.one(policy.patient_to_evaluate(work.actor, work.now, patient_id))
    subject = _subject(work, visit_id) if visit_id else None
    if subject is not None and subject.patient_id != patient_id:
        raise NotFound
    sheet, compartment = _sheet(work, patient, when, subject)
    kept = freeze(judge(sheet), sheet, rules())
    before = _newest(work, patient_id, visit_id)
    if subject is not None and when is not Moment.MESSAGE:
        subject.stage = when
    if before is not None and (before.stage, before.compartment, before.result) == (when, compartment, kept):
        return _thawed(before)
    row = EvaluationSnapshot(
        patient_id=patient_id, visit_id=visit_id, compartment=compartment, stage=when, made_at=work.now, result=kept
    )
    work.add(row)
    audit.record(work, "checklist.evaluated", f"evaluation:{row.id}", patient_id=patient_id, detail={"when": when})
    if subject is not None:
        work.announce([subject.clinician_id], "visit:news", visit=subject.visit_id, state="checklist")
    return _thawed(row)


def facts_recorded(work: Work, patient_id: UUID, **_: Any) -> None:
    """Facts were recorded: ask the rules again for each of the patient's visits that is still to come or going on."""
    upcoming = select(VisitSubject).where(VisitSubject.patient_id == patient_id, VisitSubject.stage != Moment.CLOSE)
    for subject in work.session.scalars(upcoming).all():
        if subject.starts_at is not None and subject.starts_at < work.now - _TWELVE_HOURS:
            continue
        when = subject.stage if subject.stage in LATE_STAGES else Moment.FORM
        evaluate(work, patient_id, when, subject.visit_id)


def latest(work: Work, visit_id: UUID) -> Snapshot | None:
    """What the rules said last about a visit, for clinicians."""
    work.require(policy.can_see(work.actor))
    subject = work.one(policy.subjects_of(work.actor, work.now).where(VisitSubject.visit_id == visit_id))
    audit.look(work, "checklist.read", subject.patient_id, about=f"visit:{visit_id}")
    mine = policy.snapshots_of(work.actor, work.now).where(EvaluationSnapshot.visit_id == visit_id)
    newest = mine.order_by(EvaluationSnapshot.made_at.desc(), EvaluationSnapshot.id.desc()).limit(1)
    row = work.session.scalar(newest)
    return _thawed(row) if row else None


def subject_of(work: Work, visit_id: UUID) -> VisitSubject:
    """Whom a visit is about. Raises `NotFound` unless the patient's record is open to the actor."""
    return work.one(policy.subjects_of(work.actor, work.now).where(VisitSubject.visit_id == visit_id))


def admission_blocks(work: Work, visit_id: UUID) -> tuple[str, ...]:
    """What refuses admission, for the clinician, in words that may be read to the patient; empty when nothing does."""
    subject = subject_of(work, visit_id)
    row = _newest(work, subject.patient_id, visit_id)
    lines = _thawed(row).blocks if row else ()
    return tuple(line.patient or line.what_to_do for line in lines if line.stop == "visit" and not line.quiet)


def observations_of(work: Work, visit_id: UUID) -> Mapping[str, Any]:
    """What was observed in this visit so far, by code; what was not assessed is not there."""
    work.require(policy.can_see(work.actor))
    subject = subject_of(work, visit_id)
    audit.look(work, "checklist.read", subject.patient_id, about=f"visit:{visit_id}")
    fresh = work.now - _TWELVE_HOURS
    with _everything(work) as inner:
        found = patients.facts_of(inner, subject.patient_id)
    prefix = "observed."
    return {
        code.removeprefix(prefix): fact.value
        for code, fact in found.items()
        if code.startswith(prefix) and fact.value is not None and fact.as_of >= fresh
    }


def observe(work: Work, visit_id: UUID, patient_id: UUID, code: str, value: bool | int | None) -> Snapshot:
    """Note one observation (None: not assessed after all) and ask the rules again."""
    return observe_all(work, visit_id, patient_id, {code: value})


def observe_all(work: Work, visit_id: UUID, patient_id: UUID, values: Mapping[str, bool | int | None]) -> Snapshot:
    """Note several observations made in a visit and ask the rules again. Raises `Invalid` for a value that is none."""
    work.require(policy.can_decide(work.actor))
    subject = subject_of(work, visit_id)
    if subject.patient_id != patient_id:
        raise NotFound
    wrong = {
        code: gettext("Please choose one of the answers.") for code, value in values.items() if not _fits(code, value)
    }
    if wrong:
        raise Invalid(fields=wrong)
    if subject.stage is not Moment.CLOSE:
        subject.stage = Moment.IN_VISIT
    stage = subject.stage
    if values:
        named = {f"observed.{code}": value for code, value in values.items()}
        patients.record_facts(work, patient_id, named, source="observed in the visit", about=visit_id)
        audit.record(work, "checklist.observed", f"visit:{visit_id}", patient_id=patient_id)
        work.session.flush()
    return evaluate(work, patient_id, stage, visit_id)


def tick(work: Work, visit_id: UUID, tasks: Mapping[str, bool]) -> None:
    """Tick tasks, or take ticks back."""
    work.require(policy.can_decide(work.actor))
    subject = subject_of(work, visit_id)
    done = _ticks(work, visit_id)
    changed = {key: is_done for key, is_done in tasks.items() if is_done is not (key in done)}
    for key, is_done in changed.items():
        if is_done:
            row = TaskTick(visit_id=visit_id, patient_id=subject.patient_id, done_by=work.actor.id, done_at=work.now)
            row.task = key
            work.add(row)
        else:
            done[key].undone_at = work.now
    if changed:
        detail = {"done": sorted(key for key, is_done in changed.items() if is_done)}
        audit.record(work, "checklist.ticked", f"visit:{visit_id}", patient_id=subject.patient_id, detail=detail)


def ticks(work: Work, visit_id: UUID) -> Mapping[str, TaskTick]:
    """Ticked tasks by key."""
    work.require(policy.can_see(work.actor))
    subject_of(work, visit_id)
    return _ticks(work, visit_id)


def decide(
    work: Work,
    visit_id: UUID,
    patient_id: UUID,
    level: Level,
    reason_code: str = Reason.ACCEPTED,
    reason: str = "",
    action_taken: str = "",
    *,
    seen: UUID | None = None,
    **more: Any,
) -> ChecklistDecision:
    """Accept, lower or raise what the rules recommend.

    `more` are the other fields of `decisions.Choice`. Raises `Invalid` naming what is missing, and `Conflict` when
    the rules have come to a higher level since the snapshot the clinician saw.
    """
    work.require(policy.can_decide(work.actor))
    subject = subject_of(work, visit_id)
    snapshot = _newest(work, patient_id, visit_id)
    if subject.patient_id != patient_id or snapshot is None:
        raise NotFound
    now = _thawed(snapshot)
    _refuse_if_risen(work, now, seen)
    given = Choice(level=level, reason_code=reason_code, reason=reason, action_taken=action_taken, **more)
    choice = checked(given, now, local_date(work.now, work.practice.settings.tz))
    row = ChecklistDecision(
        visit_id=visit_id,
        patient_id=patient_id,
        snapshot_id=snapshot.id,
        compartment=snapshot.compartment,
        decided_by=work.actor.id,
        decided_at=work.now,
        level=choice.level.value,
        recommended=now.level.value,
        reason_code=choice.reason_code,
        reason=choice.reason.strip(),
        details=choice.details(),
    )
    work.add(row)
    _follow_up(work, subject, now, choice, snapshot.compartment)
    audit.record(work, "checklist.decided", f"decision:{row.id}", patient_id=patient_id)
    work.announce([subject.clinician_id], "visit:news", visit=visit_id, state="checklist")
    return row


def decisions(work: Work, visit_id: UUID) -> list[ChecklistDecision]:
    """Every decision about a visit, the newest first."""
    mine = policy.decisions_of(work.actor, work.now).where(ChecklistDecision.visit_id == visit_id)
    return work.all(mine.order_by(ChecklistDecision.decided_at.desc(), ChecklistDecision.id.desc()))


def history(work: Work, visit_id: UUID) -> list[Snapshot]:
    """Every evaluation of a visit, the newest first."""
    mine = policy.snapshots_of(work.actor, work.now).where(EvaluationSnapshot.visit_id == visit_id)
    rows = work.all(mine.order_by(EvaluationSnapshot.made_at.desc(), EvaluationSnapshot.id.desc()))
    return [_thawed(row) for row in rows]


def recommendations(work: Work, patient_id: UUID) -> list[Recommendation]:
    """In-person recommendations of a patient's visits as last evaluated, the newest first, and what was decided."""
    work.require(policy.can_see(work.actor))
    mine = policy.snapshots_of(work.actor, work.now).where(EvaluationSnapshot.patient_id == patient_id)
    newest: dict[UUID, Snapshot] = {}
    for row in work.all(mine.order_by(EvaluationSnapshot.made_at.desc(), EvaluationSnapshot.id.desc())):
        if row.visit_id is not None and row.visit_id not in newest:
            newest[row.visit_id] = _thawed(row)
    audit.look(work, "checklist.read", patient_id)
    decided = {
        row.visit_id: row
        for row in work.all(
            policy.decisions_of(work.actor, work.now)
            .where(ChecklistDecision.patient_id == patient_id)
            .order_by(ChecklistDecision.decided_at)
        )
    }
    return [
        Recommendation(visit_id, one.level, one.days, one.made_at, _decided_on(one, decided.get(visit_id)))
        for visit_id, one in newest.items()
        if one.level.rank >= Level.L2.rank
    ]


def due_at(now: int, level: Level, days: int | None, zone: Any) -> int:
    """When an in-person evaluation is due: the end of today, or of the day that many practice-local days ahead."""
    last = local_date(now, zone) + timedelta(days=days or 0 if level is Level.L2 else 0)
    return to_micros(datetime.combine(last + timedelta(days=1), time(0), zone)) - 1


_TWELVE_HOURS = 12 * 3600 * 1_000_000


def _decided_on(snapshot: Snapshot, decision: ChecklistDecision | None) -> str | None:
    return decision.level if decision is not None and decision.decided_at >= snapshot.made_at else None


def _subject(work: Work, visit_id: UUID) -> VisitSubject | None:
    return work.session.scalar(select(VisitSubject).where(VisitSubject.visit_id == visit_id))


def _newest(work: Work, patient_id: UUID, visit_id: UUID | None) -> EvaluationSnapshot | None:
    same = EvaluationSnapshot.patient_id == patient_id, EvaluationSnapshot.visit_id == visit_id
    newest = select(EvaluationSnapshot).where(*same).order_by(EvaluationSnapshot.made_at.desc())
    return work.session.scalar(newest.order_by(EvaluationSnapshot.id.desc()).limit(1))


def _thawed(row: EvaluationSnapshot) -> Snapshot:
    return thaw(row.id, row.patient_id, row.visit_id, row.stage, row.made_at, row.result)


def _ticks(work: Work, visit_id: UUID) -> dict[str, TaskTick]:
    rows = select(TaskTick).where(TaskTick.visit_id == visit_id, TaskTick.undone_at.is_(None))
    return {row.task: row for row in work.session.scalars(rows)}


@contextmanager
def _everything(work: Work) -> Iterator[Work]:
    """The same unit, reading facts as the practice's own clockwork: rules must not miss what a proxy may not see."""
    inner = replace(work, actor=system("appropriateness"))
    yield inner
    work.asked = work.asked or inner.asked
    work.audited = work.audited or inner.audited


def _sheet(work: Work, patient: Patient, when: Moment, subject: VisitSubject | None) -> tuple[Sheet, Compartment]:
    settings = work.practice.settings
    with _everything(work) as inner:
        newest = patients.facts_of(inner, patient.id, for_rules=True)
        facts = {code: _recorded(inner, patient.id, code, fact) for code, fact in newest.items()}
        facts |= _derived(inner, patient)
    places = [PRIVACY.index(fact.compartment) for fact in newest.values() if kind_of(fact.code) is not None]
    start = subject.starts_at if subject and subject.starts_at and subject.starts_at > work.now else work.now
    states = frozenset(state.upper() for state in settings.licensed_states)
    day = local_date(start, settings.tz)
    return Sheet(facts, work.now, settings.tz, when, states, day), PRIVACY[max(places, default=0)]


def _recorded(work: Work, patient_id: UUID, code: str, fact: Any) -> tuple[Recorded, ...]:
    kind = kind_of(code)
    values = patients.fact_history(work, patient_id, code) if kind is not None and kind.keep_worst else [fact]
    rows = [Recorded(one.value, one.as_of, one.source) for one in values]
    return tuple(sorted(rows, key=lambda row: -row.as_of))


def _derived(work: Work, patient: Patient) -> dict[str, tuple[Recorded, ...]]:
    """Facts that other rows of this practice answer for."""
    contact = patients.emergency_contact(work, patient.id)
    values = {
        "patient.age": patients.age(patient, work.now, work.practice.settings.tz),
        "emergency_contact.present": contact is not None and not patients.contact_is_stale(contact, work.now),
        "consent.telehealth": patients.consent_in_force(work, patient.id),
    }
    return {code: (Recorded(value, work.now, DERIVED),) for code, value in values.items()}


def _fits(code: str, value: bool | int | None) -> bool:
    kind = observations().get(code)
    if kind is None:
        return False
    if value is None:
        return True
    return isinstance(value, bool) if kind.most == 0 else not isinstance(value, bool) and 0 <= value <= kind.most


def _refuse_if_risen(work: Work, now: Snapshot, seen: UUID | None) -> None:
    """Nobody accepts what they did not see."""
    if seen is None or seen == now.id:
        return
    row = work.session.get(EvaluationSnapshot, seen)
    if row is None or row.visit_id != now.visit_id or _thawed(row).level.rank < now.level.rank:
        raise Conflict(gettext("The checklist has changed since you opened it. Please look again before you decide."))


def _follow_up(work: Work, subject: VisitSubject, now: Snapshot, choice: Choice, compartment: Compartment) -> None:
    """An in-person decision is somebody's work until it is booked, done or declined; a lower one ends that work."""
    about = ("in-person", subject.visit_id)
    if choice.level.rank >= Level.L2.rank:
        triage.raise_item(
            work,
            subject.patient_id,
            ItemKind.IN_PERSON,
            _PRIORITY[choice.level],
            title=gettext("Arrange an in-person evaluation"),
            why=[f"{line.rule}: {line.factor}" for line in now.fired if line.level.rank >= Level.L2.rank],
            about=about,
            owner_id=subject.clinician_id,
            due_at=due_at(work.now, choice.level, choice.days, work.practice.settings.tz),
            compartment=compartment,
        )
        return
    for item in triage.items_about(work, about):
        if item.resolved_at is None:
            triage.resolve(work, item.id, choice.reason_code, choice.reason)


_PRIORITY = {Level.L2: Priority.SOON, Level.L3: Priority.URGENT, Level.L4: Priority.EMERGENCY}
