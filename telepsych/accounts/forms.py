"""What the forms of this room have in common: what was typed, and what is wrong with it."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask import request

from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext


@dataclass(frozen=True, slots=True)
class Form:
    """A form with what was typed and what is wrong with it."""

    typed: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def asked(*names: str) -> dict[str, str]:
    """What was typed into these fields."""
    return {name: request.form.get(name, "").strip() for name in names}


def faults(error: Invalid | Conflict, place: str) -> dict[str, str]:
    """What to say at which field; what belongs to none is said at `place`."""
    fields = error.fields if isinstance(error, Invalid) else {}
    return fields or {place: error.sentence}


def day_of(text: str, name: str) -> date:
    """The day in a field. Raises `Invalid` naming the field."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(fields={name: gettext("Please choose a day.")}) from None
