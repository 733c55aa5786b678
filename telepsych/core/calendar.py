"""Business hours: when the practice is open, and the ends of its days. Pure; moments are microseconds UTC.

Opening times are local wall-clock times, so a day on which the clocks change is shorter or longer by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from telepsych.core.clock import local_date, to_micros

DAY_MINUTES = 24 * 60
HORIZON_DAYS = 400
"""How far ahead an open day is sought. A practice that opens on no day within this has no hours at all."""


@dataclass(frozen=True, slots=True, order=True)
class Opening:
    """One opening of a week: weekday (Monday is 0), from and to in minutes after local midnight.

    Raises ValueError when it is not a time span within one day.
    """

    weekday: int
    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not (0 <= self.weekday <= 6 and 0 <= self.opens < self.closes <= DAY_MINUTES):
            raise ValueError(f"not an opening within one day: {self}")


USUAL_WEEK = tuple(Opening(weekday, 9 * 60, 17 * 60) for weekday in range(5))


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """A practice's week, and the dates (ISO, local) on which it is closed all the same.

    Openings of one weekday may leave a break. A practice that has set none keeps `USUAL_WEEK`: something a patient
    writes falls due all the same.
    """

    zone: ZoneInfo
    openings: tuple[Opening, ...]
    closed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.openings:
            object.__setattr__(self, "openings", USUAL_WEEK)

    def is_business_day(self, day: date) -> bool:
        """Whether the practice opens on this local date."""
        return day.isoformat() not in self.closed and any(one.weekday == day.weekday() for one in self.openings)

    def spans(self, day: date) -> list[tuple[int, int]]:
        """Openings of a local date in order, from and to in microseconds UTC; empty when closed."""
        if not self.is_business_day(day):
            return []
        times = sorted((one.opens, one.closes) for one in self.openings if one.weekday == day.weekday())
        return [(self._moment(day, opens), self._moment(day, closes)) for opens, closes in times]

    def is_open(self, at: int) -> bool:
        """Whether somebody is there. The closing moment itself is closed."""
        return any(opens <= at < closes for opens, closes in self.spans(local_date(at, self.zone)))

    def business_days(self, start: date) -> Iterator[date]:
        """Business days from this date on, itself included. Raises ValueError when none comes within `HORIZON_DAYS`."""
        last = start
        day = start
        while (day - last).days <= HORIZON_DAYS:
            if self.is_business_day(day):
                last = day
                yield day
            day += timedelta(days=1)
        raise ValueError("the practice does not open within the foreseeable future")

    def _moment(self, day: date, minutes: int) -> int:
        midnight, clock = divmod(minutes, DAY_MINUTES)
        local = datetime.combine(day + timedelta(days=midnight), time(clock // 60, clock % 60), self.zone)
        return to_micros(local)


def next_open(hours: BusinessHours, at: int) -> int:
    """The first moment from `at` on at which the practice is open; `at` itself when it is."""
    for day in hours.business_days(local_date(at, hours.zone)):
        for opens, closes in hours.spans(day):
            if at < closes:
                return max(at, opens)
    raise AssertionError("unreachable: business_days ends by raising")


def close_of_day(hours: BusinessHours, day: date) -> int:
    """When the practice closes for good on a business day. Raises ValueError on a day it does not open."""
    spans = hours.spans(day)
    if not spans:
        raise ValueError(f"{day} is not a business day")
    return max(closes for _, closes in spans)


def close_of_business_day(hours: BusinessHours, at: int) -> int:
    """The close of the business day a moment belongs to: today's, or the next one's after close or on a closed day."""
    for day in hours.business_days(local_date(at, hours.zone)):
        if (close := close_of_day(hours, day)) > at:
            return close
    raise AssertionError("unreachable: business_days ends by raising")


def add_business_days(hours: BusinessHours, day: date, count: int) -> date:
    """The business day `count` (1 or more) business days after a local date, which need not be one itself."""
    if count < 1:
        raise ValueError("count starts at 1")
    days = hours.business_days(day + timedelta(days=1))
    return [next(days) for _ in range(count)][-1]
