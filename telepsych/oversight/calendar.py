"""The policy calendar: every dated rule under `config/`, what changes when, and what nobody has confirmed.

It reads the content files as they are, whatever room they belong to: a table that says when it takes effect, ends or is
looked at again is a dated rule, and so is a file that names its next review.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from telepsych.core.content import config_dir

BEGINS = ("effective_from", "valid_from")
ENDS = ("effective_to", "effective_until", "valid_until")
REVIEW = ("review_by", "review_again_by")
CONFIRMED = frozenset({"verified", "confirmed", "practice_decision"})


@dataclass(frozen=True, slots=True)
class DatedRule:
    """A rule, or a whole file, with its dates."""

    key: str
    place: str
    """The file, under `config/`."""
    value: str
    after: str
    begins: date | None
    ends: date | None
    review_by: date | None
    confirmed: bool
    source: str
    note: str


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changes on a day."""

    on: date
    begins: bool
    rule: DatedRule


@cache
def dated_rules() -> tuple[DatedRule, ...]:
    """Every dated rule as shipped, in the order of files."""
    return tuple(_read())


def changes(today: date, rules: tuple[DatedRule, ...] | None = None) -> list[Change]:
    """What begins or ends from today on, the first before the others."""
    found = dated_rules() if rules is None else rules
    ahead = [Change(one.begins, True, one) for one in found if one.begins and one.begins >= today]
    ahead += [Change(one.ends, False, one) for one in found if one.ends and one.ends >= today]
    return sorted(ahead, key=lambda one: (one.on, one.rule.key))


def overdue(today: date, rules: tuple[DatedRule, ...] | None = None) -> list[DatedRule]:
    """What should have been looked at again by now, the longest ago first."""
    found = dated_rules() if rules is None else rules
    late = [one for one in found if one.review_by and one.review_by < today]
    return sorted(late, key=lambda one: (one.review_by or today, one.key))


def _read() -> Iterator[DatedRule]:
    for place in sorted(config_dir().rglob("*.toml")):
        name = place.relative_to(config_dir()).as_posix()
        yield from _in(tomllib.loads(place.read_text(encoding="utf-8")), name, "")


def _in(table: Mapping[str, Any], place: str, above: str) -> Iterator[DatedRule]:
    named = str(table.get("key") or table.get("id") or above)
    if any(isinstance(table.get(name), date) for name in (*BEGINS, *ENDS, *REVIEW)):
        yield _rule(table, place, named)
    for value in table.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from _in(inner, place, named)


def _rule(table: Mapping[str, Any], place: str, named: str) -> DatedRule:
    return DatedRule(
        key=named,
        place=place,
        value=str(table.get("value", "")),
        after=str(table.get("after", "")),
        begins=_day(table, BEGINS),
        ends=_day(table, ENDS),
        review_by=_day(table, REVIEW),
        confirmed=_is_confirmed(table),
        source=str(table.get("source", "")),
        note=str(table.get("note", "")),
    )


def _is_confirmed(table: Mapping[str, Any]) -> bool:
    if "status" in table:
        return table["status"] in CONFIRMED
    return str(table.get("reviewed_by", "")) not in ("", "unconfirmed")


def _day(table: Mapping[str, Any], names: tuple[str, ...]) -> date | None:
    return next((value for name in names if isinstance(value := table.get(name), date)), None)
