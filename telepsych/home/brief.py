"""The brief before a visit: what was flagged first, then scores, medicines, and what the patient wants to ask."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import url_for

from telepsych.core.clock import DAY
from telepsych.core.words import gettext, ngettext
from telepsych.core.work import Work
from telepsych.home.content import ChartField, chart_form
from telepsych.home.day import level_pill
from telepsych.medications import service as medications
from telepsych.medications.medicine_list import MedicineChange
from telepsych.patients import service as patients
from telepsych.patients.ledger import FactValue
from telepsych.questionnaires import service as questionnaires
from telepsych.questionnaires.service import ScoreLine
from telepsych.triage import service as triage
from telepsych.triage.models import WorkItem
from telepsych.triage.priority import Priority
from telepsych.visits import check_in
from telepsych.visits import service as visits
from telepsych.visits.forms import StepKey
from telepsych.visits.models import Visit
from telepsych.web.dates import date_iso

LONGEST_LOOK_BACK = 60 * DAY
TONES = {Priority.EMERGENCY: "danger", Priority.URGENT: "danger", Priority.SOON: "warn", Priority.ROUTINE: "info"}


@dataclass(frozen=True, slots=True)
class FlagNote:
    """Something to look at first."""

    tone: str
    title: str
    text: str
    href: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class BriefMedicine:
    """A medicine with what the patient told about it."""

    label: str
    text: str
    fact: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class BriefScore:
    """A questionnaire's result as a line of the table."""

    short_name: str
    at: int
    total: int | None
    maximum: int
    band: str
    change_words: str
    moved: str
    meaning: str
    answered: int
    asked: int
    confidential: bool


@dataclass(frozen=True, slots=True)
class Brief:
    """Everything of the brief. `since` is when the changes start: the last visit held, or 60 days."""

    patient_id: UUID
    flags: list[FlagNote]
    questions: list[str]
    scores: list[BriefScore]
    medicines: list[BriefMedicine]
    changes: list[MedicineChange]
    since: int | None
    reported: list[str]
    facts: list[tuple[str, str, str]]


def build(work: Work, visit: Visit) -> Brief:
    """The brief of a visit."""
    last = visits.last_held(work, visit.patient_id, visit.starts_at)
    since = last.starts_at if last else None
    lines = questionnaires.latest(work, visit.patient_id)
    report = medications.check_in(work, visit.patient_id, visit.id)
    told = {one.label: one for one in report.medicines} if report else {}
    known = patients.facts_of(work, visit.patient_id)
    asked = check_in.given(work, visit, StepKey.QUESTIONS)
    return Brief(
        patient_id=visit.patient_id,
        flags=[*_score_flags(lines), *_report_flags(report), *_item_flags(work, visit.patient_id), *_wishes(asked)],
        questions=list(asked.get("questions", [])),
        scores=[_score(line) for line in lines],
        medicines=[_medicine(line, told.get(line.label)) for line in medications.list_of(work, visit.patient_id)],
        changes=medications.changes_since(work, visit.patient_id, since or work.now - LONGEST_LOOK_BACK),
        since=since,
        reported=[f"{one.text} ({one.severity})" if one.severity else one.text for one in report.effects]
        if report
        else [],
        facts=[*_chart_facts(known)],
    )


def glance(work: Work, patient_id: UUID) -> list[tuple[str, str, str]]:
    """Facts beside a patient's pages: where they are, how to reach them, whom to call."""
    known = patients.facts_of(work, patient_id)
    patient = patients.open_patient(work, patient_id)
    contact = patients.emergency_contact(work, patient_id)
    where = known.get("visit.location")
    phone = known.get("visit.callback_number")
    address = where.value.get("address", "") if where else ""
    state = where.value.get("state", "") if where else ""
    stale = gettext("not confirmed in 180 days") if patients.contact_is_stale(contact, work.now) else ""
    return [
        (
            gettext("Where they said they are"),
            ", ".join(one for one in (address, state) if one) or gettext("Not asked yet"),
            "",
        ),
        (gettext("Call back"), str(phone.value) if phone else patient.phone or gettext("Unknown"), ""),
        (
            gettext("Emergency contact"),
            f"{contact.name} ({contact.relationship})" if contact else gettext("None"),
            " · ".join(filter(None, [contact.phone if contact else "", stale])),
        ),
    ]


