"""The clinician's day: each visit, how far it is prepared, and what stands out."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

from flask import url_for

from telepsych.appropriateness import policy as appropriateness_policy
from telepsych.appropriateness import service as appropriateness
from telepsych.core.actor import Role
from telepsych.core.clock import to_micros
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import service as patients
from telepsych.questionnaires import service as questionnaires
from telepsych.visits import check_in
from telepsych.visits import service as visits
from telepsych.visits.models import Visit
from telepsych.visits.states import OPEN, VisitState
from telepsych.web import dates

TONES = {"L0": "ok", "L1": "info", "L2": "warn", "L3": "danger", "L4": "danger"}


@dataclass(frozen=True, slots=True)
class Pill:
    """A short status."""

    text: str
    tone: str = ""
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class VisitRow:
    """One visit of the day."""

    id: UUID
    patient_id: UUID
    starts_at: int
    minutes: int
    name: str
    age: int
    pronouns: str
    sentence: str
    pills: list[Pill]
    scores: str
    is_waiting: bool
    room_url: str
    close_url: str
    summary_url: str


@dataclass(frozen=True, slots=True)
class DayPage:
    """A day: ISO dates, how the day is called, and its visits in order."""

    day: str
    title: str
    before: str
    after: str
    visits: list[VisitRow]


def build(work: Work, day: date) -> DayPage:
    """A clinician's own visits; for the rest of the care team everybody's."""
    mine = work.actor.id if work.actor.has(Role.CLINICIAN) else None
    rows = [_row(work, visit) for visit in visits.of_day(work, mine, day)]
    one, noon = timedelta(days=1), datetime.combine(day, time(12), work.practice.settings.tz)
    title = dates.day(to_micros(noon))
    return DayPage(day.isoformat(), title, (day - one).isoformat(), (day + one).isoformat(), rows)


def level_pill(work: Work, visit_id: UUID) -> Pill | None:
    """What the checklist says so far, in words; for clinicians, who alone may see it."""
    if not appropriateness_policy.can_see(work.actor):
        return None
    snapshot = appropriateness.latest(work, visit_id)
    if snapshot is None:
        return None
    words = {
        "L0": gettext("Suitable for video"),
        "L1": gettext("Video with safeguards"),
        "L2": gettext("In person within %(days)s days") % {"days": snapshot.days},
        "L3": gettext("In person today"),
        "L4": gettext("Emergency"),
    }[snapshot.level]
    return Pill(words, TONES[snapshot.level], "shield-check" if snapshot.level == "L0" else "shield-alert")


def _row(work: Work, visit: Visit) -> VisitRow:
    patient = patients.open_patient(work, visit.patient_id)
    is_open = visit.state in OPEN
    is_mine = visit.clinician_id == work.actor.id
    return VisitRow(
        id=visit.id,
        patient_id=visit.patient_id,
        starts_at=visit.starts_at,
        minutes=visit.minutes,
        name=patient.name,
        age=patients.age(patient, work.now, work.practice.settings.tz),
        pronouns=patient.pronouns,
        sentence=visits.sentence_for(work, visit),
        pills=_pills(work, visit),
        scores=_scores(work, visit.patient_id),
        is_waiting=visit.state is VisitState.WAITING,
        room_url=url_for("visits.show_room", visit_id=visit.id) if is_open and is_mine else "",
        close_url=url_for("visits.close", visit_id=visit.id) if visit.state is VisitState.ENDED and is_mine else "",
        summary_url=summary_url(work, visit),
    )


def summary_url(work: Work, visit: Visit) -> str:
    """Where a clinician finds what was given to the patient; empty until there is something."""
    is_there = visit.state is VisitState.SUMMARISED and work.actor.has(Role.CLINICIAN)
    return url_for("visits.summary", visit_id=visit.id) if is_there else ""


def _pills(work: Work, visit: Visit) -> list[Pill]:
    ready = check_in.readiness(work, visit)
    done = gettext("{done} of {all} prepared").format(done=ready.done, all=len(ready.steps))
    pills = [Pill(done, "ok" if ready.is_ready else "", "circle-check" if ready.is_ready else "circle")]
    if ready.place:
        licensed = ready.licensed is not False
        pills.append(Pill(ready.place, "ok" if licensed else "danger", "map-pin"))
    level = level_pill(work, visit.id) if visit.state in OPEN else None
    return [*pills, *([level] if level else [])]


def _scores(work: Work, patient_id: UUID) -> str:
    words = []
    for line in questionnaires.latest(work, patient_id):
        if line.total is None:
            continue
        moved = f" ({line.change.points:+d})".replace("-", "−") if line.change else ""
        words.append(f"{line.short_name} {line.total}{moved}")
    return " · ".join(words)
