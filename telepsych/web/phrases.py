"""Small parts of a sentence that belong together on a line: telephone numbers."""

import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

NUMBER = re.compile(r"((?:\+?1[- ])?(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4})")
TOGETHER = Markup('<span class="unbroken">{}</span>')
CALL = Markup('<a class="unbroken" href="tel:{}">{}</a>')


def unbroken(text: object) -> Markup:
    """The words as they are, but no telephone number in them is broken at the end of a line."""
    parts = NUMBER.split(str(text))  # every second one is a number
    return Markup("").join(TOGETHER.format(part) if place % 2 else part for place, part in enumerate(parts))


def phone(number: str) -> Markup:
    """A telephone number that a tap calls. Nothing when there is none."""
    digits = "".join(char for char in number if char.isdigit() or char == "+")
    if not digits:
        return escape(number)
    return CALL.format(digits, number)


FILTERS: dict[str, Callable[..., Any]] = {"unbroken": unbroken, "phone": phone}
