"""The checklist as clinicians read it: the outcome in words first, then why, what is missing, and what is to be done.

Words only; nothing is worked out here that the snapshot does not say.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from telepsych.appropriateness.content import GROUPS, Level, Observation, observations
from telepsych.appropriateness.decisions import LOWERING, reason_words
from telepsych.appropriateness.models import ChecklistDecision
from telepsych.appropriateness.snapshots import DERIVED, Gap, Line, Snapshot
from telepsych.core.words import gettext, ngettext
from telepsych.questionnaires.content import instruments

TONES = {Level.L0: "ok", Level.L1: "ok", Level.L2: "warn", Level.L3: "danger", Level.L4: "danger"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact behind a line: what it is, what it says, from when and from where."""

    label: str
    value: str
    as_of: int | None
    source: str
    also: str = ""
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """A rule that fired."""

    line: Line
    level: str
    tone: str
    group: str
    evidence: tuple[Evidence, ...]
    could_be: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A rule that could not be decided."""

    gap: Gap
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """Something to tick."""

    key: str
    rule: str
    text: str
    done: bool


@dataclass(frozen=True, slots=True)
class Question:
    """One observation with its answers; nothing is chosen unless it was answered in this visit."""

    code: str
    question: str
    hint: str
    options: tuple[tuple[str, str], ...]
    value: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision: what, by whom, when and why."""

    words: str
    by: str
    at: int
    reason: str
    details: tuple[tuple[str, str], ...]
    is_current: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """The whole checklist of one visit."""

    visit_id: UUID
    patient: str
    born: str
    snapshot: Snapshot | None
    outcome: str
    outcome_note: str
    tone: str
    stops: tuple[Row, ...]
    rows: tuple[Row, ...]
    missing: tuple[Missing, ...]
    tasks: tuple[TaskRow, ...]
    questions: tuple[tuple[str, tuple[Question, ...]], ...]
    decided: tuple[Decided, ...]
    levels: tuple[tuple[str, str], ...]
    reasons: tuple[tuple[str, str], ...]
    typed: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def missing_safety(self) -> tuple[Missing, ...]:
        """What is not known and calls for safeguards."""
        return tuple(one for one in self.missing if one.gap.level.rank)

    @property
    def missing_other(self) -> tuple[Missing, ...]:
        """What is merely not known."""
        return tuple(one for one in self.missing if not one.gap.level.rank)

    @property
    def current(self) -> Decided | None:
        """The decision that stands, if the rules have not come to something new since."""
        return self.decided[0] if self.decided and self.decided[0].is_current else None


def level_words(level: Level, days: int | None = None) -> str:
    """A level as a clinician reads it."""
    if level is Level.L2:
        count = days or 30
        return ngettext(
            "In-person evaluation within %(days)s day", "In-person evaluation within %(days)s days", count
        ) % {"days": count}
    return {
        Level.L0: gettext("Video as usual"),
        Level.L1: gettext("Video with safeguards"),
        Level.L3: gettext("In-person evaluation today"),
        Level.L4: gettext("Emergency help now"),
    }[level]


def outcome_of(snapshot: Snapshot) -> str:
    """What the rules recommend, in one line. A quiet reason is not named: the screen may be shared."""
    top = [line for line in snapshot.fired if line.level is snapshot.level]
    names = list(dict.fromkeys(line.factor for line in top if not line.quiet)) or [gettext("see the quiet item below")]
    if any(line.stop == "visit" for line in snapshot.blocks):
        return gettext("Do not start this visit: %(why)s") % {"why": _first(snapshot.blocks)}
    if snapshot.level is Level.L0:
        return gettext("Suitable for video today")
    if snapshot.level is Level.L1:
        return gettext("Suitable for video today, with safeguards")
    words = level_words(snapshot.level, snapshot.days)
    several = gettext("several reasons: ") if len(names) > 1 else ""
    return gettext("%(what)s recommended: %(why)s") % {"what": words, "why": several + ", ".join(names)}


def decision_words(level: Level, days: int | None) -> str:
    """What a clinician decided, in one line."""
    if level.rank >= Level.L2.rank:
        return gettext("Move to in person: %(what)s") % {"what": level_words(level, days).lower()}
    return gettext("Suitable for video today") if level is Level.L0 else gettext("Video today with safeguards")


