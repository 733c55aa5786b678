"""Engines and the base of all records. SQLite is the embedded default, PostgreSQL the same code at scale.

SQLite rules: WAL, `synchronous=FULL`, foreign keys, `secure_delete`; a unit that writes begins IMMEDIATE, behind a
line of threads with a timeout and then a lock file, because SQLite's own busy handler starves writers. Engines with
the WAL-reset corruption bug (before 3.51.3, but for the back-ports) get a rollback journal instead.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import Pool

from telepsych.core.errors import Unavailable
from telepsych.core.lines import ThreadLine, lock_file

try:
    import pysqlite3 as sqlite
except ImportError:  # the wheel exists for Linux on x86-64 only
    import sqlite3 as sqlite

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


TRIGGERS = "recursive_triggers=ON"
"""Without it `INSERT OR REPLACE` removes the row that was there without asking its triggers."""


class Base(DeclarativeBase):
    """Every record of the practice."""

    metadata = MetaData(naming_convention=NAMES)


def sqlite_version() -> tuple[int, ...]:
    """The version of the SQLite engine in use."""
    return tuple(int(part) for part in sqlite.sqlite_version.split("."))


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite is free of the WAL-reset corruption bug (fixed in 3.51.3, 3.50.7 and 3.44.6)."""
    back_ports = (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return version >= (3, 51, 3) or back_ports


def open_engine(url: str, write_wait: float = 10.0, pool: type[Pool] | None = None) -> Engine:
    """Open a database by its SQLAlchemy address; `write_wait` in seconds, `pool` other than the usual one if given."""
    if make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url, write_wait, pool)
    return _open_postgres(url, pool)


def _open_sqlite(url: str, write_wait: float, pool: type[Pool] | None) -> Engine:
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    arguments = {"timeout": write_wait, "isolation_level": None}
    engine = create_engine(url, module=sqlite, connect_args=arguments, poolclass=pool)
    journal = "WAL" if wal_is_safe(sqlite_version()) else "DELETE"

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        for pragma in (f"journal_mode={journal}", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", TRIGGERS):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("telepsych_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")

    return engine


def _open_postgres(url: str, pool: type[Pool] | None) -> Engine:
    options = "-c statement_timeout=15000 -c lock_timeout=8000 -c idle_in_transaction_session_timeout=30000"
    arguments = {"options": options, "connect_timeout": 5}
    if pool is not None:
        return create_engine(url, poolclass=pool, connect_args=arguments)
    return create_engine(url, pool_size=20, max_overflow=0, pool_timeout=10, pool_pre_ping=True, connect_args=arguments)


class WriteLock:
    """Lets one writer at a time into a SQLite file, in the order in which they came: first among the threads of the
    process, then among processes. Nothing elsewhere."""

    def __init__(self, engine: Engine, wait: float = 10.0) -> None:
        self._threads = ThreadLine()
        self._wait = wait
        path = engine.url.database if engine.dialect.name == "sqlite" else None
        self._file = f"{path}.lock" if path else None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. Raises `Unavailable` when it is not free in time."""
        if self._file is None:
            yield
            return
        arrived = time.monotonic_ns()
        if not self._threads.join(self._wait):
            raise Unavailable
        try:
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if not lock_file(handle, arrived, self._wait):
                    raise Unavailable
                yield
            finally:
                os.close(handle)
        finally:
            self._threads.leave()
