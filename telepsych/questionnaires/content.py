"""The shape of an instrument: `config/questionnaires/*.toml`.

An instrument is asked and scored exactly as its file says. Items are named by id, never by position, and options
carry a code and an ordinal of their own. A screening score is not a diagnosis; every file says where its wording,
its bands and its thresholds come from, and whether that was confirmed against a source.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from telepsych.core.content import Content, Document, load_all
from telepsych.core.errors import Misconfigured, NotFound

FOLDER = "questionnaires"

Status = Literal["confirmed", "unconfirmed"]
"""Whether the statement beside it was checked against a stored source, or is general knowledge or a site's choice."""

Priority = Literal["emergency", "urgent", "soon", "routine"]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
FactCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$")]


def _term(code: str) -> str:
    if not has_check_digit(code):
        raise ValueError(f"{code} is not a LOINC code: its check digit does not fit")
    return code


Loinc = Annotated[str, Field(pattern=r"^\d{1,7}-\d$"), AfterValidator(_term)]


def check_digit(digits: str) -> int:
    """The LOINC mod-10 check digit of the digits before the hyphen."""
    backwards = digits[::-1]
    doubled = str(int(backwards[0::2]) * 2)
    total = sum(map(int, doubled)) + sum(map(int, backwards[1::2]))
    return -total % 10


def has_check_digit(code: str) -> bool:
    """Whether a LOINC term code ends in the check digit of its number."""
    digits, _, check = code.partition("-")
    return digits.isdecimal() and check == str(check_digit(digits))


class Option(Content):
    """One answer. `ordinal` is its published weight; it never follows from the order on the screen."""

    id: Slug
    ordinal: int
    text: str
    loinc: Annotated[str, Field(pattern=r"^LA\d+-\d$")] | None = None


