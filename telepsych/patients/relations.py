"""The law book of relations, `config/relations`: on what ground somebody may act for a patient, and how far.

An authority says in plain words what it is, which document shows it, at which ages it holds and what it may open then.
A proxy's own scope can only be narrower. What the law asks for is stated with its source, and marked where nobody has
confirmed it; the practice's counsel decides.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from enum import StrEnum
from functools import cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from telepsych.core.actor import Compartment
from telepsych.core.clock import local_date, to_micros
from telepsych.core.content import Content, Document, load, load_all
from telepsych.core.errors import Misconfigured
from telepsych.patients.models import Authority

FOLDER = "relations/authorities"
OLDEST = 130
Status = Literal["verified", "unconfirmed"]
Years = Annotated[int, Field(ge=0, le=OLDEST)]
Days = Annotated[int, Field(gt=0)]


class Part(StrEnum):
    """What a supporter may be shown. Each has a page of its own; a supporter opens no compartment."""

    VISITS = "visits"
    MEDICINES = "medicines"


class Reach(Content):
    """What an authority may open while the patient's age, in completed years, lies in a range."""

    youngest: Years = 0
    oldest: Years | None = None
    opens: tuple[Literal[Compartment.GENERAL, Compartment.CONFIDENTIAL], ...] = ()
    """Never `sensitive`: nobody but the patient's clinicians opens that."""
    parts: tuple[Part, ...] = ()

    def holds_at(self, years: int) -> bool:
        """Whether a patient of this age lies in the range."""
        return self.youngest <= years and (self.oldest is None or years <= self.oldest)


class Ground(Document):
    """One authority: its words, its proof, and what it may open at most."""

    id: Authority
    status: Status
    label: str
    words: str
    """What it means, for patients and for whoever acts."""
    document: str
    """Which document staff have to see."""
    signs_as: Literal["guardian", "conservator", "authorized_representative"] | None = None
    """In which capacity they sign a consent (`config/consents`); None when they never do."""
    named_by_patient: bool = False
    longest_days: Days | None = None
    """After how many days it has to end, or be shown again."""
    review_days: Days | None = None
    """After how many days staff look at the document again."""
    reaches: tuple[Reach, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if any(sum(reach.holds_at(years) for reach in self.reaches) > 1 for years in range(OLDEST)):
            raise ValueError("two ranges of ages overlap")
        if any(reach.opens and reach.parts for reach in self.reaches):
            raise ValueError("it opens either compartments or parts")
        return self

    def holds_at(self, years: int) -> bool:
        """Whether anybody may act on this ground for a patient of this age."""
        return any(reach.holds_at(years) for reach in self.reaches)

    def opens_at(self, years: int) -> frozenset[Compartment]:
        """The compartments it may open at most."""
        return frozenset(one for reach in self.reaches if reach.holds_at(years) for one in reach.opens)

    def parts_at(self, years: int) -> frozenset[Part]:
        """The parts a supporter may be shown at most."""
        return frozenset(one for reach in self.reaches if reach.holds_at(years) for one in reach.parts)


class AgeStep(Content):
    """An age at which who may see what changes."""

    age: Years
    what: Literal["private-space", "adult"]
    source: str
    status: Status


class Ages(Document):
    """The ages of change, and how many days before each people are told."""

    notice_days: tuple[Days, ...]
    steps: tuple[AgeStep, ...]

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if [step.what for step in self.steps] != ["private-space", "adult"]:
            raise ValueError("both steps are needed, in order")
        if list(self.notice_days) != sorted(set(self.notice_days), reverse=True):
            raise ValueError("the notices come in order, the earliest first")
        return self

    def age_of(self, what: str) -> int:
        """The age of a step, in completed years."""
        return next(step.age for step in self.steps if step.what == what)


@cache
def grounds() -> Mapping[Authority, Ground]:
    """Every authority, by its id. Raises `Misconfigured` when one is missing."""
    found = {one.id: one for one in load_all(Ground, FOLDER)}
    if missing := set(Authority) - set(found):
        raise Misconfigured(f"config/{FOLDER}: missing: {', '.join(sorted(missing))}")
    return found


@cache
def ages() -> Ages:
    """The ages of change."""
    return load(Ages, "relations/ages.toml")


def private_from() -> int:
    """The age from which a young person has a private space and may sign in themself."""
    return ages().age_of("private-space")


def adult_from() -> int:
    """The age of majority."""
    return ages().age_of("adult")


def age_on(born: date, day: date) -> int:
    """Completed years on a day. Who was born on February 29 has their birthday on March 1 of other years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def birthday(born: date, years: int) -> date:
    """The day on which this age is completed."""
    try:
        return born.replace(year=born.year + years)
    except ValueError:
        return date(born.year + years, 3, 1)


def age_at(born: date, now: int, zone: ZoneInfo) -> int:
    """Completed years at a moment, on the practice's local date."""
    return age_on(born, local_date(now, zone))


def reached_at(born: date, years: int, zone: ZoneInfo) -> int:
    """The first moment at which this age is completed: midnight where the practice is."""
    return to_micros(datetime.combine(birthday(born, years), time.min, zone))
