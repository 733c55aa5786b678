"""Runs a rule's worked examples: each is a test, and `content check` can run them on a practice's own rules."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from telepsych.appropriateness.conditions import AGE, MEDICINES
from telepsych.appropriateness.content import Example, LawBook, LawRecord, Level, Rule, law_book, rules
from telepsych.appropriateness.engine import Recorded, Result, Sheet, evaluate
from telepsych.core.clock import to_micros

TODAY = date(2026, 11, 24)
ZONE = ZoneInfo("America/New_York")
_RELATIVE = re.compile(r"^today(?:-(\d+))?$")


def run(example: Example) -> Result:
    """What all rules come to in an example."""
    return evaluate(sheet_of(example))


def faults(rule: Rule) -> list[str]:
    """What is wrong with a rule's examples; nothing, if each comes out as it says."""
    return [fault for example in rule.examples if (fault := _fault(rule, example))]


def sheet_of(example: Example) -> Sheet:
    """The facts of an example, all recorded at noon of its day."""
    day = example.on or TODAY
    now = to_micros(datetime.combine(day, time(12), ZONE))
    values: dict[str, Any] = {MEDICINES: [], **example.facts}
    if example.medicines:
        values[MEDICINES] = [{"id": name, "name": name, "started_on": on} for name, on in example.medicines.items()]
    if example.age is not None:
        values[AGE] = example.age
    facts = {code: (Recorded(dated(value, day), now, "example"),) for code, value in values.items()}
    return Sheet(facts, now, ZONE, example.at, laws=_laws(example.law))


def dated(value: Any, day: date) -> Any:
    """A value with `today` and `today-30` turned into dates."""
    if isinstance(value, str) and (match := _RELATIVE.match(value)):
        return (day - timedelta(days=int(match[1] or 0))).isoformat()
    if isinstance(value, dict):
        return {key: dated(part, day) for key, part in value.items()}
    return [dated(part, day) for part in value] if isinstance(value, list) else value


def _laws(given: Mapping[str, str]) -> LawBook:
    if not given:
        return law_book()
    return LawBook(
        LawRecord(
            key=key, value=value, effective_from=date(2000, 1, 1), jurisdiction="example", source="example",
            status="practice_decision",
        )
        for key, value in given.items()
    )  # fmt: skip


def _fault(rule: Rule, example: Example) -> str:
    result = run(example)
    fired = next((one for one in result.fired if one.rule.id == rule.id), None)
    unknown = any(one.rule.id == rule.id for one in result.unknown)
    came = "fires" if fired else "unknown" if unknown else "clear"
    if came != example.expect:
        return f"{rule.id}, {example.name}: {came}, not {example.expect}"
    found = (fired.level, fired.days, fired.effect.stop) if fired else (None, None, None)
    wanted = example.level, example.days, example.stop
    pairs = zip(("level", "days", "stop"), wanted, found, strict=True)
    wrong = [f"{name} {got}, not {want}" for name, want, got in pairs if want not in (None, got)]
    return f"{rule.id}, {example.name}: {'; '.join(wrong)}" if wrong else ""


def all_faults() -> list[str]:
    """What is wrong with the examples of every rule shipped."""
    return [fault for rule in rules().values() for fault in faults(rule)]


def levels_reached() -> set[Level]:
    """The levels that the examples reach."""
    return {one.level for rule in rules().values() for example in rule.examples for one in run(example).fired}
