"""Each revision of both chains goes up and down with data in every table, on both databases (R18)."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, MetaData, Table, Uuid, func, inspect, select, types
from sqlalchemy.schema import Column

from telepsych import migrations
from telepsych.core.database import open_engine
from telepsych.core.errors import Unavailable
from telepsych.core.settings import Settings
from telepsych.migrations import Chain, chains, differences, move, place_of, upgrade

CHAINS = {chain.name: chain for chain in chains()}
REVISIONS = [
    (chain, one.revision) for chain in CHAINS.values() for one in migrations._script(chain.name).walk_revisions()
]


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    return str(request.getfixturevalue("new_database")())


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    made = open_engine(address)
    yield made
    made.dispose()


def tables_of(chain: Chain, engine: Engine) -> MetaData:
    """What is really there, but for the chain's own place."""
    found = MetaData()
    found.reflect(engine, only=lambda name, _: name != chain.table)
    return found


def some_value(column: "Column[Any]", connection: Connection) -> Any:
    for key in column.foreign_keys:
        return connection.execute(select(key.column).limit(1)).scalar_one()
    kind = column.type
    if isinstance(kind, Uuid):
        return uuid4()
    if isinstance(kind, types.CHAR) and kind.length == 32:
        return uuid4().hex
    samples: tuple[tuple[type[types.TypeEngine[Any]], Any], ...] = (
        (types.Boolean, True),
        (types.JSON, {}),
        (types.String, "x"),
        (types.LargeBinary, b"x"),
        (types.Float, 1.0),
        (types.Integer, 1),
    )
    return next(value for sort, value in samples if isinstance(kind, sort))


def fill(tables: MetaData, engine: Engine) -> None:
    """One row in every table that is empty."""
    with engine.execution_options(telepsych_writes=True).begin() as connection:
        for table in tables.sorted_tables:
            if not count(table, connection):
                connection.execute(table.insert().values({c.name: some_value(c, connection) for c in table.columns}))


def count(table: Table, connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.mark.parametrize(("chain", "revision"), REVISIONS, ids=lambda one: getattr(one, "name", one))
def test_a_revision_goes_up_and_down_with_data(chain: Chain, revision: str, address: str, engine: Engine) -> None:
    before = migrations._script(chain.name).get_revision(revision).down_revision or "base"
    if before != "base":
        move(chain, address, str(before))
    old = tables_of(chain, engine)
    fill(old, engine)

    move(chain, address, revision)
    assert place_of(chain, address) == revision
    fill(tables_of(chain, engine), engine)

    engine.dispose()
    move(chain, address, str(before))
    assert place_of(chain, address) == (None if before == "base" else before)
    assert set(tables_of(chain, engine).tables) == set(old.tables)
    with engine.connect() as connection:
        assert [table.name for table in old.sorted_tables if not count(table, connection)] == []

    engine.dispose()
    move(chain, address, revision)
    assert place_of(chain, address) == revision


@pytest.mark.parametrize("chain", CHAINS.values(), ids=lambda one: one.name)
def test_the_migrated_schema_is_what_the_models_say(chain: Chain, address: str) -> None:
    """When this fails, a model has changed: `telepsych db revision "what changed"`."""
    move(chain, address, "head")
    assert differences(chain, address) == []


def test_both_chains_may_share_one_postgresql_database(tmp_path: Path, new_database: Callable[..., str]) -> None:
    address = new_database()
    settings = Settings.load(tmp_path, {"TELEPSYCH_RECORDS_URL": address, "TELEPSYCH_KEYSTORE_URL": address})
    assert not migrations.is_current(settings)
    upgrade(settings)
    upgrade(settings)  # nothing left to do
    assert migrations.is_current(settings)
    for chain in CHAINS.values():
        assert differences(chain, address) == []


def test_the_two_chains_have_files_of_their_own(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {})
    assert not migrations.is_current(settings)
    assert not (tmp_path / "records").exists()  # asking makes nothing
    upgrade(settings)
    assert migrations.is_current(settings)
    engine = open_engine(settings.keystore)
    assert set(inspect(engine).get_table_names()) == {*CHAINS["keystore"].metadata.tables, CHAINS["keystore"].table}
    engine.dispose()


def test_a_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    nowhere = f"postgresql+psycopg://postgres@/none?host={tmp_path}"
    settings = Settings.load(tmp_path, {"TELEPSYCH_RECORDS_URL": nowhere})
    with pytest.raises(Unavailable, match="records"):
        upgrade(settings)


def test_a_change_of_the_models_becomes_a_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `telepsych db revision` writes brings a database of the revision before to what the models say."""
    shutil.copytree(migrations.HERE, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "HERE", tmp_path / "migrations")
    migrations._script.cache_clear()
    try:
        whole = CHAINS["keystore"]
        changed = Chain("keystore", MetaData(naming_convention=whole.metadata.naming_convention))
        for table in whole.metadata.sorted_tables:
            table.to_metadata(changed.metadata)
        changed.metadata.tables["data_key"].append_column(Column("used_at", types.BigInteger))
        before, url = changed.head, f"sqlite:///{tmp_path / 'old.sqlite'}"
        move(changed, url, "head")
        made = migrations.revise(changed, "when a key was used")
        assert made is not None
        assert "used_at" in made.read_text(encoding="utf-8")
        move(changed, url, "head")
        assert differences(changed, url) == []
        move(changed, url, str(before))
        assert differences(whole, url) == []
        assert migrations.revise(changed, "nothing") is None
    finally:
        migrations._script.cache_clear()


def test_a_move_that_would_leave_rows_pointing_nowhere_is_not_kept(tmp_path: Path) -> None:
    """SQLite makes tables anew with foreign keys off; what would be lost by that is looked for before it is kept."""
    chain, url = CHAINS["keystore"], f"sqlite:///{tmp_path / 'keystore.sqlite'}"
    move(chain, url, "0001")
    engine = open_engine(url)
    wrap = tables_of(chain, engine).tables["key_wrap"]
    values = {"data_key_id": uuid4().hex, "recipient": "root", "recipient_id": "x", "wrapped": b"x", "created_at": 1}
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.execute(wrap.insert().values(id=uuid4().hex, **values))
        connection.commit()
    engine.dispose()
    with pytest.raises(Unavailable, match="rows of key_wrap would point"):
        move(chain, url, "head")
    assert place_of(chain, url) == "0001"
