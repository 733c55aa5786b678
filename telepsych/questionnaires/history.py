"""What was answered at any time in a form, also when it was changed before sending. Pure.

A safety answer that was taken back still counts: the flag stays, with every value that was given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telepsych.core.words import gettext
from telepsych.questionnaires import scoring
from telepsych.questionnaires.answers import DECLINED, Answer, Answers, State, answered, option_chosen
from telepsych.questionnaires.content import Instrument, Item
from telepsych.questionnaires.scoring import SafetyFinding

Entry = Mapping[str, Any]
History = Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Given:
    """One answer as it reads, and when it was given."""

    text: str
    at: int
    ordinal: int | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A safety answer. `values` holds every answer that was given to the question, the first one first."""

    item_id: str
    label: str
    priority: str
    clinician: str
    values: tuple[Given, ...]

    @property
    def was_changed(self) -> bool:
        """Whether the question was answered in more than one way."""
        return len(self.values) > 1

    @property
    def now(self) -> Given:
        """The answer that stands."""
        return self.values[-1]


def entry(item_id: str, answer: Answer, at: int, by: str) -> dict[str, Any]:
    """A line of history."""
    return {"item": item_id, "state": answer.state.value, "option": answer.option, "at": at, "by": by}


def words_of(instrument: Instrument, item: Item, answer: Answer) -> str:
    """An answer as it reads."""
    option = option_chosen(instrument, item, {item.id: answer})
    if option is not None:
        return option.text
    return gettext("Chose not to answer") if answer.state is State.DECLINED else gettext("Not answered")


def flags(instrument: Instrument, history: History, age: int | None) -> tuple[Flag, ...]:
    """Every safety answer that was ever given in the form, one flag per question with its most urgent finding."""
    found: list[Flag] = []
    for item in instrument.items:
        lines = [line for line in history if line["item"] == item.id]
        findings = [one for line in lines for one in _findings(instrument, line, age)]
        if findings:
            worst = max(findings, key=lambda one: (-_urgency(one.priority), one.ordinal or 0))
            given = tuple(_given(instrument, item, line) for line in lines)
            found.append(Flag(item.id, item.label, worst.priority, worst.clinician, given))
    return tuple(sorted(found, key=lambda flag: _urgency(flag.priority)))


def facts(instrument: Instrument, answers: Answers, history: History, age: int | None) -> dict[str, int | bool]:
    """What the ledger is told: the answers as they stand, but for a safety answer the gravest that was given."""
    told = scoring.facts(instrument, answers, age)
    careful = {trigger.fact for trigger in instrument.safety}
    for line in history:
        once = scoring.facts(instrument, {line["item"]: _answer(line)}, age)
        for code in careful & once.keys():
            told[code] = max(told.get(code, once[code]), once[code])
    return told


def _findings(instrument: Instrument, line: Entry, age: int | None) -> tuple[SafetyFinding, ...]:
    return scoring.safety_findings(instrument, {line["item"]: _answer(line)}, age)


def _given(instrument: Instrument, item: Item, line: Entry) -> Given:
    answer = _answer(line)
    option = option_chosen(instrument, item, {item.id: answer})
    return Given(words_of(instrument, item, answer), line["at"], option.ordinal if option else None)


def _answer(line: Entry) -> Answer:
    return answered(line["option"]) if line["option"] else DECLINED


def _urgency(priority: str) -> int:
    return ("emergency", "urgent", "soon", "routine").index(priority)
