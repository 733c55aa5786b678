"""Growing up: at 13 the private space opens, at 18 a parent's authority ends. Each on the practice's local date.

What is open is decided at every access by `policy`, whether this ran or not. Here it is told: 60, 30 and 7 days before
to those whose access changes and to staff, and on the day itself, with an entry in the audit. Each is said once; a
notice that nobody could send in time gives way to the next one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select

from telepsych.audit import service as audit
from telepsych.core.actor import Compartment, Decision, system
from telepsych.core.clock import local_date
from telepsych.core.work import Practice, Work
from telepsych.patients import policy, relations
from telepsych.patients.models import AgeNotice, Authority, Patient, Proxy
from telepsych.patients.proxies import review_at
from telepsych.patients.relations import AgeStep, reached_at

JOB = "growing-up"


@dataclass(frozen=True, slots=True)
class Due:
    """Something to say about a patient: `days` before they reach `age`, or 0 on the day."""

    patient_id: UUID
    age: int
    days: int


def grow_up(practice: Practice) -> int:
    """Say and do what is due today, one patient a unit. May run as often as one likes. Returns how much was due."""
    with practice.begin(system(JOB), writes=False) as work:
        work.require(Decision(work.actor.is_system))
        due = list(due_now(work))
        reviews = list(_reviews_due(work))
    for one in due:
        with practice.begin(system(JOB)) as work:
            work.require(Decision(work.actor.is_system))
            _take_step(work, one)
    for proxy_id in reviews:
        with practice.begin(system(JOB)) as work:
            work.require(Decision(work.actor.is_system))
            _ask_for_review(work, proxy_id)
    return len(due) + len(reviews)


def due_now(work: Work) -> Iterator[Due]:
    """What nobody has said yet."""
    said = {(row.patient_id, row.age): row.days for row in _said(work)}
    for patient in work.session.scalars(select(Patient).where(Patient.left_at.is_(None))):
        for step in relations.ages().steps:
            days = days_due(patient, step, work.now, work)
            if days is not None and days < said.get((patient.id, step.age), 10_000):
                yield Due(patient.id, step.age, days)


def days_due(patient: Patient, step: AgeStep, now: int, work: Work) -> int | None:
    """Which notice fits today: the latest whose day has come, 0 from the day itself; None long before, and for those
    who came into care when they were older."""
    zone, born = work.practice.settings.tz, date.fromisoformat(patient.birth_date)
    if reached_at(born, step.age, zone) <= patient.created_at:
        return None
    left = (relations.birthday(born, step.age) - local_date(now, zone)).days
    fitting = [days for days in (*relations.ages().notice_days, 0) if left <= days]
    return min(fitting, default=None)


def _said(work: Work) -> list[AgeNotice]:
    """What was said: the latest of each comes last, and counts."""
    return list(work.session.scalars(select(AgeNotice).order_by(AgeNotice.days.desc())))


def _take_step(work: Work, due: Due) -> None:
    mine = AgeNotice.patient_id == due.patient_id, AgeNotice.age == due.age, AgeNotice.days <= due.days
    work.session.execute(select(Patient.id).where(Patient.id == due.patient_id).with_for_update())
    if work.session.scalar(select(AgeNotice.id).where(*mine).limit(1)) is not None:  # another worker was faster
        return
    people = _people(work, due)
    if due.days == 0 and due.age == relations.adult_from():
        _end_by_age(work, due)
    work.add(AgeNotice(patient_id=due.patient_id, age=due.age, days=due.days, at=work.now))
    about = f"patient:{due.patient_id}"
    action = "growing-up.announced" if due.days else "growing-up.reached"
    detail = {"age": due.age, "days": due.days}
    audit.record(work, action, about, patient_id=due.patient_id, purpose="operations", detail=detail)
    work.wake(
        "growing-up",
        patient_id=due.patient_id,
        people=people,
        age=due.age,
        days=due.days,
        compartment=Compartment.GENERAL,
    )


def _people(work: Work, due: Due) -> frozenset[UUID]:
    """Those whose access changes: the patient, if they sign in, and whoever acts for them. Supporters are not told."""
    patient = work.session.get_one(Patient, due.patient_id)
    proxies = work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.patient_id == due.patient_id))
    acting = {row.person_id for row in proxies if not relations.grounds()[Authority(row.authority)].named_by_patient}
    return frozenset(acting | ({patient.person_id} if patient.person_id else set()))


def _end_by_age(work: Work, due: Due) -> None:
    """Write the end that the birthday brought into the rows of the authorities that it ended."""
    patient = work.session.get_one(Patient, due.patient_id)
    ended = reached_at(date.fromisoformat(patient.birth_date), due.age, work.practice.settings.tz)
    for row in work.session.scalars(select(Proxy).where(Proxy.patient_id == due.patient_id)):
        still = row.valid_until is None or row.valid_until > ended
        if still and not relations.grounds()[Authority(row.authority)].holds_at(due.age):
            row.valid_until = max(ended, row.valid_from)
            about = f"proxy:{row.id}"
            audit.record(work, "proxy.ended-by-age", about, patient_id=row.patient_id, purpose="operations")


def _reviews_due(work: Work) -> Iterator[UUID]:
    for row in work.session.scalars(policy.proxies_in_force(work.now).where(Proxy.review_told_at.is_(None))):
        due = review_at(row, relations.grounds()[Authority(row.authority)])
        if due is not None and due <= work.now:
            yield row.id


def _ask_for_review(work: Work, proxy_id: UUID) -> None:
    """Staff look at the document again; until they have, the authority holds as before."""
    row = work.session.get_one(Proxy, proxy_id, with_for_update=True)
    if row.review_told_at is not None:
        return
    row.review_told_at = work.now
    about = f"proxy:{row.id}"
    audit.record(work, "proxy.review-due", about, patient_id=row.patient_id, purpose="operations")
    work.wake("proxy.review-due", patient_id=row.patient_id, proxy_id=row.id)
