"""From answers to a result, a change and safety findings. Pure: no database, no clock.

Nothing is imputed: a total exists only when every required item that applies has an answer. Safety findings look at
single answers and never wait for the rest.
"""

from dataclasses import asdict, dataclass
from typing import Any

from telepsych.core.words import gettext
from telepsych.questionnaires.answers import (
    Answers,
    State,
    any_reaches,
    applies,
    check,
    ordinal,
    read_answers,
    state_of,
    was_declined,
)
from telepsych.questionnaires.content import (
    Band,
    ChangeRule,
    Example,
    FactRule,
    Instrument,
    Item,
    Reading,
    Result,
    SafetyTrigger,
)


@dataclass(frozen=True)
class Score:
    """A result. `total` is None when a required item lacks an answer; then `band` is None too, except in a screen,
    where one positive answer is a result by itself."""

    instrument: str
    version: str
    total: int | None
    band: Reading | None
    missing: tuple[str, ...]
    declined: tuple[str, ...]
    not_asked: tuple[str, ...]
    complete: bool

    def as_dict(self) -> dict[str, Any]:
        """The score as JSON values; `band` holds its id and both wordings."""
        band = self.band and {"id": self.band.id, "patient": self.band.patient, "clinician": self.band.clinician}
        plain = {name: getattr(self, name) for name in ("instrument", "version", "total", "complete")}
        lists = {name: list(getattr(self, name)) for name in ("missing", "declined", "not_asked")}
        return plain | {"band": band} | lists


@dataclass(frozen=True)
class Change:
    """How a total moved. `points` is later minus earlier, `percent` the same of the earlier total (None from zero)."""

    before: int
    now: int
    points: int
    percent: int | None
    direction: str
    """`better`, `worse` or `same`, as the instrument counts."""
    rules: tuple[ChangeRule, ...]
    patient: str
    clinician: str


@dataclass(frozen=True)
class SafetyFinding:
    """One answer that a person must see. `ordinal` is None when the finding is that the item was declined."""

    trigger: str
    item: str
    ordinal: int | None
    fact: str
    priority: str
    kind: str
    clinician: str
    source: str
    status: str

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return asdict(self)


def score(instrument: Instrument, answers: Answers, age: int | None = None) -> Score:
    """The result of a form, finished or not. `age` in years matters only to screens that read refusals by age.

    Raises `Invalid` naming each item whose option does not exist.
    """
    check(instrument, answers)
    states = {item.id: state_of(instrument, item, answers) for item in instrument.items}
    complete = all(_settled(instrument, item, states[item.id], answers) for item in instrument.items)
    total = _total(instrument, answers) if complete and instrument.scoring.method == "sum" else None
    band = _band(instrument, total) if total is not None else _result(instrument, answers, complete, age)
    of = {state: tuple(name for name, one in states.items() if one is state) for state in State}
    return Score(
        instrument.id,
        instrument.version,
        total,
        band,
        of[State.MISSING],
        of[State.DECLINED],
        of[State.NOT_ASKED],
        complete,
    )


def change(instrument: Instrument, before: Score, now: Score) -> Change | None:
    """How the total moved since an earlier score; None unless both are of this instrument and have a total."""
    if {before.instrument, now.instrument} != {instrument.id} or before.total is None or now.total is None:
        return None
    points = now.total - before.total
    rules = tuple(rule for rule in instrument.change if _met(rule, before.total, now.total))
    percent = round(100 * points / before.total) if before.total else None
    return Change(
        before.total,
        now.total,
        points,
        percent,
        _direction(instrument, points),
        rules,
        _patient_sentence(instrument, before.total, now.total),
        _clinician_sentence(before.total, now.total, rules),
    )


def safety_findings(instrument: Instrument, answers: Answers, age: int | None = None) -> tuple[SafetyFinding, ...]:
    """The answers a person must see, one finding per item, the most urgent. Works on unfinished forms."""
    found: dict[str, SafetyFinding] = {}
    for trigger in sorted(instrument.safety, key=lambda one: (_rank(one.priority), -(one.at_least or 0))):
        if trigger.item not in found and (finding := _finding(instrument, trigger, answers, age)):
            found[trigger.item] = finding
    return tuple(found.values())


def newly_raised(
    instrument: Instrument, before: Answers, now: Answers, age: int | None = None
) -> tuple[SafetyFinding, ...]:
    """Findings now whose item had none before: they count even when the total fell."""
    known = {finding.item for finding in safety_findings(instrument, before, age)}
    return tuple(finding for finding in safety_findings(instrument, now, age) if finding.item not in known)


