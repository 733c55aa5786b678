"""Both databases refuse to change or remove what the audit trail holds, however the tables were made."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import DBAPIError
from support.trail import note_down, sequence

from telepsych.audit import guards
from telepsych.audit.models import AuditAnchor, AuditWitness
from telepsych.core.actor import command
from telepsych.core.database import open_engine
from telepsych.core.work import Practice
from telepsych.migrations import chains, move


def refused(engine: Engine, statement: str) -> bool:
    try:
        with engine.execution_options(telepsych_writes=True).begin() as connection:
            connection.execute(text(statement))
    except DBAPIError as problem:
        return guards.SENTENCE in str(problem)
    return False


@pytest.mark.parametrize("table", guards.TABLES)
def test_nothing_is_changed_or_removed(practice: Practice, table: str) -> None:
    note_down(practice, 260)
    sequence(practice, 260)
    with practice.begin(command("test"), public="test") as work:
        work.session.execute(insert(AuditAnchor), [{"at": 1, "kind": "file", "place": "x", "size": 260}])
        seen = {"at": 1, "origin": "x", "size": 1, "root": b"", "note": ""}
        work.session.execute(insert(AuditWitness), [seen])
    acts = [f"UPDATE {table} SET {first(practice, table)} = {first(practice, table)}", f"DELETE FROM {table}"]
    if practice.records.dialect.name == "postgresql":
        acts.append(f"TRUNCATE {table} CASCADE")
    else:
        acts.append(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    for act in acts:
        assert refused(practice.records, act), act
    with practice.records.connect() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() > 0


def first(practice: Practice, table: str) -> str:
    with practice.records.connect() as connection:
        return next(iter(connection.execute(text(f"SELECT * FROM {table}")).keys()))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_migrations_and_models_make_the_same_guards(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, practice_guards: Callable[[str], set[str]]
) -> None:
    address = f"sqlite:///{tmp_path / 'moved.sqlite'}"
    if kind == "postgresql":
        address = request.getfixturevalue("new_database")()
    move(chains()[1], address, "head")
    engine = open_engine(address)
    assert triggers(engine) == practice_guards(kind)
    assert len(triggers(engine)) == len(guards.TABLES) * (2 if kind == "sqlite" else 1)
    engine.dispose()


@pytest.fixture
def practice_guards(templates: Callable[..., object], tmp_path: Path) -> Callable[[str], set[str]]:
    """The guards of tables that were made from the models."""

    def of(kind: str) -> set[str]:
        records, _ = templates(kind, False).copy_to(tmp_path)  # type: ignore[attr-defined]
        engine = open_engine(records)
        found = triggers(engine)
        engine.dispose()
        return found

    return of


def triggers(engine: Engine) -> set[str]:
    asked = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT pg_get_triggerdef(oid) || pg_get_functiondef(tgfoid) FROM pg_trigger "
        "WHERE NOT tgisinternal",
    }
    with engine.connect() as connection:
        return set(connection.execute(text(asked[engine.dialect.name])).scalars())
