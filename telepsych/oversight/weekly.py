"""The weekly review: which accesses of a practice-local week somebody should look at, and their sign-off.

Made from the audit trail by a job, once for each week; what it finds is sealed. A week is signed off as a whole when
each of its lines is. Weeks without a list and without a signature are shown, not forgotten.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import func, or_, select

from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person
from telepsych.audit import service as audit
from telepsych.audit.models import AuditRow
from telepsych.core.actor import WORKFORCE, Decision
from telepsych.core.calendar import BusinessHours
from telepsych.core.clock import HOUR, MINUTE, local_date, to_micros
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.oversight import people, policy, reading
from telepsych.oversight.content import weekly_rules
from telepsych.oversight.models import LineKind, WeekLine, WeekReview
from telepsych.oversight.people import PassedOn
from telepsych.oversight.reading import Entry
from telepsych.patients.models import BreakGlass, Patient

WEEK = timedelta(days=7)
SHOWN = 26 * WEEK
"""How far back signed weeks are listed."""
OWN = ("self", "proxy", "supporter")
"""Relations under which somebody of the workforce is here as a private person."""
PERIOD = 400_000
"""Entries of one week; a practice that has more has its list made from the newest."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An access to look at."""

    kind: LineKind
    person_id: UUID
    patient_id: UUID | None
    first_at: int
    last_at: int
    entries: int
    patients: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line as a page shows it."""

    id: UUID
    kind: LineKind
    who: str
    patient: str
    first_at: int
    last_at: int
    entries: int
    patients: int
    note: str
    signed_at: int | None
    signed_by: str
    may_sign: bool


@dataclass(frozen=True, slots=True)
class Week:
    """A week in the list of weeks. Without `id` its list was never made."""

    monday: date
    sunday: date
    due_at: int
    id: UUID | None = None
    lines: int = 0
    left: int = 0
    signed_at: int | None = None


@dataclass(frozen=True, slots=True)
class WeekPage:
    """One week with its lines, by kind, those that are left first."""

    week: Week
    groups: list[tuple[LineKind, list[Line]]] = field(default_factory=list)
    note: str = ""
    signed_by: str = ""
    may_sign: bool = False


# Making the list


def make_missing(work: Work) -> int:
    """Make the list of every week that is over and has none, as far back as the rules say. Returns how many."""
    known = set(work.session.scalars(select(WeekReview.monday)))
    missing = [monday for monday in _weeks_over(work) if monday.isoformat() not in known]
    for monday in missing:
        _make(work, monday)
    return len(missing)


def _make(work: Work, monday: date) -> WeekReview:
    work.require(policy.can_oversee(work.actor))
    week = WeekReview(monday=monday.isoformat(), made_at=work.now, due_at=_due(work, monday))
    work.add(week)
    work.session.flush()
    found = list(findings(work, *_span(work, monday)))
    for one in found:
        work.add(
            WeekLine(
                week_id=week.id, person_id=one.person_id, patient_id=one.patient_id, first_at=one.first_at,
                last_at=one.last_at, kind=one.kind.value, entries=one.entries, patients=one.patients,
            )
        )  # fmt: skip
    audit.record(work, "week.listed", f"week:{week.id}", purpose="operations", detail={"lines": len(found)})
    return week


def findings(work: Work, start: int, end: int) -> Iterator[Finding]:
    """Everything to look at from a moment until before another."""
    found = [one for one in _by_workforce(work, start, end) if one.relation not in OWN]
    yield from _broken(work, start, end)
    yield from _same_surname(work, found)
    yield from _after_hours(found, accounts.business_hours(work))
    yield from _bulk(found, work)


def _by_workforce(work: Work, start: int, end: int) -> list[Entry]:
    """What people who work here did on patients' records; a role counts as it was held at the time."""
    works_here = or_(*(AuditRow.roles.contains(role.value) for role in sorted(WORKFORCE)))
    conditions = (AuditRow.at >= start, AuditRow.at < end, AuditRow.actor_id.is_not(None), works_here)
    return reading.entries(work, *conditions, most=PERIOD)


def _broken(work: Work, start: int, end: int) -> Iterator[Finding]:
    opened = select(BreakGlass).where(BreakGlass.opened_at >= start, BreakGlass.opened_at < end)
    for glass in work.session.scalars(opened.order_by(BreakGlass.opened_at)):
        during = reading.on_record(glass.patient_id, glass.opened_at, glass.over_at + 1)
        count = len(reading.entries(work, AuditRow.actor_id == glass.person_id, *during))
        yield Finding(LineKind.BREAK_GLASS, glass.person_id, glass.patient_id, glass.opened_at, glass.over_at, count, 1)


