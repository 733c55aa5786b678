"""Kleene's three values: true, false, and unknown (None). More information never turns a decided value around."""

from collections.abc import Iterable

Truth = bool | None


def all_of(values: Iterable[Truth]) -> Truth:
    """False if one is false, true if all are true, else unknown."""
    seen = list(values)
    if False in seen:
        return False
    return None if None in seen else True


def any_of(values: Iterable[Truth]) -> Truth:
    """True if one is true, false if all are false, else unknown."""
    seen = list(values)
    if True in seen:
        return True
    return None if None in seen else False


def not_that(value: Truth) -> Truth:
    """The opposite; unknown stays unknown."""
    return None if value is None else not value


def at_least(count: int, values: Iterable[Truth]) -> Truth:
    """Whether at least `count` are true, whatever the unknown ones turn out to be."""
    seen = list(values)
    certain, possible = seen.count(True), seen.count(None)
    if certain >= count:
        return True
    return None if certain + possible >= count else False
