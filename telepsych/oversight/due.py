"""What a compliance officer has to do, what is overdue before the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from babel.dates import format_skeleton
from sqlalchemy import select

from telepsych.accounts import service as accounts
from telepsych.audit import service as audit
from telepsych.audit.models import AuditRow
from telepsych.core.clock import local_date, to_micros
from telepsych.core.words import gettext, ngettext
from telepsych.core.work import Work
from telepsych.notifications import service as notifications
from telepsych.oversight import calendar, people, policy, reviews, rights, weekly
from telepsych.oversight.models import UNSETTLED, GlassReview, RequestKind, RightsRequest

REMINDED = "oversight.reminded"


@dataclass(frozen=True, slots=True)
class Due:
    """One thing to do. `due_at` is the last moment it is in time."""

    kind: str
    title: str
    text: str
    href: str
    due_at: int
    is_late: bool


@dataclass(frozen=True, slots=True)
class Count:
    """How much of a kind waits, and how much of it is late; all that managers see."""

    label: str
    waiting: int
    late: int
    href: str


def due(work: Work) -> list[Due]:
    """Everything that waits for the actor, the longest overdue before the others."""
    work.require(policy.can_see_counts(work.actor))
    found = [*_reviews(work), *_weeks(work), *_requests(work)]
    if policy.can_oversee(work.actor):
        found += _rules(work)
    return sorted(found, key=lambda one: one.due_at)


def counts(work: Work) -> list[Count]:
    """How much waits, by kind."""
    work.require(policy.can_see_counts(work.actor))
    kept = GlassReview.patient_id.not_in(policy.destroyed())
    open_reviews = list(work.session.scalars(select(GlassReview.due_at).where(GlassReview.closed_at.is_(None), kept)))
    kept = RightsRequest.patient_id.not_in(policy.destroyed())
    unsettled = select(RightsRequest.due_at).where(RightsRequest.state.in_(UNSETTLED), kept)
    asked = list(work.session.scalars(unsettled))
    open_weeks = [one.due_at for one in weekly.weeks(work) if one.signed_at is None]
    late_rules = calendar.overdue(local_date(work.now, work.practice.settings.tz))
    return [
        Count(gettext("Emergency access"), len(open_reviews), _late(work, open_reviews), "/oversight/reviews"),
        Count(gettext("Weeks to sign off"), len(open_weeks), _late(work, open_weeks), "/oversight/week"),
        Count(gettext("Requests about records"), len(asked), _late(work, asked), "/oversight/requests"),
        Count(gettext("Rules to look at again"), len(late_rules), len(late_rules), "/oversight/calendar"),
    ]


def remind(work: Work) -> bool:
    """Tell the overseers once a local day, in opening hours, while something is overdue. Says nothing of what."""
    work.require(policy.can_oversee(work.actor))
    today = local_date(work.now, work.practice.settings.tz)
    start = to_micros(datetime.combine(today, time(), work.practice.settings.tz))
    told = select(AuditRow.id).where(AuditRow.action == REMINDED, AuditRow.at >= start).limit(1)
    if not accounts.business_hours(work).is_open(work.now) or work.session.scalar(told) is not None:
        return False
    late = [one for one in due(work) if one.is_late]
    if not late:
        return False
    notifications.notify(work, people.overseers(work), "work-item")
    audit.record(work, REMINDED, "oversight:due", purpose="operations", detail={"late": len(late)})
    return True


def waiting(work: Work) -> int:
    """How much waits for the actor, for the rail."""
    return len(due(work))


def _late(work: Work, moments: list[int]) -> int:
    return sum(at < work.now for at in moments)


def _reviews(work: Work) -> Iterator[Due]:
    for one in reviews.listed(work):
        title = gettext("Review emergency access")
        text = gettext("%(who)s opened a record") % {"who": one.who}
        if one.is_own:
            text = gettext("Your own access: somebody else signs this off")
        yield Due("review", title, text, f"/oversight/reviews/{one.id}", one.due_at, one.due_at < work.now)


def _weeks(work: Work) -> Iterator[Due]:
    oversees = bool(policy.can_oversee(work.actor))
    for one in weekly.weeks(work):
        if one.signed_at is not None or not (oversees or one.left):
            continue
        if one.id is None:
            text = gettext("Its list is missing. It is made within the hour while the practice's computers run.")
        elif one.left:
            text = ngettext("%(count)s line to look at", "%(count)s lines to look at", one.left) % {"count": one.left}
        else:
            text = gettext("Every line is looked at. Sign the week off.")
        href = f"/oversight/week/{one.monday.isoformat()}" if one.id else "/oversight/week"
        days = {"first": _day(one.monday), "last": _day(one.sunday)}
        title = gettext("Sign off the week %(first)s to %(last)s") % days
        yield Due("week", title, text, href, one.due_at, one.due_at < work.now)


def _day(day: date) -> str:
    return format_skeleton("MMMd", day, locale="en_US")


def _requests(work: Work) -> Iterator[Due]:
    found = work.all(policy.requests_before(work.actor, work.now).where(RightsRequest.state.in_(UNSETTLED)))
    for row in found:
        title, href = rights.label_of(RequestKind(row.kind)), f"/oversight/requests/{row.id}"
        yield Due("request", title, gettext("A patient asked for this"), href, row.due_at, row.due_at < work.now)


def _rules(work: Work) -> Iterator[Due]:
    zone = work.practice.settings.tz
    late = calendar.overdue(local_date(work.now, zone))
    if late and late[0].review_by:
        after = datetime.combine(late[0].review_by + timedelta(days=1), time(), zone)
        text = ngettext("%(count)s rule", "%(count)s rules", len(late)) % {"count": len(late)}
        yield Due("rule", gettext("Look at dated rules again"), text, "/oversight/calendar", to_micros(after) - 1, True)
