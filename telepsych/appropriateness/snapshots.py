"""An evaluation as it is kept and read again: plain JSON that carries its own words, so that it never reads anew."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from telepsych.appropriateness.content import Level, Moment, Rule
from telepsych.appropriateness.engine import Datum, Fired, Result, Sheet, Unknown

DERIVED = "this practice's own record"
"""The source of facts worked out from other rows; their time is not an input."""
LAWS = ("rx.fed.tele_flex", "practice.controlled_first_visit", "practice.first_in_person")


@dataclass(frozen=True, slots=True)
class Line:
    """A rule that fired, as kept."""

    rule: str
    version: str
    group: str
    factor: str
    kind: str
    level: Level
    days: int | None
    stop: str | None
    what_to_do: str
    why: str
    clinician: str
    patient: str
    source: str
    status: str
    quiet: bool
    from_unknown: bool
    could_be: str | None
    data: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """A rule that could not be decided, as kept."""

    rule: str
    group: str
    factor: str
    level: Level
    missing: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class KeptTask:
    """Something to tick."""

    key: str
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One evaluation. `blocks` are the stops; `refuses_admission` is what visits ask before admitting anybody."""

    id: UUID
    patient_id: UUID
    visit_id: UUID | None
    when: Moment
    made_at: int
    level: Level
    days: int | None
    fired: tuple[Line, ...]
    unknown: tuple[Gap, ...]
    tasks: tuple[KeptTask, ...]

    @property
    def blocks(self) -> tuple[Line, ...]:
        """What must be put right first."""
        return tuple(line for line in self.fired if line.stop)

    @property
    def refuses_admission(self) -> bool:
        """Whether the visit must not start."""
        return any(line.stop == "visit" for line in self.fired)

    def for_patient(self) -> tuple[str, ...]:
        """What a patient may be told: what to do next, never a level, nothing quiet."""
        return tuple(dict.fromkeys(line.patient for line in self.fired if line.patient and not line.quiet))


def freeze(result: Result, sheet: Sheet, rulebook: Mapping[str, Rule]) -> dict[str, Any]:
    """An evaluation as plain JSON: versions of every rule asked, inputs, law, and what it came to."""
    frozen = {
        "level": result.level.value,
        "days": result.days,
        "fired": [_fired(one) for one in result.fired],
        "unknown": [_unknown(one) for one in result.unknown],
        "tasks": [{"key": task.key, "rule": task.rule, "text": task.text} for task in result.tasks],
        "rules": {rule.id: rule.version for rule in rulebook.values()},
        "law": {key: sheet.law(key) for key in LAWS},
        "inputs": {
            code: {"value": rows[0].value, "as_of": _time(rows[0].source, rows[0].as_of), "source": rows[0].source}
            for code, rows in sorted(sheet.facts.items())
            if rows
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(frozen))
    return plain


def thaw(id: UUID, patient_id: UUID, visit_id: UUID | None, when: Moment, at: int, kept: dict[str, Any]) -> Snapshot:
    """The evaluation kept in a row."""
    fired = tuple(
        Line(**{**line, "level": Level(line["level"]), "data": tuple(line["data"])}) for line in kept["fired"]
    )
    unknown = tuple(
        Gap(**{**gap, "level": Level(gap["level"]), "missing": tuple(gap["missing"])}) for gap in kept["unknown"]
    )
    tasks = tuple(KeptTask(**task) for task in kept["tasks"])
    return Snapshot(id, patient_id, visit_id, when, at, Level(kept["level"]), kept["days"], fired, unknown, tasks)


def public(result: Result, sheet: Sheet, rulebook: Mapping[str, Rule]) -> dict[str, Any]:
    """The same for programs: what the command line answers."""
    frozen = freeze(result, sheet, rulebook)
    stops = [line for line in frozen["fired"] if line["stop"]]
    return {"when": result.when.value, **frozen, "stops": stops, "refuses_admission": result.refuses_admission}


def _fired(one: Fired) -> dict[str, Any]:
    rule, effect = one.rule, one.effect
    return {
        "rule": rule.id,
        "version": rule.version,
        "group": rule.group,
        "factor": rule.factor,
        "kind": effect.kind,
        "level": one.level.value,
        "days": one.days,
        "stop": effect.stop,
        "what_to_do": effect.what_to_do,
        "why": one.why,
        "clinician": rule.clinician,
        "patient": rule.patient,
        "source": rule.source,
        "status": rule.status,
        "quiet": rule.quiet,
        "from_unknown": one.from_unknown,
        "could_be": one.open_step.value if one.open_step else None,
        "data": [_datum(datum) for datum in one.data],
    }


def _unknown(one: Unknown) -> dict[str, Any]:
    return {
        "rule": one.rule.id,
        "group": one.rule.group,
        "factor": one.rule.factor,
        "level": one.level.value,
        "missing": [_datum(datum) for datum in one.missing],
    }


def _datum(datum: Datum) -> dict[str, Any]:
    return datum.as_dict() | {"as_of": _time(datum.source, datum.as_of)}


def _time(source: str, as_of: int | None) -> int | None:
    return None if source == DERIVED else as_of