def build(
    visit_id: UUID,
    patient: str,
    born: str,
    snapshot: Snapshot | None,
    *,
    ticked: Iterable[str] = (),
    observed: Mapping[str, Any] | None = None,
    decided: Iterable[tuple[ChecklistDecision, str]] = (),
    typed: Mapping[str, str] | None = None,
    faults: Mapping[str, str] | None = None,
    problem: str = "",
) -> Panel:
    """The panel of a visit. `typed` and `faults` are what was sent and could not be kept."""
    done, typed = frozenset(ticked), typed or {}
    lines = snapshot.fired if snapshot else ()
    return Panel(
        visit_id=visit_id,
        patient=patient,
        born=born,
        snapshot=snapshot,
        outcome=outcome_of(snapshot) if snapshot else gettext("Not assessed yet"),
        outcome_note=_note(snapshot),
        tone=_tone(snapshot),
        stops=tuple(_row(line) for line in lines if line.stop),
        rows=tuple(_row(line) for line in lines if not line.stop),
        missing=tuple(_missing(gap) for gap in (snapshot.unknown if snapshot else ())),
        tasks=tuple(
            TaskRow(task.key, task.rule, task.text, task.key in done) for task in (snapshot.tasks if snapshot else ())
        ),
        questions=_questions(observed or {}, typed),
        decided=tuple(_decided(row, name, snapshot) for row, name in decided),
        levels=tuple((level.value, _choice_words(level, snapshot)) for level in Level),
        reasons=(("", gettext("Choose a reason")), *((code.value, reason_words()[code]) for code in LOWERING)),
        typed=typed,
        faults=faults or {},
        problem=problem,
    )


