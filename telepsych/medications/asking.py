"""The medication check-in as a row of steps: which come, what answers each takes, and what follows from them. Pure.

A step's key is `<medicine>.<kind>`, or `severity` for the one that looks at all side effects together. A symptom that
several medicines may cause is asked about once; every medicine that lists it is named with the answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from telepsych.core.errors import Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.medications.content import Medicine, Symptom, check_in, symptoms_of
from telepsych.triage.priority import Priority

Answers = Mapping[str, Any]
MOST_DAYS = 365
MOST_DOSES = 28
"""Four a day for the 7 days asked about."""
SELF_HARM = "self_harm"


class Kind(StrEnum):
    """What a step asks."""

    TAKING = "taking"
    DOSES = "doses"
    REASONS = "reasons"
    EFFECTS = "effects"
    SUPPLY = "supply"
    SEVERITY = "severity"


class Taking(StrEnum):
    """Whether a medicine is taken as prescribed."""

    YES = "yes"
    SOMETIMES = "sometimes"
    NO = "no"


class OwnChange(StrEnum):
    """What the person changed by themself."""

    NONE = "none"
    LESS = "less"
    MORE = "more"
    STOPPED_SLOWLY = "stopped_slowly"
    STOPPED_AT_ONCE = "stopped_at_once"


STOPPED = (OwnChange.STOPPED_SLOWLY, OwnChange.STOPPED_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A medicine as the check-in asks about it. `medicine` is None for one that the catalogue does not know."""

    row: str
    code: str
    name: str
    label: str
    medicine: Medicine | None


