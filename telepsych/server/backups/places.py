"""Where the three files of a backup go. Whoever holds all three and two shares can read everything."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from telepsych.core.errors import Conflict, Misconfigured
from telepsych.core.settings import Settings
from telepsych.server.backups.manifest import PARTS, SUFFIX, Manifest, beside
from telepsych.server.backups.sealed_file import whole


@dataclass(frozen=True, slots=True)
class Places:
    """A folder for each part."""

    records: Path
    keystore: Path
    keyring: Path

    def of(self, part: str) -> Path:
        return {"records": self.records, "keystore": self.keystore, "keyring": self.keyring}[part]

    def faults(self) -> Iterator[str]:
        """What is wrong with them, as sentences with a next step."""
        folders = [self.of(part).resolve() for part in PARTS]
        for at, one in enumerate(folders):
            for other in folders[at + 1 :]:
                if one.is_relative_to(other) or other.is_relative_to(one):
                    yield f"{one} and {other} are one place: whoever takes it has records and keys. Choose others."


def chosen(settings: Settings, records: Path | None, keystore: Path | None, keyring: Path | None) -> Places:
    """The folders given, else those of the settings. Raises `Misconfigured` when one is not named."""
    folders = {
        "records": records or settings.backup_records_to,
        "keystore": keystore or settings.backup_keystore_to,
        "keyring": keyring or settings.backup_keyring_to,
    }
    missing = [part for part, folder in folders.items() if folder is None]
    if missing:
        raise Misconfigured(f"Say where the {missing[0]} goes: --{missing[0]}-to, or backup_{missing[0]}_to.")
    return Places(**{part: folder for part, folder in folders.items() if folder})


@dataclass(frozen=True, slots=True)
class Last:
    """The newest backup, as it was left."""

    id: str
    at: int
    files: dict[str, str]
    """Each part's file."""
    signed: str = ""


@dataclass(frozen=True, slots=True)
class Drilled:
    """The newest restore drill."""

    id: str
    at: int
    passed: bool
    seconds: float
    why: str = ""


def note_last(settings: Settings, manifest: Manifest, places: Places) -> None:
    """Remember the newest backup for `telepsych doctor`."""
    files = {part: str(places.of(part).resolve() / found.file) for part, found in manifest.parts.items()}
    _keep(settings, "backup", asdict(Last(manifest.id, manifest.at, files)))


def last(settings: Settings) -> Last | None:
    """The newest backup; None when there is none, or no note of it that makes sense."""
    found = _kept(settings, "backup")
    return Last(**found) if found and {"id", "at", "files"} <= found.keys() else None


def note_drill(settings: Settings, drilled: Drilled) -> None:
    """Remember how the newest drill went."""
    _keep(settings, "drill", asdict(drilled))


def last_drill(settings: Settings) -> Drilled | None:
    """The newest drill; None when there is none."""
    found = _kept(settings, "drill")
    return Drilled(**found) if found and {"id", "at", "passed", "seconds"} <= found.keys() else None


def found_in(folders: list[Path]) -> dict[str, list[Path]]:
    """Backups by their id, with the files of them that lie in these folders."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        for place in sorted(folder.iterdir() if folder.is_dir() else ()):
            if place.suffix.removeprefix(".") in PARTS and beside(place).exists():
                found.setdefault(place.stem, []).append(place)
    return found


def forget_old(folder: Path, part: str, before: int, signed: list[Manifest]) -> list[Path]:
    """Remove this part of backups made before a moment, but never the newest one. Returns what went."""
    ours = sorted((one for one in signed if part in one.parts), key=lambda one: one.at)
    gone = []
    for manifest in ours[:-1]:
        file = folder / manifest.parts[part].file
        if manifest.at < before and file.exists():
            file.unlink()
            gone.append(file)
            if not any((folder / other.file).exists() for other in manifest.parts.values()):
                (folder / f"{manifest.id}{SUFFIX}").unlink(missing_ok=True)
    return gone


def _keep(settings: Settings, name: str, what: dict[str, object]) -> None:
    place = settings.data / "run" / f"{name}.json"
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with whole(place) as file:
        file.write(json.dumps(what).encode())


def _kept(settings: Settings, name: str) -> dict[str, Any] | None:
    try:
        found = json.loads((settings.data / "run" / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def usable(folder: Path) -> None:
    """Make sure that a folder is there and can be written. Raises `Misconfigured`."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise Misconfigured(f"{folder} cannot be made ({problem.strerror}).") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Misconfigured(f"{folder} cannot be written.")


@contextmanager
def drill_folder(run: Path) -> Iterator[Path]:
    """Where a drill brings a practice back, held by one at a time. Raises `Conflict` while another drill holds it."""
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(run / "drill.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield run / "drill"
    except BlockingIOError:
        raise Conflict("Another drill is running. Wait for it to end.") from None
    finally:
        os.close(handle)
