"""The safeguards of the HIPAA Security Rule in `telepsych doctor`: with what is missing and how to mend it.

What the law asks, in words and with its source, is content (`config/oversight/safeguards.toml`); what is looked at is
in `safeguard_looks`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic import Field, field_validator

from telepsych.core.content import Content, Document, load
from telepsych.server.findings import Installation, Line
from telepsych.server.safeguard_looks import LOOKS, Gap, View, view_of


class Safeguard(Content):
    """One safeguard."""

    id: str = Field(pattern=r"^[A-Za-z0-9-]+$")
    rule: str
    title: str
    why: str
    looks: tuple[str, ...] = Field(min_length=1)
    status: Literal["verified", "general_knowledge"]

    @field_validator("looks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in LOOKS]
        if unknown:
            raise ValueError(f"there is no look called {unknown[0]}")
        return names


class Safeguards(Document):
    """The file."""

    safeguard: tuple[Safeguard, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A safeguard, and what is missing."""

    safeguard: Safeguard
    gaps: tuple[Gap, ...]


@cache
def safeguards() -> tuple[Safeguard, ...]:
    """All safeguards. Raises `Misconfigured` naming the field of what is wrong."""
    return load(Safeguards, "oversight/safeguards.toml").safeguard


def examine(place: Installation) -> Iterator[Line]:
    """A line for each safeguard; one more for each further gap."""
    with view_of(place) as view:
        for found in find(view):
            yield from _lines(found)


def find(view: View) -> Iterator[Found]:
    """What is missing from each safeguard."""
    for safeguard in safeguards():
        yield Found(safeguard, tuple(gap for name in safeguard.looks for gap in LOOKS[name](view)))


def _lines(found: Found) -> Iterator[Line]:
    one = found.safeguard
    name = one.id.lower()
    if not found.gaps:
        badge = "" if one.status == "verified" else " (our reading of the rule is not confirmed)"
        yield Line(name, "ok", f"{one.title}: {one.rule}{badge}.")
    for gap in found.gaps:
        yield Line(name, gap.state, f"{gap.what} ({one.id}: {one.rule})", one.why, gap.fix)
