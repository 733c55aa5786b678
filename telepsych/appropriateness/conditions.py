"""The small language rules are written in: comparisons of facts, joined by any, all, not and at least.

Every node says which facts it reads, and is judged against a `Reader` to true, false or unknown. A value of the wrong
kind is unknown: a slip in the ledger must never clear anybody.
"""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Protocol, Self

from pydantic import Discriminator, Field, Tag, model_validator

from telepsych.appropriateness import truth
from telepsych.appropriateness.truth import Truth
from telepsych.core.content import Content

Scalar = bool | int | float | str
NEVER_DAYS = 100_000
"""Days since something that never happened."""
MEDICINES = "medicine.active"
STOPPED = "medicine.stopped_suddenly"
AGE = "patient.age"
SEVERITIES = ("none", "mild", "moderate", "severe")


class Reader(Protocol):
    """What a condition may ask. Missing and outdated facts read as None."""

    @property
    def today(self) -> date: ...

    @property
    def licensed_states(self) -> frozenset[str]: ...

    def value(self, code: str) -> Any: ...

    def group(self, name: str) -> frozenset[str]: ...

    def law(self, key: str) -> str | None: ...

    def law_days_left(self, key: str) -> int | None: ...

    def rule(self, rule_id: str, at_level: str | None) -> Truth: ...


class AnyOf(Content):
    """One of them is enough."""

    any: tuple["Condition", ...] = Field(min_length=1)

    def judge(self, reader: Reader) -> Truth:
        return truth.any_of([part.judge(reader) for part in self.any])

    def parts(self) -> tuple["Condition", ...]:
        return self.any


class AllOf(Content):
    """All of them are needed."""

    all: tuple["Condition", ...] = Field(min_length=1)

    def judge(self, reader: Reader) -> Truth:
        return truth.all_of([part.judge(reader) for part in self.all])

    def parts(self) -> tuple["Condition", ...]:
        return self.all


class NotThat(Content):
    """The opposite."""

    negated: "Condition" = Field(alias="not")

    def judge(self, reader: Reader) -> Truth:
        return truth.not_that(self.negated.judge(reader))

    def parts(self) -> tuple["Condition", ...]:
        return (self.negated,)


class CountOf(Content):
    """At least so many of them."""

    at_least: int = Field(ge=1)
    of: tuple["Condition", ...] = Field(min_length=1)

    def judge(self, reader: Reader) -> Truth:
        return truth.at_least(self.at_least, [part.judge(reader) for part in self.of])

    def parts(self) -> tuple["Condition", ...]:
        return self.of


class Leaf(Content):
    """A node without parts."""

    def parts(self) -> tuple["Condition", ...]:
        return ()

    def reads(self) -> tuple[str, ...]:
        return ()


class FactTest(Leaf):
    """One comparison of a fact, or of one part of it."""

    fact: str
    part: str | None = None
    equals: Scalar | None = Field(None, alias="is")
    one_of: tuple[Scalar, ...] | None = Field(None, alias="in")
    has: str | None = None
    """The fact is a list and holds this."""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _compares_once(self) -> Self:
        if len(self._tests()) != 1:
            raise ValueError(f"{self.fact}: one comparison, no more and no less")
        return self

    def _tests(self) -> list[str]:
        names = ("equals", "one_of", "has", "at_least", "at_most", "above", "below")
        return [name for name in names if getattr(self, name) is not None]

    def reads(self) -> tuple[str, ...]:
        return (self.fact,)

    def judge(self, reader: Reader) -> Truth:
        value = part_of(reader.value(self.fact), self.part)
        if value is None:
            return None
        if self.equals is not None:
            return _same(value, self.equals)
        if self.one_of is not None:
            return truth.any_of([_same(value, one) for one in self.one_of])
        if self.has is not None:
            return self.has in value if isinstance(value, list) else None
        return self._measure(value)

    def _measure(self, value: Any) -> Truth:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if self.at_least is not None:
            return value >= self.at_least
        if self.at_most is not None:
            return value <= self.at_most
        if self.above is not None:
            return value > self.above
        return value < (self.below or 0)


