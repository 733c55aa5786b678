"""Woken from below: every emergency access is put before the overseers in the unit that opens it."""

from telepsych.core.work import Work
from telepsych.oversight import reviews
from telepsych.patients.models import BreakGlass


def on_broken(work: Work, glass: BreakGlass) -> None:
    """A record was opened in an emergency."""
    reviews.start(work, glass)


SUBSCRIBERS = {"glass.broken": on_broken}
