"""The matrix's practice: made once on each database."""

from collections.abc import Callable, Iterator

import pytest
from support.practice import TUESDAY_MORNING, build_practice
from support.templates import Template

from house.matrix.world import World, build
from telepsych.core.clock import FrozenClock


def _world(kind: str, templates: Callable[..., Template], folders: pytest.TempPathFactory) -> Iterator[World]:
    template, folder = templates(kind, True), folders.mktemp("matrix")
    assert template.people is not None
    practice = build_practice(folder, *template.copy_to(folder), FrozenClock(TUESDAY_MORNING))
    yield build(practice, template.people.at(practice))
    practice.records.dispose()


@pytest.fixture(scope="session")
def world(templates: Callable[..., Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """On SQLite, where the whole matrix runs."""
    yield from _world("sqlite", templates, tmp_path_factory)


@pytest.fixture(scope="session")
def world_on_postgres(templates: Callable[..., Template], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """On PostgreSQL, where a thin slice of it runs."""
    yield from _world("postgresql", templates, tmp_path_factory)
