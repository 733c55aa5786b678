"""What the worker does for visits: notice lost connections, forget signals that are old."""

from telepsych.core.actor import system
from telepsych.core.work import Practice
from telepsych.visits import room, signals


def mark_lost(practice: Practice) -> int:
    """Mark visits in which a page has fallen silent for 30 seconds. Returns how many."""
    with practice.begin(system("visits")) as work:
        return len(room.mark_lost(work))


def forget_signals(practice: Practice) -> None:
    """Drop signals that nobody fetched, and live pages of processes that died."""
    with practice.begin(system("visits"), public="cleaning") as work:
        signals.forget(work)
