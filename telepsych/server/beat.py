"""The worker's sign of life: a small file in the data folder, so that it can be read while a database is away."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from telepsych.core.clock import MINUTE
from telepsych.core.settings import Settings

STALE = MINUTE
"""A worker that has not been heard of for so long is taken for dead: mail and clocks stand still."""


@dataclass(frozen=True, slots=True)
class Beat:
    """When the worker last went round, and which jobs failed then."""

    at: int
    pid: int
    failing: tuple[str, ...] = ()


def file_of(settings: Settings) -> Path:
    """Where the worker leaves its sign of life."""
    return settings.data / "run" / "worker.json"


def write(settings: Settings, beat: Beat) -> None:
    """Leave a sign of life, whole or not at all."""
    place = file_of(settings)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = place.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(asdict(beat)), encoding="utf-8")
    fresh.replace(place)


def read(settings: Settings) -> Beat | None:
    """The last sign of life; None when there is none, or none that makes sense."""
    try:
        found = json.loads(file_of(settings).read_text(encoding="utf-8"))
        return Beat(int(found["at"]), int(found["pid"]), tuple(found["failing"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def is_stale(beat: Beat | None, now: int) -> bool:
    """Whether the worker has not been heard of for a minute."""
    return beat is None or now - beat.at > STALE
