"""`/readyz`: ready, or the reason why not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.practice import build_practice

from telepsych import migrations
from telepsych.core.clock import MINUTE, FrozenClock
from telepsych.core.work import Practice
from telepsych.server import beat
from telepsych.server.health import readiness

NOW = 1_795_532_400_000_000


@pytest.fixture(params=["sqlite", "postgresql"])
def ready(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Practice]:
    """A practice at its newest revision, whose worker has just been round."""
    sqlite = (f"sqlite:///{tmp_path / 'records.sqlite'}", f"sqlite:///{tmp_path / 'keystore.sqlite'}")
    addresses = sqlite if request.param == "sqlite" else (request.getfixturevalue("new_database")(),) * 2
    made = build_practice(tmp_path, *addresses, FrozenClock(NOW))
    migrations.upgrade(made.settings)
    beat.write(made.settings, beat.Beat(NOW, 1))
    yield made
    made.records.dispose()


def parts(practice: Practice) -> list[str]:
    return [fault.part for fault in readiness(practice)]


def test_ready(ready: Practice) -> None:
    assert readiness(ready) == []


def test_a_worker_that_stopped(ready: Practice) -> None:
    assert isinstance(ready.clock, FrozenClock)
    ready.clock.move(MINUTE + 1)
    assert parts(ready) == ["worker"]


@pytest.mark.parametrize("name", ["records", "keystore"])
def test_a_database_behind_the_program(ready: Practice, name: str) -> None:
    chain = next(chain for chain in migrations.chains() if chain.name == name)
    migrations.move(chain, chain.url(ready.settings), "base")
    (fault,) = readiness(ready)
    assert (fault.part, "newest revision" in fault.sentence) == (name, True)


def test_databases_that_are_away(tmp_path: Path, ready: Practice) -> None:
    away = f"postgresql+psycopg://somebody:secret@/none?host={tmp_path}"
    other = build_practice(tmp_path, away, away, FrozenClock(NOW))
    found = readiness(other)
    assert [fault.part for fault in found] == ["records", "keystore"]
    assert all("secret" not in fault.sentence for fault in found)
