"""Rules against facts. Pure: the same facts, moment and rules always come to the same result.

A rule fires, is clear, or is unknown. Unknown rules are listed; in group S they call for safeguards (L1). The highest
level wins, the shortest time of several L2 applies, and everything that fired stays visible with its data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo

from telepsych.appropriateness.conditions import NEVER_DAYS, Condition, facts_read
from telepsych.appropriateness.content import (
    Effect,
    FactKind,
    LawBook,
    Level,
    Moment,
    Rule,
    Step,
    highest,
    kind_of,
    law_book,
    medicine_groups,
    rules,
)
from telepsych.appropriateness.truth import Truth
from telepsych.core.clock import DAY, local_date

WORST_WITHIN = 2 * DAY
"""How long a changed safety answer keeps counting as its worst value."""

Standing = Literal["known", "absent", "missing", "stale", "not asked yet"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One value in the ledger."""

    value: Any
    as_of: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Datum:
    """A fact as a rule read it. `also` holds other values given within two days, when a worse one counts."""

    code: str
    label: str
    value: Any
    standing: Standing
    as_of: int | None = None
    source: str = ""
    also: tuple[Any, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {name: getattr(self, name) for name in ("code", "label", "value", "standing", "as_of", "source")} | {
            "also": list(self.also)
        }


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do and tick. `key` names it within a visit."""

    key: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired (or whose unknown outcome counts), with everything needed to check it."""

    rule: Rule
    effect: Effect
    level: Level
    days: int | None
    data: tuple[Datum, ...]
    why: str = ""
    open_step: Level | None = None
    """A higher level this rule would reach if what is unknown turned out so."""
    from_unknown: bool = False

    @property
    def tasks(self) -> tuple[Task, ...]:
        texts = tuple(dict.fromkeys((*self.rule.effect.tasks, *self.effect.tasks)))
        return tuple(Task(f"{self.rule.id}:{index}", self.rule.id, text) for index, text in enumerate(texts))


@dataclass(frozen=True, slots=True)
class Unknown:
    """A rule that could not be decided, and the facts it lacks."""

    rule: Rule
    missing: tuple[Datum, ...]
    level: Level
    """What not knowing comes to: L1 for safety rules, L0 else, unless the rule says more."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the rules come to. `level` is a recommendation; a clinician decides."""

    when: Moment
    level: Level
    days: int | None
    fired: tuple[Fired, ...]
    unknown: tuple[Unknown, ...]

    @property
    def stops(self) -> tuple[Fired, ...]:
        """What must be put right first."""
        return tuple(one for one in self.fired if one.effect.kind == "stop")

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Everything to tick, in the order of the rules."""
        return tuple(task for one in self.fired for task in one.tasks)

    @property
    def refuses_admission(self) -> bool:
        """Whether the visit must not start."""
        return any(one.effect.stop == "visit" for one in self.stops)


@dataclass
class Sheet:
    """The facts of one patient at one moment, read as rules read them. It is what conditions are judged against."""

    facts: Mapping[str, tuple[Recorded, ...]]
    """Newest first."""
    now: int
    zone: ZoneInfo
    when: Moment = Moment.IN_VISIT
    states: frozenset[str] = frozenset({"CT"})
    service_day: date | None = None
    """The day of the visit, which dated law is asked for; none: today."""
    laws: LawBook = field(default_factory=law_book)
    outcomes: dict[str, tuple[Truth, Level]] = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)
    """The rule's own limits of age while it is being judged."""

    @property
    def today(self) -> date:
        return local_date(self.now, self.zone)

    @property
    def licensed_states(self) -> frozenset[str]:
        return self.states

    def value(self, code: str) -> Any:
        return self.datum(code).value

    def group(self, name: str) -> frozenset[str]:
        return medicine_groups().get(name, frozenset())

    def law(self, key: str) -> str | None:
        return self.laws.value(key, self.service_day or self.today)

    def law_days_left(self, key: str) -> int | None:
        return self.laws.days_left(key, self.service_day or self.today)

    def rule(self, rule_id: str, at_level: str | None) -> Truth:
        outcome, level = self.outcomes.get(rule_id, (False, Level.L0))
        if outcome is not True or at_level is None:
            return outcome
        return level.rank >= Level(at_level).rank

    def datum(self, code: str) -> Datum:
        """A fact with its standing. Missing, outdated and empty values read as None."""
        kind = kind_of(code)
        given = [one for one in self.facts.get(code, ()) if one.value is not None and one.as_of <= self.now]
        if kind is None:
            return Datum(code, code, None, "missing")
        fresh = [one for one in given if not self._is_old(kind, one)]
        if fresh:
            return self._known(kind, fresh)
        return self._nothing(kind, given)

    def _known(self, kind: FactKind, fresh: list[Recorded]) -> Datum:
        newest, others = fresh[0], [one for one in fresh if one.as_of >= fresh[0].as_of - WORST_WITHIN]
        counts = newest if kind.keep_worst is None else _worst(others, kind.keep_worst)
        also = tuple(one.value for one in others if one.value != counts.value) if kind.keep_worst else ()
        return Datum(kind.code, kind.label, counts.value, "known", counts.as_of, counts.source, also)

    def _nothing(self, kind: FactKind, given: list[Recorded]) -> Datum:
        last = given[0] if given else None
        at, source = (last.as_of, last.source) if last else (None, "")
        if kind.asked_at and self.when not in kind.asked_at:
            return Datum(kind.code, kind.label, kind.before, "not asked yet", at, source)
        if kind.authority == "ledger":
            return Datum(kind.code, kind.label, kind.absent, "absent", at, source)
        return Datum(kind.code, kind.label, None, "stale" if last else "missing", at, source)

    def _is_old(self, kind: FactKind, one: Recorded) -> bool:
        limit = self.ages.get(kind.code, kind.max_age_days)
        return limit is not None and self.now - one.as_of > limit * DAY


def evaluate(sheet: Sheet, rulebook: Iterable[Rule] | None = None) -> Result:
    """Judge every rule that applies at this moment and day."""
    fired: list[Fired] = []
    unknown: list[Unknown] = []
    day = sheet.service_day or sheet.today
    for rule in rulebook if rulebook is not None else rules().values():
        if rule.is_in_force(day) and (not rule.moments or sheet.when in rule.moments):
            _judge(rule, sheet, fired, unknown)
    level = highest([*(one.level for one in fired), *(one.level for one in unknown)])
    days = min((one.days for one in fired if one.level is Level.L2 and one.days is not None), default=None)
    by_level = sorted(fired, key=lambda one: (-one.level.rank, one.days or 0, "SMWXVGP".index(one.rule.group)))
    return Result(sheet.when, level, days if level is Level.L2 else None, tuple(by_level), tuple(unknown))


def _judge(rule: Rule, sheet: Sheet, fired: list[Fired], unknown: list[Unknown]) -> None:
    sheet.ages = rule.needs
    outcome = rule.when.judge(sheet)
    if outcome is True:
        one = _fire(rule, sheet, fired)
        fired.append(one)
        sheet.outcomes[rule.id] = (True, one.level)
    else:
        sheet.outcomes[rule.id] = (outcome, Level.L0)
    if outcome is None:
        _note_unknown(rule, sheet, fired, unknown)


def _fire(rule: Rule, sheet: Sheet, fired: list[Fired]) -> Fired:
    judged = [(step, step.when.judge(sheet)) for step in rule.steps]
    reached = [step for step, value in judged if value is True]
    step = max(reached, key=_strength, default=None)
    effect = step.effect if step else rule.effect
    level, days = _level_of(rule, effect, fired)
    beyond = highest(step.effect.level or Level.L0 for step, value in judged if value is None)
    data = _data(sheet, [rule.when, *(one.when for one, value in judged if value is not False)])
    why = step.why if step else ""
    return Fired(rule, effect, level, days, data, why, beyond if beyond.rank > level.rank else None)


def _note_unknown(rule: Rule, sheet: Sheet, fired: list[Fired], unknown: list[Unknown]) -> None:
    data = _data(sheet, [rule.when])
    lacking = tuple(datum for datum in data if datum.value is None)
    level = Level.L1 if rule.is_safety else Level.L0
    fallback = rule.if_unknown
    if fallback is not None and fallback.when.judge(sheet) is True:
        reached, days = _level_of(rule, fallback.effect, fired)
        fired.append(Fired(rule, fallback.effect, reached, days, data, fallback.why, from_unknown=True))
        level = highest([level, reached])
    unknown.append(Unknown(rule, lacking, level))


def _level_of(rule: Rule, effect: Effect, fired: list[Fired]) -> tuple[Level, int | None]:
    if effect.kind != "raise":
        return effect.level or Level.L0, effect.days
    base = highest(one.level for one in fired if one.rule.id in rule.names_rules)
    level = base.up()
    return level, effect.days if level is Level.L2 else None


def _strength(step: Step) -> tuple[bool, int, int]:
    """A stop is never given up for a level."""
    level = step.effect.level or Level.L0
    return step.effect.stop is not None, level.rank, -(step.effect.days or 0)


def _data(sheet: Sheet, conditions: list[Condition]) -> tuple[Datum, ...]:
    codes = dict.fromkeys(code for condition in conditions for code in facts_read(condition))
    return tuple(sheet.datum(code) for code in codes)


def _worst(values: list[Recorded], end: str) -> Recorded:
    ordered = sorted(values, key=lambda one: _badness(one.value))
    return ordered[-1] if end == "high" else ordered[0]


def _badness(value: Any) -> float:
    if isinstance(value, dict):
        degree = value.get("severity")
        known = {"none": 0.0, "mild": 1.0, "moderate": 2.0, "severe": 3.0}.get(str(degree), 3.0)
        return 1.0 + known if value.get("present") else 0.0
    return float(value) if isinstance(value, bool | int | float) else float(NEVER_DAYS)
