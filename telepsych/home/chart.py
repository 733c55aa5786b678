"""The chart: everything about one patient that this practice's people come back to."""

from dataclasses import dataclass
from uuid import UUID

from flask import url_for

from telepsych.accounts import service as accounts
from telepsych.core.actor import Compartment, Role
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.home import brief, scores
from telepsych.home.patient_home import LetterRow
from telepsych.home.scores import ScoreChart
from telepsych.medications import service as medications
from telepsych.messaging import threads
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.triage import service as triage
from telepsych.visits import service as visits
from telepsych.web.dates import date_iso, short_day


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do with the chart."""

    label: str
    href: str
    kind: str
    icon: str


@dataclass(frozen=True, slots=True)
class VisitLine:
    """A visit as a row."""

    at: int
    href: str
    sentence: str
    fact: str


@dataclass(frozen=True, slots=True)
class MedicineLine:
    """A medicine as a row."""

    label: str
    how: str
    fact: str


@dataclass(frozen=True, slots=True)
class ChartPage:
    """Everything on the page."""

    patient_id: UUID
    name: str
    about: str
    may_invite: bool
    actions: list[Action]
    visits: list[VisitLine]
    charts: list[ScoreChart]
    medicines: list[MedicineLine]
    letters: list[LetterRow]
    glance: list[tuple[str, str, str]]
    people: list[tuple[str, str]]


def build(work: Work, patient_id: UUID) -> ChartPage:
    """The chart of a patient in the actor's care. Nobody opens their own, or a relative's, this way."""
    work.require(patients_policy.can_coordinate(work.actor, patient_id))
    patient = patients.open_patient(work, patient_id)
    return ChartPage(
        patient_id=patient.id,
        name=patient.name,
        about=about(work, patient),
        may_invite=bool(patient.person_id) and work.actor.has(Role.STAFF, Role.MANAGER),
        actions=_actions(work, patient),
        visits=_visits(work, patient_id),
        charts=scores.charts(work, patient_id),
        medicines=_medicines(work, patient_id),
        letters=_letters(work, patient_id),
        glance=brief.glance(work, patient_id),
        people=_people(work, patient_id),
    )


def about(work: Work, patient: Patient) -> str:
    """Age, pronouns and birth date in one line."""
    age = patients.age(patient, work.now, work.practice.settings.tz)
    return " · ".join(
        one
        for one in (str(age), patient.pronouns, gettext("born %(day)s") % {"day": date_iso(patient.birth_date)})
        if one
    )


def _actions(work: Work, patient: Patient) -> list[Action]:
    actions = [
        Action(gettext("Book a visit"), url_for("scheduling.book", patient_id=patient.id), "primary", "calendar-plus")
    ]
    if work.actor.has(Role.CLINICIAN):
        actions.append(
            Action(gettext("Medicines"), url_for("medications.of_patient", patient_id=patient.id), "quiet", "pill")
        )
        actions.append(Action(gettext("Chart facts"), url_for("home.facts", patient_id=patient.id), "quiet", "pencil"))
    if work.actor.has(Role.STAFF, Role.MANAGER):
        actions.append(
            Action(gettext("Who acts for them"), url_for("relations.index", patient_id=patient.id), "quiet", "users")
        )
        actions.append(
            Action(gettext("Care teams"), url_for("relations.teams", patient_id=patient.id), "quiet", "stethoscope")
        )
    actions.append(Action(gettext("Who can see what"), url_for("sight.table", patient_id=patient.id), "quiet", "eye"))
    return actions


def _visits(work: Work, patient_id: UUID) -> list[VisitLine]:
    shown = [*visits.upcoming(work, patient_id), *visits.past(work, patient_id)]
    return [
        VisitLine(
            at=visit.starts_at,
            href=url_for("home.brief_page", patient_id=patient_id, visit=visit.id),
            sentence=visits.sentence_for(work, visit),
            fact=visits.clinician_name(work, visit),
        )
        for visit in shown
    ]


def _medicines(work: Work, patient_id: UUID) -> list[MedicineLine]:
    return [
        MedicineLine(
            line.label,
            line.how,
            gettext("changed %(day)s") % {"day": short_day(line.dose_changed_at)}
            if line.dose_changed_at
            else gettext("since %(day)s") % {"day": short_day(line.started_at)},
        )
        for line in medications.list_of(work, patient_id)
    ]


def _letters(work: Work, patient_id: UUID) -> list[LetterRow]:
    """Conversations, each leading to its item in the inbox if it has one."""
    rows = []
    for line in threads.conversations(work, patient_id):
        items = triage.items_about(work, ("conversation", line.conversation_id))
        href = url_for("inbox.item", item_id=items[0].id) if items else ""
        rows.append(LetterRow(line.reason_label, line.excerpt, href, line.last_at, line.unread))
    return rows


def _people(work: Work, patient_id: UUID) -> list[tuple[str, str]]:
    team = accounts.names_of(work, patients.care_team(work, patient_id)).values()
    own = patients.people_of(work, patient_id)
    private = patients.people_of(work, patient_id, Compartment.CONFIDENTIAL)
    lines = [(gettext("Care team"), ", ".join(sorted(one.name for one in team)))]
    for named in sorted(accounts.names_of(work, own).values(), key=lambda one: one.name):
        opens = gettext("all of it") if named.id in private else gettext("without what is told in confidence")
        lines.append((named.name, opens))
    return lines
