"""How soon a person must look: one stored enum, ordered."""

from collections.abc import Iterable
from enum import StrEnum


class Priority(StrEnum):
    """From "can wait until the end of the next business day" to "danger to life now". Compares by urgency."""

    ROUTINE = "routine"
    SOON = "soon"
    URGENT = "urgent"
    EMERGENCY = "emergency"

    @property
    def rank(self) -> int:
        """0 for routine up to 3 for emergency."""
        return _RANKS[self.value]

    def __lt__(self, other: str) -> bool:
        return self.rank < Priority(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Priority(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Priority(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Priority(other).rank


_RANKS = {"routine": 0, "soon": 1, "urgent": 2, "emergency": 3}


def highest(priorities: Iterable[Priority]) -> Priority:
    """The most urgent of them; routine when there are none."""
    return max(priorities, default=Priority.ROUTINE)