def _same_surname(work: Work, found: list[Entry]) -> Iterator[Finding]:
    """Somebody opened the record of a person of their own surname. Names are opened here, and only here."""
    pairs = _grouped(found, lambda one: (str(one.person_id), str(one.patient_id)))
    names = _surnames(work, {one.person_id for one in found if one.person_id}, {one.patient_id for one in found})
    for group in pairs:
        person, patient = group[0].person_id, group[0].patient_id
        if names.get(person) and names.get(person) == names.get(patient):
            yield _finding(LineKind.SAME_SURNAME, group, patient)


def _surnames(work: Work, persons: Collection[UUID], patients: Collection[UUID]) -> dict[UUID | None, str]:
    rows: list[Person | Patient] = [
        *work.session.scalars(select(Person).where(Person.id.in_(persons))),
        *work.session.scalars(policy.names_of_patients(patients)),
    ]
    return {row.id: surname(row.name) for row in rows}


def surname(name: str) -> str:
    """The last word of a name, titles after a comma and endings such as "Jr." aside; empty for a single word."""
    words = [word for word in name.split(",")[0].split() if not word.endswith(".")]
    return words[-1].casefold() if len(words) > 1 else ""


def _after_hours(found: list[Entry], hours: BusinessHours) -> Iterator[Finding]:
    """One line for a person and a local day on which they worked while the practice was closed."""
    grace = weekly_rules().after_hours_grace_minutes * MINUTE
    late = [one for one in found if not any(hours.is_open(one.at + shift) for shift in (-grace, 0, grace))]
    by_day = _grouped(late, lambda one: (str(one.person_id), local_date(one.at, hours.zone).isoformat()))
    for group in by_day:
        same = {one.patient_id for one in group}
        yield _finding(LineKind.AFTER_HOURS, group, next(iter(same)) if len(same) == 1 else None)


def _bulk(found: list[Entry], work: Work) -> Iterator[Finding]:
    """One line for a person and a local day on which they opened many different records within an hour."""
    rules, zone = weekly_rules(), work.practice.settings.tz
    opened = [one for one in found if one.action not in rules.not_counted_as_bulk]
    for group in _grouped(opened, lambda one: (str(one.person_id), local_date(one.at, zone).isoformat())):
        busiest = max(_within_an_hour(group), key=lambda few: len({one.patient_id for one in few}))
        if len({one.patient_id for one in busiest}) >= rules.bulk_patients_an_hour:
            yield _finding(LineKind.BULK, busiest, None)


def _within_an_hour(group: list[Entry]) -> Iterator[list[Entry]]:
    """For each entry, those of the hour that begins with it. `group` is in order of time."""
    end = 0
    for begin, first in enumerate(group):
        while end < len(group) and group[end].at < first.at + HOUR:
            end += 1
        yield group[begin:end]


def _grouped(found: Iterable[Entry], key: Callable[[Entry], tuple[str, str]]) -> list[list[Entry]]:
    ordered = sorted(found, key=lambda one: (key(one), one.at))
    return [list(group) for _, group in groupby(ordered, key)]


def _finding(kind: LineKind, group: list[Entry], patient_id: UUID | None) -> Finding:
    person_id = group[0].person_id
    assert person_id is not None  # the clockwork was left out
    times = [one.at for one in group]
    several = len({one.patient_id for one in group})
    return Finding(kind, person_id, patient_id, min(times), max(times), len(group), several)


# Weeks


def weeks(work: Work) -> list[Week]:
    """The weeks of the last half year, the newest first, with those whose list is missing; older ones until signed."""
    work.require(policy.can_see_counts(work.actor))
    since = (local_date(work.now, work.practice.settings.tz) - SHOWN).isoformat()
    shown = select(WeekReview).where(or_(WeekReview.monday >= since, WeekReview.signed_at.is_(None)))
    rows = {row.monday: row for row in work.session.scalars(shown)}
    counts = (
        policy.lines_of(work.actor, work.now)
        .where(WeekLine.week_id.in_([row.id for row in rows.values()]))
        .with_only_columns(WeekLine.week_id, func.count(), func.count(WeekLine.signed_at))
        .group_by(WeekLine.week_id)
    )
    lines = {week_id: (every, every - signed) for week_id, every, signed in work.session.execute(counts)}
    days = sorted({*_weeks_over(work), *(date.fromisoformat(day) for day in rows)}, reverse=True)
    return [_week(work, day, rows.get(day.isoformat()), lines) for day in days]


def _week(work: Work, monday: date, row: WeekReview | None, lines: dict[UUID, tuple[int, int]]) -> Week:
    sunday = monday + WEEK - timedelta(days=1)
    if row is None:
        return Week(monday, sunday, _due(work, monday))
    return Week(monday, sunday, row.due_at, row.id, *lines.get(row.id, (0, 0)), row.signed_at)


