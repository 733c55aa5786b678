"""A database as a run of bytes, and back, while the practice goes on.

SQLite: `VACUUM INTO` writes a consistent copy, which is a database by itself. PostgreSQL: every table by COPY within
one REPEATABLE READ snapshot, in frames (`length(4) | kind(1) | bytes`), loaded into tables that the migrations make; no
client programs of a certain version are needed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import IsolationLevel
from sqlalchemy import Engine, Table, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from telepsych import migrations
from telepsych.core.database import open_engine
from telepsych.core.errors import Invalid, Misconfigured, Unavailable
from telepsych.migrations import Chain
from telepsych.server.backups.sealed_file import Pulled, whole

TABLE, DATA, END = b"T", b"D", b"E"
LONGEST_FRAME = 1 << 30
UNHURRIED = ("SET statement_timeout = 0", "SET idle_in_transaction_session_timeout = 0", "SET lock_timeout = 0")


@dataclass(frozen=True, slots=True)
class Dump:
    """A database held still."""

    source: BinaryIO
    kind: str
    revision: str
    tables: dict[str, int]


@contextmanager
def dump(chain: Chain, url: str, scratch: Path) -> Iterator[Dump]:
    """Hold a database still for reading. Raises `Misconfigured` unless it is at its newest revision."""
    if migrations.place_of(chain, url) != chain.head:
        raise Misconfigured(f"The {chain.name} database is not at its newest revision. Run `telepsych db upgrade`.")
    how = _dump_sqlite if is_sqlite(url) else _dump_postgres
    try:
        with how(chain, url, scratch) as found:
            yield found
    except SQLAlchemyError as problem:
        raise Unavailable(f"The {chain.name} database could not be copied: {type(problem).__name__}.") from problem


def is_sqlite(url: str) -> bool:
    """Whether this address is a SQLite file."""
    return make_url(url).get_backend_name() == "sqlite"


def is_empty(chain: Chain, url: str) -> bool:
    """Whether nothing of this chain is there yet: no file, or no row in any table. A restore writes over nothing."""
    if is_sqlite(url):
        return not migrations.may_be_there(url)
    with opened(url) as engine:
        try:
            there = set(inspect(engine).get_table_names()) & {*chain.metadata.tables}
            return not any(counts(chain, url, dict.fromkeys(there, 0)).values())
        except SQLAlchemyError as problem:
            raise Unavailable(f"The {chain.name} database cannot be reached.") from problem


@contextmanager
def loading(chain: Chain, url: str, revision: str) -> Iterator[Any]:
    """Something to write a dump into; the database has it when the block ends well, and nothing of it otherwise."""
    if is_sqlite(url):
        place = Path(make_url(url).database or "")
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with whole(place) as file:
            yield file
        return
    migrations.move(chain, url, revision)
    with opened(url) as engine, _raw(engine) as connection, _Loader(chain, connection) as loader:
        for setting in UNHURRIED:
            connection.execute(setting)
        yield loader
        loader.finish()
        connection.commit()


def counts(chain: Chain, url: str, names: dict[str, int]) -> dict[str, int]:
    """Rows in each of these tables, as they are now."""
    known = {name: chain.metadata.tables[name] for name in names if name in chain.metadata.tables}
    with opened(url) as engine, engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(UNHURRIED[0]))
        return {name: _rows(connection, table) for name, table in known.items()}


# SQLite


@contextmanager
def _dump_sqlite(chain: Chain, url: str, scratch: Path) -> Iterator[Dump]:
    copy = scratch / f"{chain.name}.sqlite"
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with opened(url) as engine, _raw(engine) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        found = counts(chain, f"sqlite:///{copy}", dict.fromkeys(chain.metadata.tables, 0))
        with copy.open("rb") as file:
            yield Dump(file, "sqlite", str(chain.head), found)
    finally:
        for left in scratch.glob(f"{copy.name}*"):
            left.unlink()


# PostgreSQL


@contextmanager
def _dump_postgres(chain: Chain, url: str, _scratch: Path) -> Iterator[Dump]:
    with opened(url) as engine, _raw(engine) as connection:
        for setting in UNHURRIED:
            connection.execute(setting)
        connection.commit()
        connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
        found = {
            table.name: connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0]  # noqa: S608
            for table in chain.metadata.sorted_tables
        }
        yield Dump(Pulled(_frames(chain, connection)), "postgresql", str(chain.head), found)  # type: ignore[arg-type]


def _frames(chain: Chain, connection: Any) -> Iterator[bytes]:
    for table in chain.metadata.sorted_tables:
        columns = [column.name for column in table.columns]
        yield _frame(TABLE, json.dumps({"table": table.name, "columns": columns}).encode())
        listed = ", ".join(f'"{name}"' for name in columns)
        with connection.cursor().copy(f'COPY "{table.name}" ({listed}) TO STDOUT (FORMAT BINARY)') as copy:
            for data in copy:
                yield _frame(DATA, bytes(data))
    yield _frame(END, b"")


def _frame(kind: bytes, data: bytes) -> bytes:
    return (len(data) + 1).to_bytes(4) + kind + data


class _Loader:
    """Takes a dump apart as it comes, and copies each table in."""

    def __init__(self, chain: Chain, connection: Any) -> None:
        self._tables = chain.metadata.tables
        self._connection = connection
        self._buffer = bytearray()
        self._stack = ExitStack()
        self._copy: Any = None
        self._loaded: list[Table] = []
        self._is_done = False

    def __enter__(self) -> "_Loader":
        return self

    def __exit__(self, kind: Any, problem: Any, trace: Any) -> None:
        self._stack.__exit__(kind, problem, trace)

    def write(self, data: bytes) -> int:
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4])
            if not 0 < length <= LONGEST_FRAME:
                raise Invalid("The dump is not of a form we know.")
            if len(self._buffer) < 4 + length:
                break
            self._take(bytes(self._buffer[4:5]), bytes(self._buffer[5 : 4 + length]))
            del self._buffer[: 4 + length]
        return len(data)

    def finish(self) -> None:
        """Make sure that everything came, and set counters to go on after what is there."""
        if not self._is_done or self._buffer:
            raise Invalid("The dump ends in the middle.")
        for table in self._loaded:
            column = table.autoincrement_column
            if column is not None and column.type.python_type is int:
                self._connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'),"  # noqa: S608
                    f' max("{column.name}")) FROM "{table.name}"'
                )

    def _take(self, kind: bytes, data: bytes) -> None:
        if kind == DATA and self._copy is not None:
            self._copy.write(data)
        elif kind in (TABLE, END) and not self._is_done:
            self._stack.close()
            self._copy = None
            self._is_done = kind == END
            if kind == TABLE:
                self._open(json.loads(data))
        else:
            raise Invalid("The dump is not of a form we know.")

    def _open(self, named: dict[str, Any]) -> None:
        name, columns = str(named["table"]), [str(column).replace('"', "") for column in named["columns"]]
        if name not in self._tables:
            raise Invalid(f"The dump has a table that is not known here: {name}. Use a newer version to restore it.")
        self._loaded.append(self._tables[name])
        listed = ", ".join(f'"{column}"' for column in columns)
        copying = self._connection.cursor().copy(f'COPY "{name}" ({listed}) FROM STDIN (FORMAT BINARY)')
        self._copy = self._stack.enter_context(copying)


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """A database for one piece of work, closed after it."""
    engine = open_engine(url, pool=NullPool)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _raw(engine: Engine) -> Iterator[Any]:
    """The driver's own connection."""
    held = engine.raw_connection()
    try:
        yield held.driver_connection
    finally:
        held.close()


def _rows(connection: Any, table: Table) -> int:
    return int(connection.execute(text(f'SELECT count(*) FROM "{table.name}"')).scalar_one())  # noqa: S608
