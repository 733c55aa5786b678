"""The weekly review's thresholds (`config/oversight/weekly_review.toml`), and how long requests about records may take
(`config/policy/rights.toml`, dated law)."""

from dataclasses import dataclass
from datetime import date
from functools import cache

from pydantic import Field

from telepsych.appropriateness.content import law_book
from telepsych.core.content import Document, load
from telepsych.core.errors import Misconfigured

WEEKLY = "oversight/weekly_review.toml"
KINDS = ("access", "amendment", "accounting")


class WeeklyRules(Document):
    """What is put before the reviewer each week."""

    sign_off_days: int = Field(gt=0)
    """Days after its Sunday by which a week is signed off."""
    weeks_back: int = Field(gt=0)
    """For how many weeks a list is made later when it is missing."""
    after_hours_grace_minutes: int = Field(ge=0)
    """Shortly before opening and after closing is part of the working day."""
    bulk_patients_an_hour: int = Field(gt=1)
    """From this many different records within an hour on."""
    not_counted_as_bulk: tuple[str, ...] = ()
    """Acts that show many people at once and open nobody."""


@cache
def weekly_rules() -> WeeklyRules:
    """The rules as shipped."""
    return load(WeeklyRules, WEEKLY)


@dataclass(frozen=True, slots=True)
class Limit:
    """How many calendar days a rule gives, and where that stands."""

    key: str
    days: int
    source: str
    status: str


def limit(kind: str, day: date, *, extension: bool = False) -> Limit:
    """The days for a kind of request that was received on a day. Raises `Misconfigured` when no rule says."""
    key = f"rights.{kind}_{'extension_' if extension else ''}days"
    record, value = law_book().record(key, day), law_book().value(key, day)
    if record is None or value is None or not value.isdigit():
        raise Misconfigured(f"config/policy: {key} has to be a number of days on {day}")
    return Limit(key, int(value), record.source, record.status)


def limits() -> None:
    """Check that every kind of request has its days. Raises `Misconfigured`."""
    for kind in KINDS:
        limit(kind, date.today())  # noqa: DTZ011
        limit(kind, date.today(), extension=True)  # noqa: DTZ011
