"""The shape of the rules, the facts they read, the observations a clinician makes, and dated law.

`config/appropriateness/facts.toml` says of every fact who the authority is, how old it may be, and what it means when
nothing is on record. `rules/*.toml` hold the rules, `observations.toml` what is observed in the visit, and
`config/policy/*.toml` law with its dates. Everything here recommends; none of it decides.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from telepsych.appropriateness.conditions import Condition, Fired, Law, Medicine, Stopped, facts_read, leaves
from telepsych.core.content import Content, Document, load, load_all
from telepsych.core.errors import Misconfigured

FOLDER = "appropriateness"
RULES = "appropriateness/rules"
POLICIES = "policy"

Status = Literal["confirmed", "unconfirmed"]
"""Whether the statement was checked against a stored source, or is general knowledge or a site's choice."""
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
RuleId = Annotated[str, Field(pattern=r"^[SMWXVGP]\d{2}[a-z]?$")]
GROUPS = {
    "S": "Safety",
    "M": "Mental state",
    "W": "Substances and controlled medicines",
    "X": "Side effects",
    "V": "Measurements and labs",
    "G": "Pregnancy and age",
    "P": "Place, people and technology",
}


class Moment(StrEnum):
    """When the rules are asked."""

    BOOKING = "booking"
    FORM = "form"
    CHECK_IN = "check-in"
    ARRIVAL = "arrival"
    IN_VISIT = "in-visit"
    CLOSE = "close"
    MESSAGE = "message"
    RESULT = "result"
    MISSED = "missed"