class Since(Leaf):
    """How many of the practice's days ago the date in a fact is. "never" is longer ago than any number of days."""

    since: str
    part: str | None = None
    more_than: int | None = None
    at_most: int | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.more_than is None) == (self.at_most is None):
            raise ValueError(f"{self.since}: more_than or at_most, one of the two")
        return self

    def reads(self) -> tuple[str, ...]:
        return (self.since,)

    def judge(self, reader: Reader) -> Truth:
        days = days_since(part_of(reader.value(self.since), self.part), reader.today)
        if days is None:
            return None
        return days > self.more_than if self.more_than is not None else days <= (self.at_most or 0)


class Later(Leaf):
    """The date in one fact is not before the date in another. "never" is before everything, and later than nothing."""

    later: str
    than: str

    def reads(self) -> tuple[str, ...]:
        return (self.later, self.than)

    def judge(self, reader: Reader) -> Truth:
        first, second = (days_since(reader.value(code), reader.today) for code in (self.later, self.than))
        if first == NEVER_DAYS:
            return False
        return None if first is None or second is None else first <= second


class Age(Leaf):
    """The patient's age in whole years."""

    age_below: int | None = None
    age_from: int | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.age_below is None) == (self.age_from is None):
            raise ValueError("age_below or age_from, one of the two")
        return self

    def reads(self) -> tuple[str, ...]:
        return (AGE,)

    def judge(self, reader: Reader) -> Truth:
        years = reader.value(AGE)
        if not isinstance(years, int) or isinstance(years, bool):
            return None
        return years < self.age_below if self.age_below is not None else years >= (self.age_from or 0)


class Medicine(Leaf):
    """A medicine of a group is being taken, if wanted since or for so long, or changed so recently.

    A medicine counts when everything asked of it holds. `new` also counts what is only proposed.
    """

    medicine: str
    started_within: int | None = None
    changed_within: int | None = None
    """Started, restarted, or its dose changed, within so many days."""
    taken_longer_than: int | None = None
    new: bool | None = None
    schedule: tuple[str, ...] | None = None
    """With the group "any": only medicines of these schedules."""
    at_least: int = 1

    def reads(self) -> tuple[str, ...]:
        return (MEDICINES,)

    def judge(self, reader: Reader) -> Truth:
        taken = reader.value(MEDICINES)
        if not isinstance(taken, list):
            return None
        names = None if self.medicine == "any" else reader.group(self.medicine)
        rows = [row for row in taken if isinstance(row, dict) and (names is None or row.get("id") in names)]
        return truth.at_least(self.at_least, [self._fits(row, reader.today) for row in rows])

    def _fits(self, row: dict[str, Any], today: date) -> Truth:
        tests: list[Truth] = []
        if self.schedule is not None:
            tests.append(row.get("schedule") in self.schedule)
        if self.new is not None:
            tests.append(bool(row.get("new")) is self.new)
        if self.started_within is not None:
            tests.append(_within(row, ("started_on", "restarted_on"), self.started_within, today))
        if self.changed_within is not None:
            names = ("started_on", "restarted_on", "dose_changed_on")
            tests.append(_within(row, names, self.changed_within, today))
        if self.taken_longer_than is not None:
            tests.append(truth.not_that(_within(row, ("started_on",), self.taken_longer_than, today)))
        return truth.all_of(tests)


class Stopped(Leaf):
    """A medicine of a group was stopped suddenly."""

    stopped: str

    def reads(self) -> tuple[str, ...]:
        return (STOPPED,)

    def judge(self, reader: Reader) -> Truth:
        value = reader.value(STOPPED)
        return any(name in reader.group(self.stopped) for name in value) if isinstance(value, list) else None


class Symptom(Leaf):
    """A symptom was reported, if wanted at least this bad. A report without its degree counts as bad enough."""

    symptom: str
    severity: str | None = None

    def reads(self) -> tuple[str, ...]:
        return (f"symptom.{self.symptom}",)

    def judge(self, reader: Reader) -> Truth:
        value = reader.value(f"symptom.{self.symptom}")
        if isinstance(value, bool):
            return value
        if not isinstance(value, dict) or not isinstance(value.get("present"), bool):
            return None
        if not value["present"] or self.severity is None:
            return bool(value["present"])
        degree = value.get("severity")
        return degree not in SEVERITIES or SEVERITIES.index(degree) >= SEVERITIES.index(self.severity)


