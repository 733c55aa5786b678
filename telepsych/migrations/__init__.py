"""Two chains of migrations, one for each database: records and keystore have backups of their own, so they move apart.

`upgrade` brings both to their heads. A revision is made from the difference between the models and the chain with
`telepsych db revision`; it is read and tested like any other code before it is kept.
"""

import tempfile
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from telepsych.core.database import Base, WriteLock, open_engine
from telepsych.core.errors import Unavailable
from telepsych.core.settings import Settings
from telepsych.crypto.keystore import KeystoreBase

HERE = Path(__file__).parent
PACKAGE = Path(__file__).parents[1]
TABLES_OF = {"records": "telepsych_records_version", "keystore": "telepsych_keystore_version"}
"""Where each chain keeps its place: both may live in one PostgreSQL database."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One database's chain."""

    name: str
    metadata: MetaData

    @property
    def table(self) -> str:
        """The table that keeps the chain's place."""
        return TABLES_OF[self.name]

    @property
    def head(self) -> str | None:
        """The newest revision."""
        return _script(self.name).get_current_head()

    def url(self, settings: Settings) -> str:
        """The database's address."""
        return settings.records if self.name == "records" else settings.keystore


def chains() -> tuple[Chain, Chain]:
    """The keystore first: a key is always there before the row that needs it."""
    load_models()
    return Chain("keystore", KeystoreBase.metadata), Chain("records", Base.metadata)


def load_models() -> None:
    """Make every room's tables known, whoever asks first."""
    for place in sorted(PACKAGE.glob("*/models.py")):
        import_module(f"telepsych.{place.parent.name}.models")


def upgrade(settings: Settings, to: str = "head") -> None:
    """Bring both databases to their newest revision. Raises `Unavailable` when one cannot be reached."""
    for chain in chains():
        move(chain, chain.url(settings), to)


def move(chain: Chain, url: str, to: str) -> None:
    """Bring one database up or down to a revision, alone among writers. A move that leaves a row pointing nowhere is
    not kept. Raises `Unavailable`."""
    engine = _without_foreign_keys(url)
    try:
        with WriteLock(engine).held(), _connect(engine) as connection:
            config = config_of(chain, connection)
            here = MigrationContext.configure(connection, opts={"version_table": chain.table}).get_current_revision()
            if to == "base" or (here and _is_before(chain, to, here)):
                command.downgrade(config, to)
            else:
                command.upgrade(config, to)
            _check_foreign_keys(chain, connection)
            connection.commit()
    except SQLAlchemyError as problem:
        raise Unavailable(f"The {chain.name} database cannot be moved: {type(problem).__name__}.") from problem
    finally:
        engine.dispose()


def is_current(settings: Settings) -> bool:
    """Whether both databases are at their newest revision. Raises `Unavailable` when one cannot be asked."""
    return all(place_of(chain, chain.url(settings)) == chain.head for chain in chains())


def place_of(chain: Chain, url: str) -> str | None:
    """The revision a database is at; None before the first. Raises `Unavailable` when it cannot be asked."""
    if not may_be_there(url):
        return None
    engine = open_engine(url, pool=NullPool)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection, opts={"version_table": chain.table}).get_current_revision()
    except SQLAlchemyError as problem:
        raise Unavailable(f"The {chain.name} database cannot be reached.") from problem
    finally:
        engine.dispose()


def knows(chain: Chain, revision: str) -> bool:
    """Whether a revision is part of the chain: a database of a newer version is not."""
    return revision in {one.revision for one in _script(chain.name).walk_revisions()}


def may_be_there(url: str) -> bool:
    """Whether there is anything to ask: looking at a SQLite file that does not exist would make one."""
    address = make_url(url)
    return address.get_backend_name() != "sqlite" or Path(address.database or "").is_file()


def differences(chain: Chain, url: str) -> list[Any]:
    """What distinguishes the migrated schema from the models: nothing, if the chain is whole."""
    engine = open_engine(url, pool=NullPool)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options_of(chain))
            return list(compare_metadata(context, chain.metadata))
    finally:
        engine.dispose()


def revise(chain: Chain, words: str, *, again: bool = False) -> Path | None:
    """Write a revision from the difference between the chain and the models; None when there is no difference.

    `again` writes the newest revision anew, which is right only while no practice has it yet.
    """
    if again and chain.head:
        _file_of(chain, chain.head).unlink()
        _script.cache_clear()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/{chain.name}.sqlite"
        if chain.head:
            move(chain, url, "head")
        if chain.head and not differences(chain, url):
            return None
        engine = open_engine(url, pool=NullPool)
        with engine.connect() as connection:
            command.revision(config_of(chain, connection), words, autogenerate=True, rev_id=_next_number(chain))
        engine.dispose()
    _script.cache_clear()
    return _file_of(chain, chain.head or "")


def options_of(chain: Chain) -> dict[str, Any]:
    """How Alembic looks at a database of this chain. The other chain's tables are none of its business."""
    mine = {*chain.metadata.tables, chain.table}

    def ours(thing: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
        return (name if kind == "table" else getattr(getattr(thing, "table", None), "name", name)) in mine

    return {
        "version_table": chain.table,
        "render_as_batch": True,
        "compare_type": True,
        "include_object": ours,
        "target_metadata": chain.metadata,
    }


def config_of(chain: Chain, connection: Connection | None = None) -> Config:
    """Alembic's configuration for a chain, with the connection its `env.py` uses."""
    config = Config()
    config.set_main_option("script_location", str(HERE / chain.name))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes |= {"chain": chain, "connection": connection}
    return config


@cache
def _script(name: str) -> ScriptDirectory:
    return ScriptDirectory(str(HERE / name))


def _file_of(chain: Chain, revision: str) -> Path:
    return Path(_script(chain.name).get_revision(revision).path)


def _without_foreign_keys(url: str) -> Engine:
    """SQLite changes a table by making it anew; dropping the old one would take or block the rows that point to it."""
    engine = open_engine(url, pool=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys=OFF"))
    return engine


def _check_foreign_keys(chain: Chain, connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    lost = sorted({row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check")})
    if lost:
        tables = ", ".join(lost)
        raise Unavailable(f"The {chain.name} database was not moved: rows of {tables} would point nowhere.")


def _connect(engine: Engine) -> Connection:
    return engine.execution_options(telepsych_writes=True).connect()


def _is_before(chain: Chain, to: str, here: str) -> bool:
    script = _script(chain.name)
    earlier = [one.revision for one in script.walk_revisions("base", here)]
    return to in earlier[1:]


def _next_number(chain: Chain) -> str:
    return f"{len(list(_script(chain.name).walk_revisions())) + 1:04}"