class Level(StrEnum):
    """How far from an ordinary video visit this is. Compare with `rank`."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"

    @property
    def rank(self) -> int:
        return int(self.value[1])

    def up(self) -> "Level":
        """One level higher, as far as there is one."""
        return Level(f"L{min(4, self.rank + 1)}")


def highest(levels: Iterable[Level]) -> Level:
    """The highest of these levels, L0 if there is none."""
    return max(levels, key=lambda level: level.rank, default=Level.L0)


class FactKind(Content):
    """One fact code of the ledger.

    `authority` is "ledger" where nothing on record means something: `absent` then is what it means. It is "elsewhere"
    where it means only that we do not know. A fact that is asked at certain moments counts as missing then; at other
    moments it reads as `before` (nothing: unknown).
    """

    code: Code
    type: Literal["bool", "int", "number", "text", "date", "list", "map", "bool_or_map"]
    label: str
    max_age_days: float | None = Field(None, gt=0)
    """Older than this reads as missing; none: never too old."""
    authority: Literal["ledger", "elsewhere"]
    absent: Any = None
    asked_at: tuple[Moment, ...] = ()
    before: Any = None
    keep_worst: Literal["high", "low"] | None = None
    """A safety answer that was changed keeps counting as its worst value of the last two days; both are shown."""

    @model_validator(mode="after")
    def _says_what_absence_means(self) -> Self:
        if (self.authority == "ledger") != (self.absent is not None):
            raise ValueError(f"{self.code}: exactly what the ledger is the authority for has a value when absent")
        return self


class FactRegistry(Document):
    """Every fact rules may read."""

    facts: tuple[FactKind, ...]


class MedicineGroup(Content):
    """Medicines, by catalogue id, that a rule means by one word."""

    id: Name
    medicines: tuple[Name, ...] = Field(min_length=1)


class MedicineGroups(Document):
    """The groups of medicines that rules name."""

    status: Status
    groups: tuple[MedicineGroup, ...]


class Observation(Content):
    """Something only the clinician can say, during the visit. Never filled in beforehand."""

    code: Name
    group: Literal["S", "M", "W", "X", "V", "G", "P"]
    question: str
    hint: str = ""
    most: int = 0
    """0: yes or no. More: a number from 0 to this."""


class Observations(Document):
    """What a clinician may observe in a visit."""

    observations: tuple[Observation, ...]


class Effect(Content):
    """What a rule does: recommend a level, raise one level, or stop something until it is put right."""

    kind: Literal["level", "raise", "stop"]
    level: Level | None = None
    days: int | None = Field(None, ge=1, le=90)
    """Within how many practice-local days, for L2 (and for a raise that lands there)."""
    stop: Literal["visit", "talk", "medicine"] | None = None
    """`visit`: nobody is admitted. `talk`: not before clinical talk. `medicine`: not before a medicine is ordered."""
    what_to_do: str = ""
    tasks: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.kind == "level" and self.level in (None, Level.L0):
            raise ValueError("an effect of kind level names L1 to L4")
        if (self.level is Level.L2 or self.kind == "raise") != (self.days is not None):
            raise ValueError("L2 and raise, and only they, name days")
        if (self.kind == "stop") != (self.stop is not None) or (self.stop and not self.what_to_do):
            raise ValueError("a stop says what it stops and what to do")
        return self


class Step(Content):
    """A stronger (or a fallback) effect of a rule, with the condition it takes."""

    when: Condition
    effect: Effect
    why: str = ""


class Example(Content):
    """A worked example of one rule. Dates may be written `today` or `today-30`."""

    name: str
    facts: dict[str, Any] = {}
    medicines: dict[str, str] = {}
    """Catalogue id and the date of the start; further fields of `medicine.active` go into `facts`."""
    age: int | None = None
    at: Moment = Moment.IN_VISIT
    on: date | None = None
    law: dict[str, str] = {}
    """What dated law says in this example, other than as shipped."""
    expect: Literal["fires", "clear", "unknown"]
    level: Level | None = None
    days: int | None = None
    stop: Literal["visit", "talk", "medicine"] | None = None


class Rule(Content):
    """One rule. `factor` is what it looks at; `patient` what a patient may read, `clinician` why it matters."""

    id: RuleId
    version: str = "1.0"
    factor: str
    needs: dict[Code, float] = {}
    """Facts this rule wants fresher, or accepts older, than their kind says; in days."""
    moments: tuple[Moment, ...] = ()
    """When the rule is asked; none: always."""
    when: Condition
    effect: Effect
    steps: tuple[Step, ...] = ()
    """The highest step that is true replaces the effect."""
    if_unknown: Step | None = None
    """What an unknown outcome comes to, when its own condition is true."""
    patient: str = ""
    clinician: str
    source: str
    status: Status
    effective_from: date | None = None
    effective_until: date | None = None
    quiet: bool = False
    """Nothing of this may show on a patient's device."""
    examples: tuple[Example, ...] = Field(min_length=1)

    @property
    def group(self) -> str:
        """The letter of the rule's group."""
        return self.id[0]

    @property
    def is_safety(self) -> bool:
        """Whether not knowing calls for safeguards."""
        return self.group == "S"

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The rule's own condition and those of its steps."""
        fallback = (self.if_unknown.when,) if self.if_unknown else ()
        return (self.when, *(step.when for step in self.steps), *fallback)

    @property
    def reads(self) -> tuple[str, ...]:
        """The facts the rule reads."""
        return tuple(dict.fromkeys(code for condition in self.conditions for code in facts_read(condition)))

    @property
    def names_rules(self) -> frozenset[str]:
        """The other rules this one looks at."""
        found = [leaf for condition in self.conditions for leaf in leaves(condition) if isinstance(leaf, Fired)]
        return frozenset(name for leaf in found for name in leaf.fired)

    def is_in_force(self, day: date) -> bool:
        """Whether the rule applies on this day."""
        started = self.effective_from is None or self.effective_from <= day
        return started and (self.effective_until is None or day <= self.effective_until)

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.effect.kind == "raise" and not self.names_rules:
            raise ValueError(f"{self.id} raises and does not say which rules")
        if self.quiet and self.patient:
            raise ValueError(f"{self.id} is quiet and has words for the patient")
        if not any(example.expect == "fires" for example in self.examples):
            raise ValueError(f"{self.id} has no example in which it fires")
        return self


class RuleFile(Document):
    """The rules of one group."""

    rules: tuple[Rule, ...] = Field(min_length=1)


class LawRecord(Content):
    """One dated statement of law. `after` holds once it ended and nothing newer is known."""

    key: Code
    value: str
    effective_from: date
    effective_to: date | None = None
    after: str | None = None
    jurisdiction: str
    source: str
    status: Literal["verified", "general_knowledge", "practice_decision"]
    verified_on: date | None = None
    review_by: date | None = None
    note: str = ""

    @model_validator(mode="after")
    def _ends_somewhere(self) -> Self:
        if self.effective_to is not None and self.after is None:
            raise ValueError(f"{self.key} ends and does not say what holds after")
        return self


class LawFile(Document):
    """Dated law of one jurisdiction."""

    rule: tuple[LawRecord, ...] = Field(min_length=1)


