"""Who looked at a record, for the patient and whoever acts for them, and for compliance officers who ask.

The patient sees everybody, their own looks apart and the practice's computers in one sentence. Whoever acts for them is
shown what `reading.for_guardian` leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from telepsych.accounts import service as accounts
from telepsych.accounts.service import Named
from telepsych.audit import service as audit
from telepsych.audit.models import AuditRow
from telepsych.core.clock import local_date, to_micros
from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.oversight import people, policy, reading
from telepsych.oversight.reading import Look
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.models import Patient

PAGE_DAYS = 30
"""Local days on one page."""
LONGEST_DAYS = 400
"""Local days a compliance officer may ask about at once."""


@dataclass(frozen=True, slots=True)
class LookRow:
    """One look in plain words."""

    who: str
    title: str
    why: str
    what: str
    first_at: int
    last_at: int
    count: int
    in_emergency: bool
    changed: bool
    patient: str = ""


@dataclass(frozen=True, slots=True)
class LooksPage:
    """A page of looks, by local day."""

    patient_id: UUID
    name: str
    is_own: bool
    first_day: date
    last_day: date
    days: list[tuple[str, list[LookRow]]]
    own: list[LookRow]
    computers: int
    earlier: int | None
    later: int | None


def of_record(work: Work, patient_id: UUID, back: int = 0) -> LooksPage:
    """Who looked at a record in the thirty days that end `back` pages ago. Raises `NotFound`."""
    patient = patients.my_patient(work, patient_id)
    work.require(policy.can_see_looks(work.actor, patient_id))
    is_own = patients_policy.is_oneself(work.actor, patient_id)
    zone = work.practice.settings.tz
    last = local_date(work.now, zone) - timedelta(days=PAGE_DAYS * back)
    first = last - timedelta(days=PAGE_DAYS - 1)
    found = reading.entries(work, *reading.on_record(patient_id, *span(work, first, last)))
    shown = found if is_own else reading.for_guardian(work, found, patient.person_id)
    by_people = [one for one in shown if one.person_id is not None]
    mine = [one for one in by_people if one.person_id == work.actor.id]
    others = reading.looks(work, [one for one in by_people if one.person_id != work.actor.id])
    rows = _rows(work, others, {})
    audit.look(work, "looks.read", patient_id)
    return LooksPage(
        patient_id=patient_id,
        name=patients.first_name(patient),
        is_own=is_own,
        first_day=first,
        last_day=last,
        days=_by_day(rows, others),
        own=_rows(work, reading.looks(work, mine), {}),
        computers=len({one.request for one in shown if one.person_id is None}),
        earlier=back + 1 if _oldest(work, patient_id) < span(work, first, last)[0] else None,
        later=back - 1 if back else None,
    )


@dataclass(frozen=True, slots=True)
class Question:
    """What a compliance officer asks: one record or one person, from a day to a day."""

    patient_id: UUID | None
    person_id: UUID | None
    first_day: date
    last_day: date


def find_patient(work: Work, name: str, birth_date: date) -> UUID | None:
    """A patient by exact name and birth date, with an entry that somebody asked. Their record is not opened."""
    work.require(policy.can_oversee(work.actor))
    wanted = " ".join(name.casefold().split()), birth_date.isoformat()
    touched = list(work.session.info["touched"])
    rows = work.session.scalars(select(Patient).where(Patient.destroyed_at.is_(None)))
    hits = [row.id for row in rows if (" ".join(row.name.casefold().split()), row.birth_date) == wanted]
    work.session.info["touched"] = touched
    audit.record(
        work, "oversight.searched", "search:who-looked", purpose="operations", detail={"found": len(hits)}
    )  # fmt: skip
    return hits[0] if hits else None


def answer(work: Work, question: Question) -> list[tuple[str, list[LookRow]]]:
    """Who looked, for compliance officers, by local day. Raises `Invalid` for a span that cannot be."""
    work.require(policy.can_oversee(work.actor))
    length = (question.last_day - question.first_day).days
    if not 0 <= length <= LONGEST_DAYS:
        raise Invalid(fields={"first_day": gettext("Please check the days. At most 400 at once.")})
    start, end = span(work, question.first_day, question.last_day)
    where: list[ColumnElement[bool]] = [AuditRow.at >= start, AuditRow.at < end]
    if question.patient_id:
        where.append(AuditRow.patient_id == question.patient_id)
    if question.person_id:
        where.append(AuditRow.actor_id == question.person_id)
    where.append(AuditRow.patient_id.not_in(work.actor.relatives))
    found = [one for one in reading.looks(work, reading.entries(work, *where)) if one.person_id is not None]
    names = people.patient_names(work, {one.patient_id for one in found})
    return _by_day(_rows(work, found, names), found)


def span(work: Work, first: date, last: date) -> tuple[int, int]:
    """From the start of a local day until before the day after another."""
    zone = work.practice.settings.tz
    start, end = (to_micros(datetime.combine(day, time(), zone)) for day in (first, last + timedelta(days=1)))
    return start, end


def _oldest(work: Work, patient_id: UUID) -> int:
    return work.session.scalar(select(func.min(AuditRow.at)).where(AuditRow.patient_id == patient_id)) or work.now


def _rows(work: Work, found: list[Look], patient_names: dict[UUID, str]) -> list[LookRow]:
    names = accounts.names_of(work, [one.person_id for one in found])
    return [_row(one, names, patient_names) for one in found]


def _row(one: Look, names: dict[UUID, Named], patient_names: dict[UUID, str]) -> LookRow:
    named = names.get(one.person_id) if one.person_id else None
    return LookRow(
        who=people.name_of(names, one.person_id),
        title=named.title if named else "",
        why=_why(one),
        what=", ".join(one.topics),
        first_at=one.first_at,
        last_at=one.last_at,
        count=one.count,
        in_emergency=one.in_emergency,
        changed=one.changed,
        patient=patient_names.get(one.patient_id, ""),
    )


def _why(one: Look) -> str:
    return {
        "self": gettext("The patient"),
        "proxy": gettext("Acts for the patient"),
        "supporter": gettext("Supports the patient"),
        "team": gettext("Care team"),
        "break-glass": gettext("Emergency access"),
    }.get(one.relation or "", gettext("Runs the practice"))


def _by_day(rows: list[LookRow], found: Iterable[Look]) -> list[tuple[str, list[LookRow]]]:
    paired = zip((one.day.isoformat() for one in found), rows, strict=True)
    return [(day, [row for _, row in group]) for day, group in groupby(paired, lambda pair: pair[0])]