def page(work: Work, monday: str) -> WeekPage:
    """One week. Raises `NotFound`."""
    work.require(policy.can_see_counts(work.actor))
    row = work.one(select(WeekReview).where(WeekReview.monday == monday))
    rows = work.all(policy.lines_of(work.actor, work.now).where(WeekLine.week_id == row.id).order_by(WeekLine.first_at))
    lines = _lines(work, rows)
    groups = [(kind, [one for one in lines if one.kind is kind]) for kind in LineKind]
    names = accounts.names_of(work, [row.signed_by])
    left = sum(line.signed_at is None for line in rows)
    return WeekPage(
        week=_week(work, date.fromisoformat(monday), row, {row.id: (len(rows), left)}),
        groups=[(kind, sorted(found, key=lambda one: one.signed_at is not None)) for kind, found in groups if found],
        note=row.note,
        signed_by=people.name_of(names, row.signed_by) if row.signed_by else "",
        may_sign=bool(policy.can_oversee(work.actor)) and row.signed_at is None,
    )


def _lines(work: Work, rows: list[WeekLine]) -> list[Line]:
    passed_on = people.passed_on(work)
    names = accounts.names_of(work, [one for row in rows for one in (row.person_id, row.signed_by)])
    patients = people.patient_names(work, [row.patient_id for row in rows])
    return [
        Line(
            id=row.id,
            kind=LineKind(row.kind),
            who=people.name_of(names, row.person_id),
            patient=patients.get(row.patient_id, "") if row.patient_id else "",
            first_at=row.first_at,
            last_at=row.last_at,
            entries=row.entries,
            patients=row.patients,
            note=row.note,
            signed_at=row.signed_at,
            signed_by=people.name_of(names, row.signed_by) if row.signed_by else "",
            may_sign=row.signed_at is None and _may(work, row, passed_on).allowed,
        )
        for row in rows
    ]


def sign_lines(work: Work, monday: str, line_ids: Collection[UUID], note: str) -> int:
    """Sign off these lines of a week, with one note. Returns how many. Raises `Refused` when one is about oneself."""
    work.require(policy.can_see_counts(work.actor))
    week = work.one(select(WeekReview).where(WeekReview.monday == monday))
    if not line_ids:
        raise Invalid(fields={"lines": gettext("Please choose at least one line.")})
    scope = policy.lines_of(work.actor, work.now).where(WeekLine.week_id == week.id, WeekLine.id.in_(line_ids))
    passed_on = people.passed_on(work)
    rows = [row for row in work.all(scope) if row.signed_at is None]
    for row in rows:
        work.require(_may(work, row, passed_on))
    for row in rows:
        row.signed_at, row.signed_by, row.note = work.now, work.actor.id, note.strip()
    if rows:
        audit.record(
            work, "week.lines-signed", f"week:{week.id}", purpose="operations", detail={"lines": len(rows)}
        )  # fmt: skip
    return len(rows)


def _may(work: Work, row: WeekLine, passed_on: PassedOn) -> Decision:
    return policy.can_sign_off(work.actor, row, passed_on.holds(row.person_id, row.patient_id))


def sign_week(work: Work, monday: str, note: str) -> None:
    """Sign a week off as a whole. Raises `Conflict` while one of its lines is not."""
    work.require(policy.can_oversee(work.actor))
    week = work.one(select(WeekReview).where(WeekReview.monday == monday))
    if week.signed_at is not None:
        raise Conflict(gettext("This week is signed off already."))
    left = WeekLine.week_id == week.id, WeekLine.signed_at.is_(None)
    if work.session.scalar(policy.lines_of(work.actor, work.now).where(*left).limit(1)) is not None:
        raise Conflict(gettext("Each line has to be signed off before the week is."))
    if work.session.scalar(select(WeekLine.id).where(*left).limit(1)) is not None:
        raise Conflict(gettext("A manager has something of this week to sign off first. Please come back after that."))
    week.signed_at, week.signed_by, week.note = work.now, work.actor.id, note.strip()
    audit.record(work, "week.signed", f"week:{week.id}", purpose="operations")


def _weeks_over(work: Work) -> list[date]:
    """The Mondays of weeks that are over: since the trail begins, at most as many as the rules say."""
    first = work.session.scalar(select(func.min(AuditRow.at)))
    if first is None:
        return []
    zone = work.practice.settings.tz
    today, begun = local_date(work.now, zone), local_date(first, zone)
    this = today - timedelta(days=today.weekday())
    earliest = max(begun - timedelta(days=begun.weekday()), this - WEEK * weekly_rules().weeks_back)
    return [this - WEEK * count for count in range(1, (this - earliest).days // 7 + 1)]


def _span(work: Work, monday: date) -> tuple[int, int]:
    zone = work.practice.settings.tz
    start, end = (to_micros(datetime.combine(day, time(), zone)) for day in (monday, monday + WEEK))
    return start, end


def _due(work: Work, monday: date) -> int:
    return _span(work, monday + timedelta(days=weekly_rules().sign_off_days))[1] - 1
