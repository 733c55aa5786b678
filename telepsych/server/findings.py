"""What `telepsych doctor` says, and what it looks at."""

from dataclasses import asdict, dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from telepsych.core.clock import Clock
from telepsych.core.settings import Settings

State = Literal["ok", "warn", "fault"]


@dataclass(frozen=True, slots=True)
class Line:
    """One finding."""

    name: str
    state: State
    what: str
    why: str = ""
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Installation:
    """What is examined."""

    settings: Settings
    clock: Clock


def is_loopback(origin: str) -> bool:
    """Whether people on this machine alone reach the practice under this origin (none set: they do)."""
    name = urlsplit(origin).hostname if origin else "localhost"
    if name == "localhost":
        return True
    try:
        return ip_address(name or "").is_loopback
    except ValueError:
        return False