class LawBook:
    """Dated law, answered for the day of the visit."""

    def __init__(self, records: Iterable[LawRecord]) -> None:
        self._records = sorted(records, key=lambda record: record.effective_from, reverse=True)

    def record(self, key: str, day: date) -> LawRecord | None:
        """The newest record in force on a day; else the newest that had begun by then, which has ended."""
        begun = [one for one in self._records if one.key == key and one.effective_from <= day]
        in_force = [one for one in begun if one.effective_to is None or day <= one.effective_to]
        return next(iter(in_force or begun), None)

    def value(self, key: str, day: date) -> str | None:
        """What holds on a day. What has ended never stays as it was."""
        record = self.record(key, day)
        if record is None:
            return None
        ended = record.effective_to is not None and day > record.effective_to
        return record.after if ended else record.value

    def days_left(self, key: str, day: date) -> int | None:
        """Days until what holds now ends; None if it has no end, or has ended."""
        record = self.record(key, day)
        if record is None or record.effective_to is None or day > record.effective_to:
            return None
        newer = self.record(key, record.effective_to + timedelta(days=1))
        return (record.effective_to - day).days if newer is record else None


@cache
def fact_kinds() -> Mapping[str, FactKind]:
    """Every fact by code. `symptom.*` and `observed.*` are filled in from their own lists."""
    registry = load(FactRegistry, f"{FOLDER}/facts.toml")
    return MappingProxyType(_by_id(registry.facts, "code", "facts.toml"))


@cache
def observations() -> Mapping[str, Observation]:
    """Every observation by code, in the order shown."""
    found = load(Observations, f"{FOLDER}/observations.toml").observations
    return MappingProxyType(_by_id(found, "code", "observations.toml"))


@cache
def medicine_groups() -> Mapping[str, frozenset[str]]:
    """The medicines of each group."""
    found = load(MedicineGroups, f"{FOLDER}/medicines.toml").groups
    return MappingProxyType({name: frozenset(one.medicines) for name, one in _by_id(found, "id", "groups").items()})


@cache
def law_book() -> LawBook:
    """Dated law as shipped."""
    return LawBook(record for file in load_all(LawFile, POLICIES) for record in file.rule)


@cache
def rules() -> Mapping[str, Rule]:
    """Every rule by id, those that look at other rules last. Raises `Misconfigured` when they do not hang together."""
    found = _by_id([rule for file in load_all(RuleFile, RULES) for rule in file.rules], "id", "rules")
    check_rules(found)
    ordered = sorted(found.values(), key=lambda rule: (bool(rule.names_rules), "SMWXVGP".index(rule.group), rule.id))
    return MappingProxyType({rule.id: rule for rule in ordered})


@cache
def kind_of(code: str) -> FactKind | None:
    """What is known of a fact code. Symptoms are alike, and so are observations."""
    if (kind := fact_kinds().get(code)) is not None:
        return kind
    family, _, name = code.partition(".")
    pattern = fact_kinds().get(f"{family}.any") if family in ("symptom", "observed") else None
    if pattern is None or not name:
        return None
    if family == "observed" and (seen := observations().get(name)) is not None:
        before = 0 if seen.most else False
        return pattern.model_copy(update={"code": code, "label": seen.question, "before": before})
    return pattern.model_copy(update={"code": code, "label": _label(pattern, name)})


def check_rules(found: Mapping[str, Rule]) -> None:
    """Every name in a rule leads somewhere. Raises `Misconfigured`."""
    for rule in found.values():
        faults = list(_faults(rule, found))
        if faults:
            raise Misconfigured(f"config/{RULES}: {rule.id}: {'; '.join(faults)}")


def _faults(rule: Rule, found: Mapping[str, Rule]) -> Iterator[str]:
    yield from (f"no such fact: {code}" for code in (*rule.reads, *rule.needs) if kind_of(code) is None)
    yield from (
        f"no such observation: {code}"
        for code in rule.reads
        if code.startswith("observed.") and code.removeprefix("observed.") not in observations()
    )
    for name in sorted(rule.names_rules):
        if name not in found or found[name].names_rules:
            yield f"looks at {name}, which is not there or itself looks at others"
    for condition in rule.conditions:
        for leaf in leaves(condition):
            yield from _lost_names(leaf)


def _lost_names(leaf: object) -> Iterator[str]:
    names = {Medicine: "medicine", Stopped: "stopped"}
    group = getattr(leaf, names[type(leaf)]) if isinstance(leaf, Medicine | Stopped) else "any"
    if group != "any" and group not in medicine_groups():
        yield f"no such group of medicines: {group}"
    if isinstance(leaf, Law) and law_book().record(leaf.law, date.max) is None:
        yield f"no such law: {leaf.law}"


def _label(pattern: FactKind, name: str) -> str:
    return re.sub(r"\{\}", name.replace("_", " "), pattern.label)


def _by_id(rows: Iterable[Any], name: str, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        if getattr(row, name) in found:
            raise Misconfigured(f"config/{FOLDER}/{where}: {getattr(row, name)} is there twice")
        found[getattr(row, name)] = row
    return found
