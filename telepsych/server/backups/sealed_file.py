"""One file of a backup: sealed in chunks under a key of its own, which is sealed to the recovery key.

`magic | length of the sealed key (4) | sealed key | stream`. Written under another name first, and given its own only
when it is whole and on the disk.
"""

import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from telepsych.core.errors import Invalid, Unavailable
from telepsych.crypto.envelope import CannotOpen
from telepsych.crypto.recovery import RecoveryKey, seal_to
from telepsych.crypto.streams import open_stream, seal_stream

MAGIC = b"telepsych-backup/1\n"
PARTIAL = ".partial"
LONGEST_KEY = 64 * 1024
BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """What a manifest says about a file."""

    size: int
    sha256: str


class Target(Protocol):
    """Where opened bytes go, in order."""

    def write(self, data: bytes, /) -> object: ...


class Pulled(io.RawIOBase):
    """Bytes that are made while they are read."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return b""
            self._rest = part
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def write(place: Path, public: bytes, context: str, source: BinaryIO) -> Written:
    """Seal everything in `source` into a new file. `context` says which file of which backup it is.

    Raises `Unavailable` when the disk is full or away; nothing is left behind then.
    """
    key = secrets.token_bytes(32)
    sealed = seal_to(public, key, context.encode())
    with whole(place) as file:
        counted = _Counted(file)
        counted.write(MAGIC + len(sealed).to_bytes(4) + sealed)
        seal_stream(key, source, cast(BinaryIO, counted), context.encode())
    return Written(counted.size, counted.sha.hexdigest())


def read(place: Path, key: RecoveryKey, context: str, target: Target) -> None:
    """Open a file into `target`, which is given only what is genuine. Raises `Invalid` when it is not what it says."""
    try:
        with place.open("rb") as file:
            length = int.from_bytes(file.read(len(MAGIC) + 4).removeprefix(MAGIC))
            if not 0 < length <= LONGEST_KEY:
                raise CannotOpen
            file_key = key.open(file.read(length), context.encode())
            open_stream(file_key, file, cast(BinaryIO, target), context.encode())
    except CannotOpen:
        raise Invalid(f"{place.name} does not open: it was altered or cut, or these are not its shares.") from None


def measure(place: Path) -> Written:
    """Size and hash of a file as it lies there. Raises `Invalid` when it is not there."""
    sha, size = hashlib.sha256(), 0
    try:
        with place.open("rb") as file:
            while block := file.read(BLOCK):
                sha.update(block)
                size += len(block)
    except OSError as problem:
        raise Invalid(f"{place} cannot be read ({problem.strerror}).") from None
    return Written(size, sha.hexdigest())


@contextmanager
def whole(place: Path) -> Iterator[BinaryIO]:
    """A new file, readable by its owner alone, that appears under its name when everything is in it, or not at all."""
    partial = place.with_name(place.name + PARTIAL)
    try:
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(place)
        settle(place.parent)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise Unavailable(f"{place} cannot be written ({problem.strerror}).") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def settle(folder: Path) -> None:
    """Make sure that the folder remembers a new name after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Counted:
    def __init__(self, file: BinaryIO) -> None:
        self._write: Callable[[bytes], object] = file.write
        self.sha, self.size = hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._write(data)
        self.sha.update(data)
        self.size += len(data)
        return len(data)
