"""How an item may end, and what must be said with it. Pure."""

import re
from collections.abc import Mapping
from enum import StrEnum

from telepsych.core.words import gettext
from telepsych.triage.models import ItemKind, WorkItem

_CODE = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Disposition(StrEnum):
    """How what a patient wrote or answered was dealt with."""

    ANSWERED = "answered"
    CALLED = "called"
    REFERRED = "referred"
    NO_ACTION = "no-action"
    EMERGENCY_SERVICES = "emergency-services"
    DUPLICATE = "duplicate"


class InPerson(StrEnum):
    """How a recommendation to be seen in person ended. A later decision of the clinician ends it by its own code."""

    BOOKED = "booked"
    DONE = "done"
    DECLINED = "declined"


def choices(kind: ItemKind) -> list[tuple[str, str]]:
    """The dispositions of a kind, with their labels."""
    labels = _in_person() if kind is ItemKind.IN_PERSON else _usual()
    return [(str(code), label) for code, label in labels.items()]


def label(code: str) -> str:
    """A disposition in words; a code of another room as it is."""
    every: Mapping[str, str] = {**_usual(), **_in_person()}
    return every.get(code, code.replace("_", " "))


def faults(item: WorkItem, disposition: str, note: str) -> dict[str, str]:
    """What keeps an item from being closed this way, by field. Empty when nothing does."""
    return (_in_person_faults if item.kind is ItemKind.IN_PERSON else _usual_faults)(item, disposition, note.strip())


def _usual_faults(item: WorkItem, disposition: str, note: str) -> dict[str, str]:
    if disposition not in set(Disposition):
        return {"disposition": gettext("Please choose how this ended.")}
    if note:
        return {}
    if item.concerns_safety and item.replied_at is None:
        sentence = gettext("Nobody has answered or called yet. Please do, or write down why this can be closed.")
        return {"note": sentence}
    return {}


def _in_person_faults(_item: WorkItem, disposition: str, note: str) -> dict[str, str]:
    if not _CODE.fullmatch(disposition):
        return {"disposition": gettext("Please choose how this ended.")}
    if disposition == InPerson.DECLINED and not note:
        return {"note": gettext("Please write down the reason.")}
    return {}


def _usual() -> dict[str, str]:
    return {
        Disposition.ANSWERED: gettext("Answered"),
        Disposition.CALLED: gettext("Called the patient"),
        Disposition.REFERRED: gettext("Referred to somebody else"),
        Disposition.NO_ACTION: gettext("No action needed"),
        Disposition.EMERGENCY_SERVICES: gettext("Emergency services were called"),
        Disposition.DUPLICATE: gettext("Duplicate of another item"),
    }


def _in_person() -> dict[str, str]:
    return {
        InPerson.BOOKED: gettext("An in-person visit is booked"),
        InPerson.DONE: gettext("The patient was seen in person"),
        InPerson.DECLINED: gettext("The patient declined after talking it over"),
    }
