"""The clockwork of oversight: the lists of weeks that are over, and a word to the overseers while something is late."""

from telepsych.core.actor import system
from telepsych.core.work import Practice
from telepsych.oversight import due, weekly


def make_weeks(practice: Practice) -> int:
    """Make the list of every week that is over and has none. Returns how many."""
    with practice.begin(system("weekly-review"), public="weekly-review") as work:
        return weekly.make_missing(work)


def remind(practice: Practice) -> bool:
    """Remind of what is overdue, once a local day. Returns whether somebody was told."""
    with practice.begin(system("oversight-reminder"), public="oversight-reminder") as work:
        return due.remind(work)
