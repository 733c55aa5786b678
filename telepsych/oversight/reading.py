"""Who looked, from the audit trail: entries gathered into looks, one for each person, record, relation and local day.

A guardian is shown less than the patient. Entries carry no compartment, so what a guardian sees is a closed list of
everyday acts, and an act counts only when everything else its request did is on that list too: the chart that was
opened to answer a letter in confidence is not shown, because its time alone would tell of the letter.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from uuid import UUID

from sqlalchemy import ColumnElement, select

from telepsych.audit.models import AuditRow, Outcome
from telepsych.core.actor import Compartment
from telepsych.core.clock import local_date
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.messaging.models import Conversation

EVERYDAY = (
    "patient.", "visit.", "appointment.", "facts.read", "medicines.read", "checklist.", "consent.", "proxy.",
    "emergency-contact.", "conversations.listed", "questionnaires.read", "summary.read", "glass.",
)  # fmt: skip
"""What may be shown to whoever acts for a patient, as beginnings of an act's name."""
LARGEST = 20_000
"""Entries of one look at the trail; beyond it the oldest are left out and the page says so."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the trail, without its sealed detail."""

    id: UUID
    at: int
    person_id: UUID | None
    label: str
    relation: str | None
    purpose: str
    action: str
    about: str
    patient_id: UUID
    request: tuple[str, UUID | None, int]
    """What was done in one go: the request, or where none is named the same person's acts of one moment."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one person did with one record on one local day."""

    day: date
    person_id: UUID | None
    patient_id: UUID
    relation: str | None
    first_at: int
    last_at: int
    count: int
    topics: tuple[str, ...]
    changed: bool
    """Whether something was written, not only read."""

    @property
    def in_emergency(self) -> bool:
        return self.relation == "break-glass"


def entries(work: Work, *where: ColumnElement[bool], most: int = LARGEST) -> list[Entry]:
    """Acts on patients' records that were done, the newest first. Columns only: nothing is opened."""
    columns = (
        AuditRow.id, AuditRow.at, AuditRow.actor_id, AuditRow.label, AuditRow.relation, AuditRow.purpose,
        AuditRow.action, AuditRow.about, AuditRow.patient_id, AuditRow.request_id,
    )  # fmt: skip
    wanted = select(*columns).where(AuditRow.patient_id.is_not(None), AuditRow.outcome == Outcome.DONE, *where)
    rows = work.session.execute(wanted.order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(most))
    return [_entry(*row) for row in rows]


def _entry(
    row_id: UUID, at: int, person_id: UUID | None, label: str, relation: str | None, purpose: str, action: str,
    about: str, patient_id: UUID, request: str,
) -> Entry:  # fmt: skip
    together = (request, None, 0) if request else ("", person_id, at)
    return Entry(row_id, at, person_id, label, relation, purpose, action, about, patient_id, together)


def on_record(patient_id: UUID, start: int, end: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions: one record, from a moment until before another."""
    return (AuditRow.patient_id == patient_id, AuditRow.at >= start, AuditRow.at < end)


def looks(work: Work, found: Iterable[Entry]) -> list[Look]:
    """Entries gathered, the latest look first."""
    zone = work.practice.settings.tz

    def together(one: Entry) -> tuple[str, str, str, str, str]:
        day = local_date(one.at, zone).isoformat()
        who = str(one.person_id) if one.person_id else one.label
        return day, who, str(one.person_id or ""), str(one.patient_id), one.relation or ""

    gathered = [_look(list(group), zone_day=key[0]) for key, group in groupby(sorted(found, key=together), together)]
    return sorted(gathered, key=lambda one: one.last_at, reverse=True)


def _look(group: list[Entry], zone_day: str) -> Look:
    first = group[0]
    return Look(
        day=date.fromisoformat(zone_day),
        person_id=first.person_id,
        patient_id=first.patient_id,
        relation=first.relation,
        first_at=min(one.at for one in group),
        last_at=max(one.at for one in group),
        count=len({one.request for one in group}),
        topics=tuple(sorted({topic(one.action) for one in group})),
        changed=any(not reads_only(one.action) for one in group),
    )


def for_guardian(work: Work, found: Collection[Entry], patient_person: UUID | None) -> list[Entry]:
    """What whoever acts for a patient may see of these entries: none of the patient's own, none about what was told in
    confidence, and nothing that was done together with such."""
    general = _general_conversations(work, found)
    hidden = {one.request for one in found if not _is_everyday(one, general) or _is_own(one, patient_person)}
    return [one for one in found if one.request not in hidden]


def _is_own(one: Entry, patient_person: UUID | None) -> bool:
    return one.relation == "self" or (one.person_id is not None and one.person_id == patient_person)


def _is_everyday(one: Entry, general: Collection[str]) -> bool:
    if one.person_id is None:
        return False
    return one.action.startswith(EVERYDAY) or (one.action.startswith("message") and one.about in general)


def _general_conversations(work: Work, found: Iterable[Entry]) -> frozenset[str]:
    prefix = "conversation:"
    named = {UUID(one.about.removeprefix(prefix)) for one in found if one.about.startswith(prefix)}
    if not named:
        return frozenset()
    general = select(Conversation.id).where(Conversation.id.in_(named), Conversation.compartment == Compartment.GENERAL)
    return frozenset(f"{prefix}{one}" for one in work.session.scalars(general))


def reads_only(action: str) -> bool:
    """Whether an act changed nothing."""
    return action.startswith("glass.") or action.endswith((".read", ".listed", ".searched", ".marked-read", ".seen"))


def topic(action: str) -> str:
    """What part of a record an act was about, in plain words. The team's own notes and tasks have no words here."""
    return next((words for starts, words in _topics() if action.startswith(starts)), gettext("the record"))


def _topics() -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("message", "conversation", "item.", "queue.", "note"), gettext("messages")
    yield ("medicine", "check-in."), gettext("medicines")
    yield ("questionnaire", "answer."), gettext("questions and scores")
    yield ("visit", "appointment", "checklist", "summary"), gettext("visits")
    yield ("facts", "fact."), gettext("chart facts")
    yield ("consent",), gettext("consents")
    yield ("proxy", "supporter"), gettext("who acts for the patient")
    yield ("oversight.", "review.", "request."), gettext("privacy checks and requests")
    yield ("glass.",), gettext("emergency access")
    yield ("patient.listed",), gettext("a list of names")
    yield ("emergency-contact", "patient.contact"), gettext("contact details")
