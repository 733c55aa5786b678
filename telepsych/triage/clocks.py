"""When a message must be acknowledged, read and answered, and which group of the inbox that puts it in. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from telepsych.core.calendar import BusinessHours, add_business_days, close_of_business_day, close_of_day
from telepsych.core.clock import MINUTE, local_date
from telepsych.triage.content import Clocks, clocks
from telepsych.triage.priority import Priority


class Group(StrEnum):
    """The groups of the triage inbox, in the order they are shown."""

    SAFETY = "safety"
    DUE_TODAY = "due_today"
    LATER = "later"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Microseconds UTC; None where a priority has no such clock. Only a reply or a recorded call stops `reply_by`."""

    acknowledge_by: int | None
    read_by: int | None
    reply_by: int

    @property
    def first(self) -> int:
        """Whichever comes first."""
        return min(at for at in (self.acknowledge_by, self.read_by, self.reply_by) if at is not None)


def deadlines(priority: Priority, at_micros: int, hours: BusinessHours, content: Clocks | None = None) -> Deadlines:
    """The clocks of something written at a moment. Acknowledging and reading run on the wall clock, day and night.

    A reply is due at the close of a business day, and for what is urgent no later than its own wall-clock limit.
    """
    content = content or clocks()
    return Deadlines(
        acknowledge_by=_after(content.acknowledge_minutes.get(priority), at_micros),
        read_by=_after(content.read_minutes.get(priority), at_micros),
        reply_by=_reply_by(content, priority, at_micros, hours),
    )


def _after(minutes: int | None, at: int) -> int | None:
    return None if minutes is None else at + minutes * MINUTE


def _reply_by(content: Clocks, priority: Priority, at: int, hours: BusinessHours) -> int:
    days = content.reply_business_days[priority]
    if days == 0:
        due = close_of_business_day(hours, at)
    else:
        due = close_of_day(hours, add_business_days(hours, local_date(at, hours.zone), days))
    limit = _after(content.reply_minutes.get(priority), at)
    return due if limit is None else min(due, limit)


def group_of(priority: Priority, reply_by: int, waiting_on_patient: bool, now: int, zone: ZoneInfo) -> Group:
    """The group an open item is shown in. What concerns safety stays under Safety until it is resolved."""
    if priority >= Priority.URGENT:
        return Group.SAFETY
    if waiting_on_patient:
        return Group.WAITING
    return Group.DUE_TODAY if local_date(reply_by, zone) <= local_date(now, zone) else Group.LATER
