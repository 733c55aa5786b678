"""Live groups to connect to."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_lab import Lab
from live_processes import LiveGroup, running_group


def _address(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'records' / 'records.sqlite'}"
    return str(request.getfixturevalue("new_database")())


@contextmanager
def _laboratory(folder: Path, address: str) -> Iterator[Lab]:
    made = Lab(folder, address).create_tables()
    yield made
    made.is_over = True
    made.practice.records.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """A practice of a test's own, on both kinds of database."""
    with _laboratory(tmp_path, _address(request.param, tmp_path, request)) as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def live_group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGroup]:
    """A live group of one gevent worker that the tests of a module share, on both kinds of database."""
    folder = tmp_path_factory.mktemp("live")
    with _laboratory(folder, _address(request.param, folder, request)) as lab, running_group(lab) as group:
        yield group


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def halves(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveGroup, LiveGroup]]:
    """Two live groups of one practice: the first hears news and never sweeps, the second sweeps and hears none."""
    folder = tmp_path_factory.mktemp("live")
    with (
        _laboratory(folder, _address(request.param, folder, request)) as lab,
        running_group(lab, LAB_SWEEP="off") as news_only,
        running_group(lab, LAB_NEWS="lost") as deaf,
    ):
        yield news_only, deaf


@pytest.fixture(scope="module")
def sqlite_group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGroup]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    with _laboratory(tmp_path_factory.mktemp("live"), "") as lab, running_group(lab) as group:
        yield group


@pytest.fixture(scope="session")
def start_group() -> Callable[..., AbstractContextManager[LiveGroup]]:
    """Starts live groups of any size."""
    return running_group