def facts(instrument: Instrument, answers: Answers, age: int | None = None) -> dict[str, int | bool]:
    """What goes into the facts ledger, by fact code. What is not known is not written."""
    total = score(instrument, answers, age).total
    written: dict[str, int | bool] = {}
    for rule in instrument.facts:
        value = _fact(instrument, rule, answers, total)
        if value is not None:
            written[rule.code] = value
    return written


def failing_examples(instrument: Instrument) -> list[str]:
    """The worked examples that do not come out as their file says, each with what was found."""
    return [fault for example in instrument.examples if (fault := _example_fault(instrument, example))]


def _settled(instrument: Instrument, item: Item, state: State, answers: Answers) -> bool:
    """Whether the item does not stand in the way of a result."""
    return not item.required or state is State.ANSWERED or not applies(instrument, item, answers)


def _total(instrument: Instrument, answers: Answers) -> int | None:
    values = [ordinal(instrument, item.id, answers) for item in instrument.items if item.scored]
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _band(instrument: Instrument, total: int) -> Band | None:
    for band in instrument.scoring.bands:
        if band.at_least <= total <= band.at_most:
            return band
    return None


def _result(instrument: Instrument, answers: Answers, complete: bool, age: int | None) -> Result | None:
    for result in instrument.scoring.results:
        if _result_holds(instrument, result, answers, age) or (not result.any_of and complete):
            return result
    return None


def _result_holds(instrument: Instrument, result: Result, answers: Answers, age: int | None) -> bool:
    if any_reaches(instrument, result.any_of, result.at_least, answers):
        return True
    return _young(result.declined_under_age, age) and any(was_declined(item, answers) for item in result.any_of)


def _young(under: int | None, age: int | None) -> bool:
    """An unknown age is read as young: the careful side."""
    return under is not None and (age is None or age < under)


def _rank(priority: str) -> int:
    return ("emergency", "urgent", "soon", "routine").index(priority)


def _finding(instrument: Instrument, trigger: SafetyTrigger, answers: Answers, age: int | None) -> SafetyFinding | None:
    value = ordinal(instrument, trigger.item, answers)
    reached = value is not None and trigger.at_least is not None and value >= trigger.at_least
    if not reached and not (was_declined(trigger.item, answers) and _young(trigger.declined_under_age, age)):
        return None
    return SafetyFinding(
        trigger.id,
        trigger.item,
        value,
        trigger.fact,
        trigger.priority,
        trigger.kind,
        trigger.clinician,
        trigger.source,
        trigger.status,
    )


def _fact(instrument: Instrument, rule: FactRule, answers: Answers, total: int | None) -> int | bool | None:
    if rule.of == "total":
        return total
    if rule.item is not None:
        return ordinal(instrument, rule.item, answers)
    return any(was_declined(item.id, answers) for item in instrument.items) or None


def _met(rule: ChangeRule, before: int, now: int) -> bool:
    match rule.kind:
        case "fall_points":
            return before - now >= rule.value
        case "rise_points":
            return now - before >= rule.value
        case "fall_percent":
            return before > 0 and (before - now) * 100 >= before * rule.value
        case "below":
            return now < rule.value <= before


def _direction(instrument: Instrument, points: int) -> str:
    if points == 0:
        return "same"
    return "better" if (points < 0) == instrument.scoring.lower_is_better else "worse"


def _patient_sentence(instrument: Instrument, before: int, now: int) -> str:
    if instrument.scoring.lower_is_better:
        meaning = gettext("Lower means fewer symptoms.")
    else:
        meaning = gettext("Higher means feeling better.")
    if before == now:
        moved = gettext("Your score stayed at {now}.").format(now=now)
    else:
        moved = gettext("Your score went from {before} to {now}.").format(before=before, now=now)
    return f"{moved} {meaning}"


def _clinician_sentence(before: int, now: int, rules: tuple[ChangeRule, ...]) -> str:
    moved = gettext("{before} → {now} ({points})").format(before=before, now=now, points=f"{now - before:+d}")
    words = ", ".join(rule.clinician for rule in rules)
    return f"{moved}: {words}" if words else moved


def _example_fault(instrument: Instrument, example: Example) -> str | None:
    answers = read_answers(instrument, example.answers)
    got = score(instrument, answers, example.age)
    safety = tuple(finding.trigger for finding in safety_findings(instrument, answers, example.age))
    expected = example.expected
    pairs = {
        "total": (got.total, expected.total),
        "band": (got.band and got.band.id, expected.band),
        "complete": (got.complete, expected.complete),
        "missing": (got.missing, expected.missing),
        "declined": (got.declined, expected.declined),
        "safety": (set(safety), set(expected.safety)),
        "facts": (facts(instrument, answers, example.age), expected.facts),
    }
    wrong = [f"{name} is {found}, not {wanted}" for name, (found, wanted) in pairs.items() if found != wanted]
    return f"{example.name}: {'; '.join(wrong)}" if wrong else None
