"""Waiting in line, first come, first served: among the threads of a process, and among processes at a lock file.

Neither Python's locks nor the kernel's keep an order by themselves: whoever has just let go and asks again is usually
there before those that have to be woken first, and under load the others wait without end. In a file, a place in line
is a lock on the byte whose number is the time of arrival; a process that dies loses its places with its handles.
"""

import fcntl
import struct
import threading
import time
from collections import deque

LOOK = 0.0005
"""Seconds between looks at a lock file. Only one thread of a process looks at a time."""
SECOND = 1_000_000_000
_FLOCK = "hhqqi4x"
_TEST, _SET = getattr(fcntl, "F_OFD_GETLK", None), getattr(fcntl, "F_OFD_SETLK", None)


class ThreadLine:
    """One thread at a time; the one that leaves hands on to the one that came first."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def join(self, seconds: float) -> bool:
        """Wait for one's turn. Returns False, out of the line again, when it did not come in time."""
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            if mine.acquire(timeout=max(seconds, 0)):
                return True
        except BaseException:
            if not self._gave_up(mine):
                self.leave()
            raise
        return not self._gave_up(mine)

    def leave(self) -> None:
        """End one's turn."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False

    def _gave_up(self, mine: threading.Lock) -> bool:
        """Step out of the line; False when the turn had come just before."""
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return True
            return False


def lock_file(handle: int, arrived: int, seconds: float) -> bool:
    """Lock an open lock file for this handle alone, in the order of arrival (`time.monotonic_ns`); closing the handle
    unlocks it. Returns False when that was not possible within `seconds` of arriving.

    The lock itself keeps the others out; the places only say who may try for it. So a place counts for half of that
    time: of one that was frozen in line the others are held up, but none so long that it gives up.
    """
    place = stand(handle, arrived)
    deadline, respect = arrived + int(seconds * SECOND), int(seconds * SECOND / 2)
    while is_anybody(handle, max(time.monotonic_ns() - respect, 0), place) or not _took(handle):
        if time.monotonic_ns() >= deadline:
            return False
        time.sleep(LOOK)
    return True


def stand(handle: int, arrived: int) -> int:
    """Take a place in the line before a file. Returns it: the time of arrival, or the next one that is free."""
    while _SET is not None:
        try:
            fcntl.fcntl(handle, _SET, struct.pack(_FLOCK, fcntl.F_WRLCK, 0, arrived, 1, 0))
            break
        except BlockingIOError:
            arrived += 1
    return arrived


def is_anybody(handle: int, since: int, before: int) -> bool:
    """Whether somebody else stands in line who arrived in that time. Where files have no such places, nobody does."""
    if _TEST is None or before <= since:
        return False
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, 0, since, before - since, 0)
    found = fcntl.fcntl(handle, _TEST, asked)
    return bool(struct.unpack(_FLOCK, found)[0] != fcntl.F_UNLCK)


def _took(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
