"""The patient's home: when and with whom is my next visit, what is left to do, how do I write to the team."""

from dataclasses import dataclass
from uuid import UUID

from flask import url_for

from telepsych.accounts.service import Named
from telepsych.core.actor import Relation
from telepsych.core.clock import from_micros
from telepsych.core.words import gettext, ngettext
from telepsych.core.work import Work
from telepsych.home.scores import ScoreChart, charts
from telepsych.medications import service as medications
from telepsych.messaging import threads
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.visits import check_in, policy
from telepsych.visits import service as visits
from telepsych.visits.check_in import Readiness, Step
from telepsych.visits.models import Visit
from telepsych.visits.states import LIVE, VisitState

FEW = 3


@dataclass(frozen=True, slots=True)
class NextVisit:
    """The main card. `join_url` is empty until the waiting room is open."""

    starts_at: int
    opens_at: int
    minutes: int
    clinician: str
    sentence: str
    steps: tuple[Step, ...]
    continue_url: str
    continue_label: str
    join_url: str


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A conversation as a row."""

    title: str
    text: str
    href: str
    at: int
    unread: bool


@dataclass(frozen=True, slots=True)
class MedicineRow:
    """A medicine as a row."""

    label: str
    how: str
    left: str


@dataclass(frozen=True, slots=True)
class LastVisit:
    """The summary that is there to read."""

    at: int
    href: str


@dataclass(frozen=True, slots=True)
class PatientHome:
    """Everything on the page. `about` names whose record it is, when it is not the reader's own."""

    greeting: str
    about: str
    left_to_do: str
    visit: NextVisit | None
    chart: ScoreChart | None
    letters: list[LetterRow]
    medicines: list[MedicineRow]
    summary: LastVisit | None


def build(work: Work, patient: Patient) -> PatientHome:
    """The page for a patient, or for somebody who may act for them."""
    own = any(tie.patient_id == patient.id and tie.relation is Relation.SELF for tie in work.actor.ties)
    coming = visits.upcoming(work, patient.id)
    ready = check_in.readiness(work, coming[0]) if coming else None
    shown = charts(work, patient.id, for_patient=True)
    return PatientHome(
        greeting=_greeting(work, patients.first_name(patient) if own else ""),
        about="" if own else patients.first_name(patient),
        left_to_do=_left_to_do(ready),
        visit=_next_visit(work, coming[0], ready) if coming and ready else None,
        chart=shown[0] if shown else None,
        letters=letters(work, patient.id, "messaging.show"),
        medicines=_medicines(work, patient.id),
        summary=_last_visit(work, patient.id),
    )


def letters(work: Work, patient_id: UUID, endpoint: str) -> list[LetterRow]:
    """The newest conversations as rows."""
    lines = sorted(threads.conversations(work, patient_id), key=lambda line: -line.last_at)[:FEW]
    return [
        LetterRow(
            title=line.reason_label,
            text=f"{_author(work, line.last_author)}: {line.excerpt}" if line.last_author else line.excerpt,
            href=url_for(endpoint, conversation_id=line.conversation_id),
            at=line.last_at,
            unread=line.unread,
        )
        for line in lines
    ]


def _author(work: Work, who: Named) -> str:
    return gettext("You") if who.id == work.actor.id else who.name


def _greeting(work: Work, name: str) -> str:
    hour = from_micros(work.now, work.practice.settings.tz).hour
    if hour < 12:
        words = gettext("Good morning")
    else:
        words = gettext("Good afternoon") if hour < 18 else gettext("Good evening")
    return f"{words}, {name}" if name else words


def _left_to_do(ready: Readiness | None) -> str:
    if ready is None:
        return gettext("There is nothing to do right now.")
    left = sum(not step.done for step in ready.steps)
    if not left:
        return gettext("You are ready for your visit.")
    things = ngettext("{count} thing", "{count} things", left).format(count=left)
    minutes = ngettext("{count} minute", "{count} minutes", ready.minutes_left).format(count=ready.minutes_left)
    return gettext("{things} to finish before the visit. It takes about {minutes}.").format(
        things=things, minutes=minutes
    )


def _next_visit(work: Work, visit: Visit, ready: Readiness) -> NextVisit:
    begun = any(step.done for step in ready.steps)
    state = policy.state_for(work.actor, visit)
    may_wait = bool(policy.may_wait(work.actor, visit, work.now))
    place = "visits.show_room" if state in LIVE else "visits.waiting"
    return NextVisit(
        starts_at=visit.starts_at,
        opens_at=visit.starts_at - policy.OPENS_BEFORE,
        minutes=visit.minutes,
        clinician=visits.clinician_name(work, visit),
        sentence=visits.sentence_for(work, visit),
        steps=ready.steps,
        continue_url=url_for("visits.hub", visit_id=visit.id) if ready.next else "",
        continue_label=gettext("Go on with your check-in") if begun else gettext("Start your check-in"),
        join_url=url_for(place, visit_id=visit.id) if may_wait else "",
    )


def _medicines(work: Work, patient_id: UUID) -> list[MedicineRow]:
    rows = []
    for line in medications.list_of(work, patient_id):
        days = line.days_left
        left = "" if days is None else ngettext("{count} day left", "{count} days left", days).format(count=days)
        rows.append(MedicineRow(line.label, line.how, left))
    return rows


def _last_visit(work: Work, patient_id: UUID) -> LastVisit | None:
    over = [visit for visit in visits.past(work, patient_id) if visit.state is VisitState.SUMMARISED]
    if not over:
        return None
    return LastVisit(over[0].starts_at, url_for("visits.summary", visit_id=over[0].id))