class OptionSet(Content):
    """The answers several items share."""

    id: Slug
    loinc: Annotated[str, Field(pattern=r"^LL\d+-\d$")] | None = None
    options: tuple[Option, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _unique(f"the option ids of {self.id}", (option.id for option in self.options))
        _unique(f"the ordinals of {self.id}", (option.ordinal for option in self.options))
        return self


class AskedWhen(Content):
    """An item that is asked only after one of these items reached this ordinal."""

    any_of: tuple[Slug, ...] = Field(min_length=1)
    at_least: int


class Item(Content):
    """One question. `text` is the published wording and is not edited."""

    id: Slug
    label: str
    """A short name for clinicians' tables."""
    text: str
    options: Slug
    loinc: Loinc | None = None
    required: bool = True
    scored: bool = True
    may_decline: bool = True
    sensitive: bool = False
    why_we_ask: str | None = None
    """Shown before a sensitive question."""
    asked_when: AskedWhen | None = None
    follow_up: str | None = None
    """What the instrument has a clinician ask aloud after a positive answer."""

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if self.sensitive and not self.why_we_ask:
            raise ValueError(f"{self.id} is sensitive and does not say why we ask")
        return self


class Reading(Content):
    """What a result is called: in plain words for the patient, in clinical words for the team."""

    id: Slug
    patient: str
    clinician: str


class Band(Reading):
    """A range of totals, both ends included."""

    at_least: int
    at_most: int


class Result(Reading):
    """A result that follows from single items. One without `any_of` is what remains when every item was answered."""

    any_of: tuple[Slug, ...] = ()
    at_least: int = 1
    declined_under_age: int | None = None
    """Below this age in years, or at an unknown age, declining one of the items counts like a positive answer."""


class Scoring(Content):
    """How answers become a result: `sum` adds ordinals and names a band, `screen` looks at single items."""

    method: Literal["sum", "screen"]
    loinc: Loinc | None = None
    minimum: int = 0
    maximum: int = 0
    lower_is_better: bool = True
    bands: tuple[Band, ...] = ()
    results: tuple[Result, ...] = ()
    source: str
    status: Status
    not_a_diagnosis: str
    """The sentence every view of a result shows."""


class ChangeRule(Content):
    """A published threshold for change between two totals.

    `fall_points` and `rise_points` are points, `fall_percent` is a percentage of the earlier total, `below` is met
    when the later total is under it and the earlier one was not.
    """

    id: Slug
    kind: Literal["fall_points", "fall_percent", "rise_points", "below"]
    value: Annotated[int, Field(gt=0)]
    means: Literal["better", "worse"]
    patient: str
    clinician: str
    source: str
    status: Status


class SafetyTrigger(Content):
    """An answer a person must see soon, from the moment it is saved, whatever becomes of the rest of the form.

    It looks either at the ordinal chosen or at the item having been declined.
    """

    id: Slug
    item: Slug
    at_least: int | None = None
    fact: FactCode
    priority: Priority
    kind: Slug
    clinician: str
    declined_under_age: int | None = None
    """Declining the item is a finding below this age in years, or at an unknown age."""
    source: str
    status: Status

    @model_validator(mode="after")
    def _looks_at_one_thing(self) -> Self:
        if (self.at_least is None) == (self.declined_under_age is None):
            raise ValueError(f"{self.id}: name an ordinal or an age for declining, one of the two")
        return self


class FactRule(Content):
    """What saving the answers writes into the facts ledger.

    `item` writes the ordinal of one item, `total` the total, `declined` true when any item was declined.
    """

    code: FactCode
    of: Literal["item", "total", "declined"]
    item: Slug | None = None

    @model_validator(mode="after")
    def _names_its_item(self) -> Self:
        if (self.of == "item") != (self.item is not None):
            raise ValueError(f"{self.code}: an item is named exactly when the fact is about one")
        return self


class Licence(Content):
    """On what terms the wording is here. Classes: A free to ship, B with a condition."""

    letter: Literal["A", "B"]
    notice: str
    citation: str
    evidence: str


class Expected(Content):
    """What a worked example must come to."""

    total: int | None = None
    band: Slug | None = None
    complete: bool
    missing: tuple[Slug, ...] = ()
    declined: tuple[Slug, ...] = ()
    safety: tuple[Slug, ...] = ()
    facts: dict[str, int | bool] = {}


class Example(Content):
    """A worked example: answers by item id (an option id, or "declined"), and what they come to."""

    name: str
    age: int | None = None
    answers: dict[str, str]
    expected: Expected


class Instrument(Document):
    """One questionnaire. Saved responses keep its id and version, so that an old answer still reads as it was asked."""

    id: Slug
    version: Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")]
    title: str
    short_name: str
    patient_title: str
    patient_intro: str
    loinc: Loinc | None = None
    licence: Licence
    window: str
    """The time the questions are about, as people say it."""
    window_days: int | None = None
    youngest: int
    oldest: int | None = None
    ages_source: str
    ages_status: Status
    asked_by: Literal["self", "clinician"] = "self"
    languages: tuple[str, ...] = Field(min_length=1)
    stem: str
    guidance: str | None = None
    """What the instrument asks the team to do with a result; shipped with it."""
    option_sets: tuple[OptionSet, ...] = Field(min_length=1)
    items: tuple[Item, ...] = Field(min_length=1)
    scoring: Scoring
    change: tuple[ChangeRule, ...] = ()
    safety: tuple[SafetyTrigger, ...] = ()
    facts: tuple[FactRule, ...] = ()
    examples: tuple[Example, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        _unique("item ids", (item.id for item in self.items))
        _unique("option sets", (options.id for options in self.option_sets))
        _unique("fact codes", (fact.code for fact in self.facts))
        _known("option set", (item.options for item in self.items), (options.id for options in self.option_sets))
        _known("item", _items_named(self), (item.id for item in self.items))
        _check_scoring(self)
        return self

    def item(self, item_id: str) -> Item:
        """The item of this id. Raises `NotFound`."""
        for item in self.items:
            if item.id == item_id:
                return item
        raise NotFound

    def options_of(self, item: Item) -> tuple[Option, ...]:
        """The answers to choose from, in the order they are shown."""
        return next(options.options for options in self.option_sets if options.id == item.options)

    def suits_age(self, years: int) -> bool:
        """Whether someone of this age may be offered the instrument."""
        return self.youngest <= years and (self.oldest is None or years <= self.oldest)


def _unique(what: str, values: Iterable[object]) -> None:
    seen = list(values)
    if len(seen) != len(set(seen)):
        raise ValueError(f"{what} repeat")


def _known(what: str, named: Iterable[str], known: Iterable[str]) -> None:
    if unknown := set(named) - set(known):
        raise ValueError(f"no such {what}: {', '.join(sorted(unknown))}")


def _items_named(instrument: Instrument) -> Iterable[str]:
    for item in instrument.items:
        yield from item.asked_when.any_of if item.asked_when else ()
    for result in instrument.scoring.results:
        yield from result.any_of
    yield from (trigger.item for trigger in instrument.safety)
    yield from (fact.item for fact in instrument.facts if fact.item)
    for example in instrument.examples:
        yield from example.answers


def _check_scoring(instrument: Instrument) -> None:
    scoring = instrument.scoring
    if scoring.method == "screen":
        if scoring.bands or not scoring.results or scoring.results[-1].any_of:
            raise ValueError("a screen needs results, the last of them without items, and no bands")
        return
    _check_range(instrument)
    _check_bands(scoring)


def _check_range(instrument: Instrument) -> None:
    if gaps := [item.id for item in instrument.items if item.scored and (item.asked_when or not item.required)]:
        raise ValueError(f"what is added up is always asked and required: {', '.join(gaps)}")
    scored = [instrument.options_of(item) for item in instrument.items if item.scored]
    lowest = sum(min(option.ordinal for option in options) for options in scored)
    highest = sum(max(option.ordinal for option in options) for options in scored)
    if (instrument.scoring.minimum, instrument.scoring.maximum) != (lowest, highest):
        raise ValueError(f"the items add up to {lowest}–{highest}")


def _check_bands(scoring: Scoring) -> None:
    expected = scoring.minimum
    for band in scoring.bands:
        if band.at_least != expected or band.at_most < band.at_least:
            raise ValueError(f"band {band.id} must start at {expected}")
        expected = band.at_most + 1
    if expected != scoring.maximum + 1:
        raise ValueError(f"the bands must reach {scoring.maximum}")


@cache
def editions() -> Mapping[tuple[str, str], Instrument]:
    """Every instrument by id and version; older versions stay, so that old answers read as they were asked."""
    found: dict[tuple[str, str], Instrument] = {}
    for instrument in load_all(Instrument, FOLDER):
        name = (instrument.id, instrument.version)
        if name in found:
            raise Misconfigured(f"config/{FOLDER}: {instrument.id} {instrument.version} is there twice")
        found[name] = instrument
    return MappingProxyType(found)


@cache
def instruments() -> Mapping[str, Instrument]:
    """The newest version of every instrument by id. Raises `Misconfigured` for a wrong file or a version twice."""
    newest = sorted(editions().values(), key=lambda one: _in_order(one.version))
    return MappingProxyType({instrument.id: instrument for instrument in newest})


def instrument_named(instrument_id: str, version: str | None = None) -> Instrument:
    """The instrument of this id, in the newest version or in the one given. Raises `NotFound`."""
    try:
        return instruments()[instrument_id] if version is None else editions()[instrument_id, version]
    except KeyError:
        raise NotFound from None


def _in_order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
