"""What was answered: four states per item, and what follows from single answers. Pure.

Answered, declined, not asked and missing stay apart; none of them ever stands in for another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from telepsych.core.errors import Invalid
from telepsych.core.words import gettext
from telepsych.questionnaires.content import Instrument, Item, Option


class State(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    DECLINED = "declined"
    NOT_ASKED = "not_asked"
    MISSING = "missing"


@dataclass(frozen=True)
class Answer:
    """One answer; `option` is the option's id and stands exactly with `answered`."""

    state: State
    option: str | None = None

    def __post_init__(self) -> None:
        if (self.option is not None) != (self.state is State.ANSWERED):
            raise ValueError("an option stands exactly with an answer")


DECLINED = Answer(State.DECLINED)
NOT_ASKED = Answer(State.NOT_ASKED)
MISSING = Answer(State.MISSING)

Answers = Mapping[str, Answer]
"""Answers by item id. An item that is not in the mapping is missing, or not asked if its condition does not hold."""


def answered(option: str) -> Answer:
    """An answer with this option's id."""
    return Answer(State.ANSWERED, option)


def option_chosen(instrument: Instrument, item: Item, answers: Answers) -> Option | None:
    """The option chosen, or None. Raises `Invalid` when the item has no such option."""
    chosen = answers.get(item.id, MISSING).option
    if chosen is None:
        return None
    for option in instrument.options_of(item):
        if option.id == chosen:
            return option
    raise Invalid(fields={item.id: gettext("Please choose one of the answers.")})


def ordinal(instrument: Instrument, item_id: str, answers: Answers) -> int | None:
    """The ordinal of the answer to an item, None without an answer."""
    option = option_chosen(instrument, instrument.item(item_id), answers)
    return None if option is None else option.ordinal


def applies(instrument: Instrument, item: Item, answers: Answers) -> bool:
    """Whether the item is to be asked, given what has been answered so far."""
    if item.asked_when is None:
        return True
    return any_reaches(instrument, item.asked_when.any_of, item.asked_when.at_least, answers)


def state_of(instrument: Instrument, item: Item, answers: Answers) -> State:
    """What became of the item. An answer given before its condition fell away stays an answer."""
    given = answers.get(item.id, MISSING).state
    if given is State.MISSING and not applies(instrument, item, answers):
        return State.NOT_ASKED
    return given


def next_item(instrument: Instrument, answers: Answers) -> Item | None:
    """The first item that applies and has neither an answer nor a refusal, None at the end."""
    waiting = (item for item in instrument.items if state_of(instrument, item, answers) is State.MISSING)
    return next(waiting, None)


def any_reaches(instrument: Instrument, items: tuple[str, ...], at_least: int, answers: Answers) -> bool:
    """Whether one of these items was answered with at least this ordinal."""
    ordinals = (ordinal(instrument, item_id, answers) for item_id in items)
    return any(value is not None and value >= at_least for value in ordinals)


def was_declined(item_id: str, answers: Answers) -> bool:
    """Whether the item was shown and the person chose not to answer."""
    return answers.get(item_id, MISSING).state is State.DECLINED


def check(instrument: Instrument, answers: Answers) -> None:
    """Raise `Invalid` naming each answer that does not belong to the instrument."""
    faults: dict[str, str] = {}
    for item_id in answers.keys() - {item.id for item in instrument.items}:
        faults[item_id] = gettext("This question is not part of the form.")
    for item in instrument.items:
        try:
            option_chosen(instrument, item, answers)
        except Invalid as fault:
            faults |= fault.fields
    if faults:
        raise Invalid(fields=faults)


def read_answers(instrument: Instrument, raw: Mapping[str, Any]) -> dict[str, Answer]:
    """Answers out of JSON: item id → option id, option LOINC code, or `{"state": …, "option": …}`.

    Raises `Invalid` naming every item that is not in the instrument or whose answer cannot be read.
    """
    known = {item.id: item for item in instrument.items}
    answers: dict[str, Answer] = {}
    faults: dict[str, str] = {}
    for item_id, value in raw.items():
        try:
            answers[item_id] = _read(instrument, known[item_id], value)
        except KeyError:
            faults[item_id] = gettext("This question is not part of the form.")
        except ValueError:
            faults[item_id] = gettext("Please choose one of the answers.")
    if faults:
        raise Invalid(fields=faults)
    return answers


def write_answers(answers: Answers) -> dict[str, dict[str, str]]:
    """Answers as JSON values that `read_answers` reads back."""
    return {
        item_id: {"state": answer.state.value} | ({"option": answer.option} if answer.option else {})
        for item_id, answer in answers.items()
    }


def _read(instrument: Instrument, item: Item, value: Any) -> Answer:
    if isinstance(value, Mapping):
        option = value.get("option")
        if option is not None and not isinstance(option, str):
            raise ValueError
        answer = Answer(State(value["state"]) if "state" in value else State.ANSWERED, option)
    elif isinstance(value, str):
        answer = DECLINED if value == State.DECLINED else answered(value)
    else:
        raise ValueError
    if answer.option is not None:
        return answered(_option_id(instrument, item, answer.option))
    if answer.state is State.DECLINED and not item.may_decline:
        raise ValueError
    return answer


def _option_id(instrument: Instrument, item: Item, code: str) -> str:
    for option in instrument.options_of(item):
        if code in (option.id, option.loinc):
            return option.id
    raise ValueError
