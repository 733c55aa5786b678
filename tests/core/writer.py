"""A process of its own that writes: `writer.py DATABASE THREADS TIMES`. Every write adds one to a number in a file, so
that two at once would lose one. TIMES 0: until killed; TIMES -1: hold the lock until killed."""

import os
import signal
import sys
import threading
from pathlib import Path

from telepsych.core.database import WriteLock, open_engine


def number_beside(database: Path) -> Path:
    return database.with_suffix(".number")


def add_one(file: Path) -> int:
    """Read, add and write to disk, as slowly as a small commit. Returns the number found."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        found = int(os.read(handle, 20) or b"0")
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, str(found + 1).encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    return found


def main(database: Path, threads: int, times: int) -> None:
    lock = WriteLock(open_engine(f"sqlite:///{database}"), 60)

    def write() -> None:
        done = 0
        while not times or done < times:
            with lock.held():
                add_one(number_beside(database))
            done += 1

    if times < 0:
        with lock.held():
            os.write(1, b"holding\n")
            signal.pause()
    writers = [threading.Thread(target=write) for _ in range(threads)]
    os.write(1, b"ready\n")
    for one in writers:
        one.start()
    for one in writers:
        one.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