def pills_of(work: Work, visit: Visit) -> list[Any]:
    """What the checklist says so far."""
    pill = level_pill(work, visit.id)
    return [pill] if pill else []


def _score_flags(lines: list[ScoreLine]) -> list[FlagNote]:
    notes = []
    for line in lines:
        for flag in line.flags:
            answer = gettext("Answered “{answer}”").format(answer=flag.now.text)
            if flag.was_changed:
                values = " → ".join(f"“{one.text}”" for one in flag.values)
                answer = gettext("Changed before sending: {values}. Both are kept.").format(values=values)
            notes.append(FlagNote(TONES[Priority(flag.priority)], flag.clinician, answer))
    return notes


def _report_flags(report: medications.Report | None) -> list[FlagNote]:
    if report is None:
        return []
    told = gettext("The patient was told: “{words}”")
    return [
        FlagNote(TONES[one.priority], one.title, told.format(words=one.words) if one.words else "")
        for one in report.raised
    ]


def _item_flags(work: Work, patient_id: UUID) -> list[FlagNote]:
    """Open items that cannot wait, other than those the answers above already stand for."""
    shown = [item for item in triage.open_items(work) if item.patient_id == patient_id and _stands_alone(item)]
    return [
        FlagNote(
            TONES[item.priority],
            item.title,
            "; ".join(item.why),
            url_for("inbox.item", item_id=item.id),
            gettext("Open in the inbox"),
        )
        for item in shown
    ]


def _stands_alone(item: WorkItem) -> bool:
    return item.priority >= Priority.SOON and item.about_kind not in ("response", "check-in", "check-in-safety")


def _wishes(asked: dict[str, Any]) -> list[FlagNote]:
    if not asked.get("in_person"):
        return []
    return [FlagNote("info", gettext("Asks to be seen in person"), gettext("A patient's wish is a reason of its own."))]


def _score(line: ScoreLine) -> BriefScore:
    return BriefScore(
        short_name=line.short_name,
        at=line.at,
        total=line.total,
        maximum=line.maximum,
        band=line.band,
        change_words=line.change.clinician if line.change else "",
        moved=_moved(line),
        meaning=_meaning(line),
        answered=line.answered,
        asked=line.asked,
        confidential=line.confidential,
    )


def _moved(line: ScoreLine) -> str:
    """14 → 8 (−6), with the sign that a number has in print."""
    if line.change is None:
        return ""
    points = f"{line.change.points:+d}".replace("-", "−").replace("+0", "0")
    return f"{line.change.before} → {line.change.now} ({points})"


def _meaning(line: ScoreLine) -> str:
    """What the instrument says about a change of this size."""
    told = "; ".join(rule.clinician for rule in line.change.rules) if line.change else ""
    return told[:1].upper() + told[1:]


def _medicine(line: medications.MedicineLine, told: Any) -> BriefMedicine:
    if told is None:
        return BriefMedicine(line.label, line.how, gettext("not asked yet"))
    said = [told.taking, told.own_change, *told.reasons]
    if told.missed:
        said.append(ngettext("{count} dose missed", "{count} doses missed", told.missed).format(count=told.missed))
    tone = "danger" if told.stopped_at_once else "warn" if told.missed or told.own_change else ""
    days = told.days_left
    fact = "" if days is None else ngettext("{count} day left", "{count} days left", days).format(count=days)
    return BriefMedicine(line.label, "; ".join(one for one in said if one), fact, tone)


def _chart_facts(known: dict[str, FactValue]) -> list[tuple[str, str, str]]:
    return [
        (field.label, words_of(field, known[field.code].value) if field.code in known else gettext("Unknown"), "")
        for field in chart_form().fields()
        if field.code in known or field.code in ("last_in_person", "vitals.bp", "pregnancy.status")
    ]


def words_of(field: ChartField, value: Any) -> str:
    """A chart fact as it reads."""
    labels = {one.value: one.label for one in field.choices}
    if field.kind == "several":
        return ", ".join(labels.get(one, one) for one in value)
    if field.kind == "yes_no":
        return gettext("Yes") if value else gettext("No")
    if field.kind == "choice":
        return str(labels.get(value, value))
    if field.kind == "blood_pressure":
        return f"{value['systolic']}/{value['diastolic']} {field.unit}, {date_iso(value['on'])}"
    if field.kind == "dated_number":
        return f"{value[field.key]} {field.unit}, {date_iso(value['on'])}"
    return gettext("Never") if value == "never" else date_iso(value)
