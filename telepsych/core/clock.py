"""Time: integer microseconds UTC everywhere inside, dates and zones only at the edges."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """Anything that can tell the time."""

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        ...


def machine_time() -> int:
    """The machine's time in microseconds, for what is written where no practice's clock is at hand."""
    return time.time_ns() // 1000


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return machine_time()


@dataclass
class FrozenClock:
    """A clock that stands still until a test moves it."""

    at: int

    def now(self) -> int:
        return self.at

    def move(self, microseconds: int) -> None:
        self.at += microseconds


def to_micros(moment: datetime) -> int:
    """Microseconds UTC of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def from_micros(micros: int, zone: ZoneInfo | None = None) -> datetime:
    """The aware datetime of a moment, in UTC or in the zone given."""
    seconds, rest = divmod(micros, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).astimezone(zone or UTC)


def local_date(micros: int, zone: ZoneInfo) -> date:
    """The calendar day of a moment where the practice is."""
    return from_micros(micros, zone).date()
