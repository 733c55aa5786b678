"""Building a practice for a test."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Engine

from telepsych.app import introduce
from telepsych.core.clock import Clock
from telepsych.core.database import Base, WriteLock, open_engine
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import keyring
from telepsych.crypto.keystore import KeystoreBase
from telepsych.crypto.vault import open_vault
from telepsych.web.bus import bus_for

TUESDAY_MORNING = 1_795_532_400_000_000
"""Tuesday, November 24, 2026, 10:00 in New Haven."""
ROOMS = (
    *("web", "audit", "accounts", "patients", "notifications", "triage", "scheduling", "medications"),
    *("questionnaires", "messaging", "appropriateness", "visits"),
)


@cache
def load_models() -> None:
    """Make every room's tables known."""
    for room in ROOMS:
        if find_spec(f"telepsych.{room}") and find_spec(f"telepsych.{room}.models"):
            import_module(f"telepsych.{room}.models")


def create_tables(records: str, keystore: str) -> None:
    """Make all tables of both databases."""
    load_models()
    for address, base in ((records, Base), (keystore, KeystoreBase)):
        engine = open_engine(address)
        base.metadata.create_all(engine)
        settle(engine)


def settle(engine: Engine) -> None:
    """Close an engine; a SQLite file then holds everything by itself and can be copied."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
    engine.dispose()


def build_practice(data: Path, records: str, keystore: str, clock: Clock) -> Practice:
    """A practice on these databases, with a keyring of its own and every room introduced."""
    settings = Settings(data=data, records_url=records, keystore_url=keystore)
    if not settings.keyring_file.exists():
        keyring.create(settings.keyring_file)
    engine = open_engine(settings.records, settings.write_wait)
    lock = WriteLock(engine, settings.write_wait)
    practice = Practice(settings, engine, open_vault(settings), clock, bus_for(engine), lock)
    introduce(practice)
    return practice
