"""SQLite's rules, and one writer at a time."""

import threading
from pathlib import Path

import pytest

from telepsych.core import database
from telepsych.core.database import WriteLock, open_engine, wal_is_safe
from telepsych.core.errors import Unavailable


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 46, 1), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
    ],
)
def test_wal_is_refused_exactly_on_affected_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], safe: bool
) -> None:
    """R8."""
    assert wal_is_safe(version) is safe
    monkeypatch.setattr(database, "sqlite_version", lambda: version)
    engine = open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == ("wal" if safe else "delete")
    engine.dispose()


def test_durability_is_full(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with engine.connect() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "foreign_keys", "secure_delete")
        ]
    assert values == [2, 1, 1]
    engine.dispose()


def test_a_writer_waits_its_turn_and_not_for_ever(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    first, second = WriteLock(engine, 5), WriteLock(engine, 0.2)
    holds, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with first.held():
            holds.set()
            go_on.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait(10)
    with pytest.raises(Unavailable), second.held():
        pass
    go_on.set()
    thread.join()
    with second.held():
        pass
    engine.dispose()
