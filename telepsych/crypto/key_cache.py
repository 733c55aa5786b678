"""What a process remembers of keys: so many for so long, forgotten all at once when told to."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class KeyCache(Generic[K, V]):
    """Remembers `most` values for `seconds` each; the one kept first goes first."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._kept: dict[K, tuple[float, V]] = {}
        self._lock = threading.Lock()
        self.turn = 0
        """How often everything was forgotten. What was looked up in an earlier turn is not kept in this one."""

    def get(self, name: K) -> V | None:
        known = self._kept.get(name)
        return known[1] if known and self._clock() < known[0] else None

    def keep(self, name: K, value: V, turn: int) -> None:
        """Remember a value that was looked up in a turn."""
        with self._lock:
            if turn != self.turn:
                return
            self._kept.pop(name, None)
            while len(self._kept) >= self._most:
                self._kept.pop(next(iter(self._kept)))
            self._kept[name] = (self._clock() + self._seconds, value)

    def flush(self) -> None:
        """Forget everything."""
        with self._lock:
            self.turn += 1
            self._kept.clear()
