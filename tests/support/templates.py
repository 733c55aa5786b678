"""Databases that are made once and copied for each test: bringing the cast in takes longer than most tests."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.cast import Cast, assemble
from support.practice import TUESDAY_MORNING, build_practice, create_tables, settle
from telepsych.core.clock import FrozenClock

KEYRING = Path("keys") / "keyring.json"


@dataclass(frozen=True)
class Template:
    """A practice at rest: its files or database, its keyring, and who is in it."""

    folder: Path
    new_database: Callable[..., str] | None
    name: str
    """The PostgreSQL database; empty for SQLite."""
    people: Cast | None

    def copy_to(self, folder: Path) -> tuple[str, str]:
        """A copy for one test. Returns the addresses of records and keystore."""
        if self.people:
            (folder / KEYRING).parent.mkdir()
            shutil.copy(self.folder / KEYRING, folder / KEYRING)  # keeps the mode
        if self.new_database:
            address = self.new_database(self.name)
            return address, address
        for part in ("records", "keystore"):
            (folder / part).mkdir()
            shutil.copy(_file(self.folder, part), _file(folder, part))
        return f"sqlite:///{_file(folder, 'records')}", f"sqlite:///{_file(folder, 'keystore')}"


def make_template(folder: Path, new_database: Callable[..., str] | None, peopled: bool) -> Template:
    """Make a practice with all tables and, if asked, the cast; then leave it at rest."""
    if new_database:
        records = keystore = new_database()
    else:
        records, keystore = (f"sqlite:///{_file(folder, part)}" for part in ("records", "keystore"))
    create_tables(records, keystore)
    people = None
    if peopled:
        practice = build_practice(folder, records, keystore, FrozenClock(TUESDAY_MORNING))
        people = assemble(practice)
        settle(practice.vault.keystore)
        settle(practice.records)
    name = records.split("@/")[1].split("?")[0] if new_database else ""
    return Template(folder, new_database, name, people)


def _file(folder: Path, part: str) -> Path:
    return folder / part / f"{part}.sqlite"