def _tone(snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return "warn"
    return "danger" if snapshot.refuses_admission else TONES[snapshot.level]


def _note(snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return gettext("The rules have not been asked about this visit.")
    if snapshot.level is Level.L1 and not snapshot.fired:
        return gettext("Nothing was found, but not everything about safety is known yet.")
    return gettext("The rules recommend; you decide.")


def _choice_words(level: Level, snapshot: Snapshot | None) -> str:
    days = snapshot.days if snapshot else None
    words = level_words(level, days or 14)
    is_recommended = snapshot is not None and snapshot.level is level
    return gettext("%(words)s (recommended)") % {"words": words} if is_recommended else words


def _first(lines: Iterable[Line]) -> str:
    return next((line.factor for line in lines if line.stop == "visit"), "")


def _row(line: Line) -> Row:
    could_be = level_words(Level(line.could_be)) if line.could_be else ""
    words = gettext("Put right first") if line.stop else level_words(line.level, line.days)
    tone = "stop" if line.stop else line.level.value
    return Row(line, words, tone, gettext(GROUPS[line.group]), tuple(_evidence(one) for one in line.data), could_be)


def _missing(gap: Gap) -> Missing:
    return Missing(gap, tuple(_lack(one) for one in gap.missing))


def _lack(datum: Mapping[str, Any]) -> str:
    words = {"stale": gettext("%(what)s: too old"), "missing": gettext("%(what)s: not on record")}
    if _is_observed(datum):
        return gettext("%(what)s: not assessed") % {"what": datum["label"]}
    return words.get(datum["standing"], gettext("%(what)s: not asked yet")) % {"what": datum["label"]}


def _is_observed(datum: Mapping[str, Any]) -> bool:
    return str(datum["code"]).startswith("observed.")


def _evidence(datum: Mapping[str, Any]) -> Evidence:
    also = ", ".join(value_words(one) for one in datum["also"])
    words, source = _standing_words(datum), source_words(datum["source"])
    return Evidence(datum["label"], words, datum["as_of"], source, also, is_known=datum["standing"] == "known")


def _standing_words(datum: Mapping[str, Any]) -> str:
    if _is_observed(datum) and datum["standing"] != "known":
        return gettext("not assessed")
    return {
        "known": value_words(datum["value"]),
        "absent": gettext("nothing on record"),
        "missing": gettext("not on record"),
        "stale": gettext("too old to count"),
    }.get(datum["standing"], gettext("not asked yet"))


def value_words(value: Any) -> str:
    """A fact's value as a clinician reads it."""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return ", ".join(_item_words(one) for one in value) or gettext("none")
    if isinstance(value, dict):
        return _map_words(value)
    return _date_words(value) if isinstance(value, str) else str(value)


def source_words(source: str) -> str:
    """Where a fact comes from, as a clinician reads it: kinds of sources in words, never an id."""
    kind, _, name = source.partition(":")
    if kind == "questionnaire":
        instrument = instruments().get(name)
        words = gettext("Questionnaire %(name)s") % {"name": instrument.short_name} if instrument else ""
        return words or gettext("Questionnaire")
    return {
        "": "",
        "chart": gettext("Chart"),
        "check-in": gettext("Check-in"),
        "consent": gettext("Consent"),
        "emergency-contact": gettext("Emergency contact"),
        "medication-check-in": gettext("Medication check-in"),
        "medicines": gettext("Medicine list"),
        "observed in the visit": gettext("Clinician in the visit"),
        "safety-page": gettext("Safety page"),
        "visit": gettext("Visit"),
        DERIVED: gettext("This practice's own record"),
    }.get(kind, gettext("Another source"))


def _item_words(one: Any) -> str:
    if not isinstance(one, dict):
        return str(one).replace("_", " ")
    started = one.get("started_on")
    name = str(one.get("name") or one.get("id") or "")
    return gettext("%(name)s since %(day)s") % {"name": name, "day": _date_words(started)} if started else name


def _map_words(value: dict[str, Any]) -> str:
    if "systolic" in value:
        return f"{value['systolic']}/{value['diastolic']} ({_date_words(value.get('on'))})"
    if "present" in value:
        severity = value.get("severity")
        return value_words(bool(value["present"])) + (f", {severity}" if severity and value["present"] else "")
    parts = [value_words(part) for name, part in value.items() if name != "on" and part not in (None, "")]
    return ", ".join(parts) + (f" ({_date_words(value['on'])})" if value.get("on") else "")


def _date_words(text: Any) -> str:
    try:
        day = date.fromisoformat(str(text))
    except ValueError:
        return str(text or "")
    return f"{day:%b} {day.day}, {day.year}"


def _questions(observed: Mapping[str, Any], typed: Mapping[str, str]) -> tuple[tuple[str, tuple[Question, ...]], ...]:
    groups: dict[str, list[Question]] = {}
    for one in observations().values():
        groups.setdefault(one.group, []).append(_question(one, observed, typed))
    return tuple((gettext(GROUPS[letter]), tuple(rows)) for letter, rows in groups.items())


def _question(one: Observation, observed: Mapping[str, Any], typed: Mapping[str, str]) -> Question:
    if one.most:
        options = (("", gettext("Not assessed")), *((str(n), str(n)) for n in range(one.most + 1)))
    else:
        options = (("yes", gettext("Yes")), ("no", gettext("No")), ("", gettext("Not assessed")))
    value = observed.get(one.code)
    known = (
        {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else "" if value is None else str(value)
    )
    return Question(one.code, one.question, one.hint, options, typed.get(f"observed_{one.code}", known))


def _decided(row: ChecklistDecision, name: str, snapshot: Snapshot | None) -> Decided:
    labels = {
        "action_taken": gettext("What was done"),
        "person_contacted": gettext("Who was contacted"),
        "contacted_at": gettext("When"),
        "offered": gettext("What was offered"),
        "risks_explained": gettext("Risks explained"),
        "alternative": gettext("Agreed instead"),
        "next_contact": gettext("Next contact"),
    }
    words = reason_words()
    why = next((words[code] for code in words if code == row.reason_code), row.reason_code)
    return Decided(
        words=decision_words(Level(row.level), row.details.get("days")),
        by=name,
        at=row.decided_at,
        reason=f"{why}: {row.reason}" if row.reason else why,
        details=tuple((label, str(row.details[key])) for key, label in labels.items() if key in row.details),
        is_current=snapshot is not None and row.snapshot_id == snapshot.id,
    )