class OutsideLicence(Leaf):
    """The state in a fact is one no clinician of the practice is licensed in."""

    outside_licence: str

    def reads(self) -> tuple[str, ...]:
        return (self.outside_licence,)

    def judge(self, reader: Reader) -> Truth:
        state = reader.value(self.outside_licence)
        return state.strip().upper() not in reader.licensed_states if isinstance(state, str) and state else None


class Law(Leaf):
    """What dated law says on the day of the visit, or that it ends within so many days."""

    law: str
    equals: str | None = Field(None, alias="is")
    ends_within: int | None = None

    def judge(self, reader: Reader) -> Truth:
        if self.ends_within is not None:
            left = reader.law_days_left(self.law)
            return left is not None and left <= self.ends_within
        value = reader.law(self.law)
        return None if value is None else value == self.equals


class Fired(Leaf):
    """One of these rules fired, if wanted at this level or above."""

    fired: tuple[str, ...] = Field(min_length=1)
    at_level: str | None = None

    def judge(self, reader: Reader) -> Truth:
        return truth.any_of([reader.rule(rule_id, self.at_level) for rule_id in self.fired])


_KINDS = {
    "any": "any",
    "all": "all",
    "not": "not",
    "of": "count",
    "fact": "fact",
    "since": "since",
    "later": "later",
    "age_below": "age",
    "age_from": "age",
    "medicine": "medicine",
    "stopped": "stopped",
    "symptom": "symptom",
    "outside_licence": "licence",
    "law": "law",
    "fired": "fired",
}


def _kind(raw: Any) -> str | None:
    keys = raw if isinstance(raw, dict) else {getattr(field, "alias", None) or name for name, field in _fields(raw)}
    return next((kind for key, kind in _KINDS.items() if key in keys), None)


def _fields(node: Any) -> list[tuple[str, Any]]:
    return list(type(node).model_fields.items()) if isinstance(node, Content) else []


Condition = Annotated[
    Annotated[AnyOf, Tag("any")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[NotThat, Tag("not")]
    | Annotated[CountOf, Tag("count")]
    | Annotated[FactTest, Tag("fact")]
    | Annotated[Since, Tag("since")]
    | Annotated[Later, Tag("later")]
    | Annotated[Age, Tag("age")]
    | Annotated[Medicine, Tag("medicine")]
    | Annotated[Stopped, Tag("stopped")]
    | Annotated[Symptom, Tag("symptom")]
    | Annotated[OutsideLicence, Tag("licence")]
    | Annotated[Law, Tag("law")]
    | Annotated[Fired, Tag("fired")],
    Discriminator(_kind),
]

for _node in (AnyOf, AllOf, NotThat, CountOf):
    _node.model_rebuild()


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Every comparison in a condition, in the order written."""
    if isinstance(condition, Leaf):
        yield condition
    for part in condition.parts():
        yield from leaves(part)


def facts_read(condition: Condition) -> tuple[str, ...]:
    """The facts a condition reads, each once, in the order written."""
    return tuple(dict.fromkeys(code for leaf in leaves(condition) for code in leaf.reads()))


def part_of(value: Any, part: str | None) -> Any:
    """One part of a fact's value; the whole of it if none is named; None if it is not there."""
    if part is None:
        return value
    return value.get(part) if isinstance(value, dict) else None


def days_since(value: Any, today: date) -> int | None:
    """Days since an ISO date; a very long time since "never"; None if it is neither, or lies ahead."""
    if value == "never":
        return NEVER_DAYS
    try:
        days = (today - date.fromisoformat(value)).days
    except (TypeError, ValueError):
        return None
    return days if days >= 0 else None


def _same(value: Any, wanted: Scalar) -> Truth:
    """Equal and of the same kind: true is not 1."""
    if isinstance(value, bool) != isinstance(wanted, bool):
        return None
    return bool(value == wanted)


def _within(row: dict[str, Any], names: tuple[str, ...], days: int, today: date) -> Truth:
    dates = [row[name] for name in names if row.get(name)]
    if not dates:
        return None
    spans = [days_since(one, today) for one in dates]
    return truth.any_of([None if span is None else span <= days for span in spans])
