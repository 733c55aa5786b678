"""Building a practice for a test."""

from pathlib import Path

from sqlalchemy import Engine

from support.limits import FASTER_THAN_PEOPLE
from telepsych.app import introduce
from telepsych.core.clock import Clock
from telepsych.core.database import Base, WriteLock, open_engine
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import keyring
from telepsych.crypto.keystore import KeystoreBase
from telepsych.crypto.vault import open_vault
from telepsych.migrations import chains, load_models
from telepsych.web.bus import bus_for

TUESDAY_MORNING = 1_795_532_400_000_000
"""Tuesday, November 24, 2026, 10:00 in New Haven."""


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
    settings = Settings(data=data, records_url=records, keystore_url=keystore, **FASTER_THAN_PEOPLE)
    if not settings.keyring_file.exists():
        keyring.create(settings.keyring_file)
    engine = open_engine(settings.records, settings.write_wait)
    lock = WriteLock(engine, settings.write_wait)
    practice = Practice(settings, engine, open_vault(settings), clock, bus_for(engine), lock)
    introduce(practice)
    return practice


def mark_head(practice: Practice) -> None:
    """Say in the chains' own tables that the databases are at their newest revision: `create_tables` goes past them."""
    for chain in chains():
        engine = practice.records if chain.name == "records" else practice.vault.keystore
        with engine.execution_options(telepsych_writes=True).begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {chain.table} (version_num VARCHAR(32) NOT NULL)")
            connection.exec_driver_sql(f"INSERT INTO {chain.table} VALUES ('{chain.head}')")