@dataclass(frozen=True, slots=True)
class Step:
    """One screen. `symptoms` are what it offers or, for severity, what was chosen."""

    key: str
    kind: Kind
    asked: Asked | None = None
    symptoms: tuple[Symptom, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that cannot wait: what the team is told, and what the patient is told at once."""

    key: str
    priority: Priority
    title: str
    words: str
    symptom: str | None = None


def steps(asked: Sequence[Asked], answers: Answers, *, without: frozenset[str] = frozenset()) -> list[Step]:
    """The steps of a check-in, given the answers so far. `without` names symptoms that are asked elsewhere."""
    found: list[Step] = []
    seen = set(without)
    for one in asked:
        found.append(_step(one, Kind.TAKING))
        if answers.get(_key(one, Kind.TAKING)) in (Taking.SOMETIMES, Taking.NO):
            found.append(_step(one, Kind.DOSES))
            if missed_doses(one, answers) or own_change(one, answers) is not OwnChange.NONE:
                found.append(_step(one, Kind.REASONS))
        offered = tuple(symptom for symptom in _symptoms(one) if symptom.id not in seen)
        if offered:
            found.append(Step(_key(one, Kind.EFFECTS), Kind.EFFECTS, one, offered))
        seen |= {symptom.id for symptom in offered}
        if own_change(one, answers) not in STOPPED:
            found.append(_step(one, Kind.SUPPLY))
    if chosen := present(asked, answers):
        found.append(Step(Kind.SEVERITY, Kind.SEVERITY, None, tuple(check_in().symptom(name) for name in chosen)))
    return found


def next_step(found: Sequence[Step], answers: Answers) -> Step | None:
    """The first step without a whole answer, None at the end."""
    return next((step for step in found if not is_answered(step, answers)), None)


def is_answered(step: Step, answers: Answers) -> bool:
    """Whether the step has its whole answer; a screen with several fields may be half filled in."""
    return step.key in answers and not gaps(step, answers[step.key])


def read(step: Step, value: Any) -> Any:
    """A step's answer as it is kept, whole or in part. Raises `Invalid` naming each field that cannot be read."""
    match step.kind:
        case Kind.TAKING:
            return _one_of(step.key, value, set(Taking))
        case Kind.DOSES:
            return _doses(_fields(value))
        case Kind.REASONS:
            return _chosen("reasons", value, [reason.id for reason in check_in().reasons])
        case Kind.EFFECTS:
            return _chosen("effects", value, [symptom.id for symptom in step.symptoms])
        case Kind.SUPPLY:
            return _supply(_fields(value))
        case Kind.SEVERITY:
            return _severity(step, _fields(value))


def gaps(step: Step, value: Any) -> dict[str, str]:
    """What is still open in an answer that was read, by field."""
    choose = gettext("Please choose one of the answers.")
    match step.kind:
        case Kind.DOSES:
            return {name: choose for name in ("missed", "change") if value.get(name) is None}
        case Kind.SUPPLY:
            unknown = value.get("days") is None and not value.get("unsure")
            return {"days": gettext("Please give a number, or say that you are not sure.")} if unknown else {}
        case Kind.SEVERITY:
            levels = value.get("symptoms", {})
            open_symptoms = {symptom.id: choose for symptom in step.symptoms if symptom.id not in levels}
            return open_symptoms | ({} if value.get("burden") else {"burden": choose})
        case _:
            return {}


def present(asked: Iterable[Asked], answers: Answers) -> list[str]:
    """The symptoms that were chosen, each once."""
    chosen = [name for one in asked for name in answers.get(_key(one, Kind.EFFECTS), ())]
    return list(dict.fromkeys(chosen))


def own_change(one: Asked, answers: Answers) -> OwnChange:
    """What the person changed about a medicine by themself; nothing while they take it as prescribed."""
    if answers.get(_key(one, Kind.TAKING)) in (None, Taking.YES):
        return OwnChange.NONE
    return OwnChange((answers.get(_key(one, Kind.DOSES)) or {}).get("change") or OwnChange.NONE)


def missed_doses(one: Asked, answers: Answers) -> int | None:
    """Doses missed in the last 7 days; None while not known."""
    taking = answers.get(_key(one, Kind.TAKING))
    if taking == Taking.YES:
        return 0
    missed: int | None = (answers.get(_key(one, Kind.DOSES)) or {}).get("missed")
    return missed if taking else None


def reasons(one: Asked, answers: Answers) -> list[str]:
    """Why doses were missed, changed or stopped; empty while the medicine is taken as prescribed."""
    if answers.get(_key(one, Kind.TAKING)) in (None, Taking.YES):
        return []
    return list(answers.get(_key(one, Kind.REASONS)) or [])


def days_left(one: Asked, answers: Answers) -> int | None:
    """How many days the supply lasts; None while not known."""
    days: int | None = (answers.get(_key(one, Kind.SUPPLY)) or {}).get("days")
    return days


def alerts(asked: Sequence[Asked], answers: Answers) -> list[Alert]:
    """What cannot wait in the answers so far, the most urgent first."""
    chosen = set(present(asked, answers))
    found = [alert for one in asked for alert in _alerts_of(one, chosen, answers)]
    return sorted(found, key=lambda alert: -alert.priority.rank)


def facts(asked: Sequence[Asked], answers: Answers, found: Sequence[Step]) -> dict[str, Any]:
    """What goes into the facts ledger, by fact code. What was not asked or answered is not written."""
    told: dict[str, Any] = {}
    missed = _by_code(asked, lambda one: missed_doses(one, answers), max)
    left = _by_code(asked, lambda one: days_left(one, answers), min)
    if missed:
        told["medicine.missed_doses"] = missed
    if any(_key(one, Kind.TAKING) in answers for one in asked):
        at_once = {one.code for one in asked if own_change(one, answers) is OwnChange.STOPPED_AT_ONCE}
        told["medicine.stopped_suddenly"] = sorted(at_once)
    if left:
        told["medicine.days_left"] = left
    return told | _symptom_facts(asked, answers, found)


def step_named(found: Sequence[Step], key: str) -> Step:
    """The step of this key. Raises `NotFound` when the answers so far do not lead to it."""
    for step in found:
        if step.key == key:
            return step
    raise NotFound


def _key(one: Asked, kind: Kind) -> str:
    return f"{one.row}.{kind}"


def _step(one: Asked, kind: Kind) -> Step:
    return Step(_key(one, kind), kind, one)


def _symptoms(one: Asked) -> tuple[Symptom, ...]:
    return symptoms_of(one.medicine) if one.medicine else ()


def _alerts_of(one: Asked, chosen: set[str], answers: Answers) -> Iterable[Alert]:
    if one.medicine is None:
        return
    for flag in one.medicine.red_flags:
        if flag.symptom in chosen:
            what = check_in().symptom(flag.symptom).text
            title = gettext("{medicine}: {symptom}").format(medicine=one.name, symptom=what)
            yield Alert(f"{one.code}:{flag.symptom}", Priority(flag.priority), title, flag.patient, flag.symptom)
    if own_change(one, answers) is OwnChange.STOPPED_AT_ONCE and one.medicine.never_stop_suddenly:
        title = gettext("Stopped {medicine} all at once").format(medicine=one.name)
        stopped = check_in().stopped_at_once
        yield Alert(f"{one.code}:stopped", Priority(stopped.priority), title, stopped.told(one.name))


def _symptom_facts(asked: Sequence[Asked], answers: Answers, found: Sequence[Step]) -> dict[str, Any]:
    chosen = set(present(asked, answers))
    severity = (answers.get(Kind.SEVERITY) or {}).get("symptoms", {})
    offered = [name.id for step in found if step.kind is Kind.EFFECTS and step.key in answers for name in step.symptoms]
    told = {}
    for name in dict.fromkeys([*offered, *chosen]):
        here = name in chosen
        listed = [one.code for one in asked if name in {symptom.id for symptom in _symptoms(one)}]
        told[f"symptom.{name}"] = {
            "present": here,
            "severity": severity.get(name) if here else "none",
            "medicines": sorted(set(listed)),
        }
    return told


def _by_code(asked: Iterable[Asked], value_of: Any, pick: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in asked:
        value = value_of(one)
        if value is not None:
            found[one.code] = pick(found.get(one.code, value), value)
    return found


def _fields(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid
    return value


def _one_of(field: str, value: Any, allowed: Iterable[str]) -> str:
    if not isinstance(value, str) or value not in {str(one) for one in allowed}:
        raise Invalid(fields={field: gettext("Please choose one of the answers.")})
    return value


def _chosen(field: str, value: Any, allowed: Sequence[str]) -> list[str]:
    if not isinstance(value, list | tuple) or not set(value) <= set(allowed):
        raise Invalid(fields={field: gettext("Please choose from the list.")})
    return [one for one in allowed if one in value]


def _number(field: str, value: Any, most: int) -> int | None:
    if value in (None, ""):
        return None
    text = str(value).strip()
    if not text.isascii() or not text.isdecimal() or len(text) > 4 or int(text) > most:
        raise Invalid(fields={field: gettext("Please give a whole number up to {most}.").format(most=most)})
    return int(text)


def _doses(value: Mapping[str, Any]) -> dict[str, Any]:
    change = value.get("change") or None
    return {
        "missed": _number("missed", value.get("missed"), MOST_DOSES),
        "change": _one_of("change", change, OwnChange) if change else None,
    }


def _supply(value: Mapping[str, Any]) -> dict[str, Any]:
    days = _number("days", value.get("days"), MOST_DAYS)
    return {"days": days, "unsure": days is None and bool(value.get("unsure"))}


def _severity(step: Step, value: Mapping[str, Any]) -> dict[str, Any]:
    levels = [one.id for one in check_in().severities if one.id != "none"]
    known = {symptom.id for symptom in step.symptoms}
    given = {name: level for name, level in _fields(value.get("symptoms") or {}).items() if level}
    burden = value.get("burden") or None
    return {
        "symptoms": {name: _one_of(name, level, levels) for name, level in given.items() if name in known},
        "burden": _one_of("burden", burden, [one.id for one in check_in().burdens]) if burden else None,
    }
