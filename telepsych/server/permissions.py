"""Who may do what through every door, as documented in `config/permissions` and proved by `tests/house/test_matrix_*`.

The files are not asked when somebody acts: policies are. They say what the policies have to come to, in a form that a
reviewer can read in one sitting, and `telepsych routes --policy` prints them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from telepsych.core.content import Content, load
from telepsych.core.errors import Misconfigured

ANY = "any"
"""The row of doors behind which nothing lies in a compartment."""
COMPARTMENTS = ("general", "confidential", "sensitive")
FRESH = "fresh"


class Outcome(StrEnum):
    """What a door answers, by the letter that stands for it in a cell."""

    ALLOWED = "+"
    """The policy lets the actor through; what was typed may still be refused."""
    REFUSED = "-"
    """403: this page is not theirs to use, or they see the thing and may not do this to it."""
    MISSING = "0"
    """404, exactly as for an id that names nothing."""
    SIGN_IN = "s"
    """401, or the way to the sign-in page."""


WORDS = {
    Outcome.ALLOWED: "allowed",
    Outcome.REFUSED: "refused (403)",
    Outcome.MISSING: "not found (404)",
    Outcome.SIGN_IN: "has to sign in (401)",
}
Cells = Mapping[str, Outcome]
"""Outcomes by persona."""


class ClassText(Content):
    """A policy class as its file has it: what it means, and a line of cells for each compartment."""

    means: str
    any: str = ""
    general: str = ""
    confidential: str = ""
    sensitive: str = ""


class ClassFile(Content):
    """`classes.toml`"""

    personas: dict[str, str]
    classes: dict[str, ClassText]


class DoorFile(Content):
    """`doors.toml`: for each door its class, followed by `, fresh` where it asks for a fresh factor."""

    routes: dict[str, str]
    events: dict[str, str]
    news: dict[str, str]
    notices: dict[str, str]
    commands: dict[str, str]


class ServiceFile(Content):
    """`services.toml`: for each module of services its functions that take a unit of work."""

    services: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class PolicyClass:
    """One kind of policy: what every persona meets, by compartment."""

    name: str
    means: str
    rows: Mapping[str, Cells]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of one door. `kind` is `route`, `event`, `news`, `notice`, `command` or `service`."""

    kind: str
    name: str
    policy: PolicyClass
    fresh: bool = False
    """Whether those who are let through have to have shown a factor within the last five minutes."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """The whole table."""

    personas: Mapping[str, str]
    classes: Mapping[str, PolicyClass]
    expectations: tuple[Expectation, ...]

    def of(self, kind: str) -> dict[str, Expectation]:
        """The expectations of one kind of door, by name."""
        return {one.name: one for one in self.expectations if one.kind == kind}


@cache
def permissions() -> Permissions:
    """The table as shipped. Raises `Misconfigured` naming the file and the line that is wrong."""
    file = load(ClassFile, "permissions/classes.toml")
    classes = {name: _read_class(name, text, tuple(file.personas)) for name, text in file.classes.items()}
    lines = tuple(_expectation(kind, name, text, classes) for kind, name, text in _lines())
    unused = set(classes) - {line.policy.name for line in lines}
    if unused:
        raise Misconfigured(f"config/permissions/classes.toml: no door uses {', '.join(sorted(unused))}")
    return Permissions(file.personas, classes, lines)


def _lines() -> Iterator[tuple[str, str, str]]:
    doors = load(DoorFile, "permissions/doors.toml")
    kinds = {
        "route": doors.routes,
        "event": doors.events,
        "news": doors.news,
        "notice": doors.notices,
        "command": doors.commands,
    }
    for kind, lines in kinds.items():
        yield from ((kind, name, text) for name, text in lines.items())
    for module, functions in load(ServiceFile, "permissions/services.toml").services.items():
        yield from (("service", f"{module}.{name}", text) for name, text in functions.items())


def _read_class(name: str, text: ClassText, personas: tuple[str, ...]) -> PolicyClass:
    where = f"config/permissions/classes.toml: {name}"
    given = {row: str(getattr(text, row)).replace(" ", "") for row in (ANY, *COMPARTMENTS)}
    given = {row: cells for row, cells in given.items() if cells}
    if tuple(given) not in ((ANY,), COMPARTMENTS):
        raise Misconfigured(f"{where}: needs either the row `any` or one for each of {', '.join(COMPARTMENTS)}")
    rows = {}
    for row, cells in given.items():
        if len(cells) != len(personas) or not set(cells) <= set(Outcome):
            raise Misconfigured(f"{where}.{row}: needs one of {' '.join(Outcome)} for each of {len(personas)} personas")
        rows[row] = dict(zip(personas, map(Outcome, cells), strict=True))
    return PolicyClass(name, text.means, rows)


def _expectation(kind: str, name: str, text: str, classes: Mapping[str, PolicyClass]) -> Expectation:
    policy, *marks = text.split(", ")
    if policy not in classes or marks not in ([], [FRESH]):
        raise Misconfigured(f"config/permissions: {kind} {name}: {text} is no class of classes.toml")
    return Expectation(kind, name, classes[policy], bool(marks))


# As `telepsych routes --policy` says it


def as_json() -> dict[str, Any]:
    """Personas, and each door with what every one of them meets there, by compartment."""
    table = permissions()
    return {
        "personas": dict(table.personas),
        "doors": [
            {
                "kind": line.kind,
                "name": line.name,
                "policy": line.policy.name,
                "means": line.policy.means,
                "fresh": line.fresh,
                "cells": {row: {who: met.name.lower() for who, met in cells.items()} for row, cells in _rows(line)},
            }
            for line in table.expectations
        ],
    }


def as_text() -> str:
    """Each door with its class, then each class in words."""
    table = permissions()
    doors = [f"{one.kind:<8} {one.name:<72} {one.policy.name}{', fresh' * one.fresh}" for one in table.expectations]
    classes = [line for one in table.classes.values() for line in _told(one)]
    people = [f"  {name:<20} {words}" for name, words in table.personas.items()]
    fresh = "`fresh` asks for a factor shown within the last five minutes."
    return "\n".join([*doors, "", fresh, "", "Who", *people, "", "What they meet", *classes])


def _rows(line: Expectation) -> Iterable[tuple[str, Cells]]:
    return line.policy.rows.items()


def _told(policy: PolicyClass) -> Iterator[str]:
    yield f"  {policy.name}: {policy.means}"
    for row, cells in policy.rows.items():
        for outcome in Outcome:
            who = [persona for persona, met in cells.items() if met is outcome]
            if who:
                yield f"    {row:<13} {WORDS[outcome]:<20} {', '.join(who)}"
