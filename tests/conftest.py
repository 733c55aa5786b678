"""A practice of a test's own on SQLite and on PostgreSQL, the small cast that everyone knows, and signed-in clients."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from flask import Flask
from support.postgres import cluster
from support.practice import build_practice, create_tables

from telepsych.core.clock import FrozenClock
from telepsych.core.work import Practice

if TYPE_CHECKING:
    from support.cast import Cast, Client, Member

TUESDAY_MORNING = 1_795_532_400_000_000
"""Tuesday, November 24, 2026, 10:00 in New Haven."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """A PostgreSQL cluster, by the folder of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="pg.", dir="/tmp"))  # short enough for a socket's path
    try:
        with cluster(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database(postgres: Path) -> Callable[..., str]:
    """Makes databases, empty or like a template. Returns their address."""
    made = count()

    def make(template: str = "template1") -> str:
        name = f"test{next(made)}"
        with psycopg.connect(host=str(postgres), user="postgres", dbname="postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql+psycopg://postgres@/{name}?host={postgres}"

    return make


@pytest.fixture(scope="session")
def postgres_template(new_database: Callable[..., str]) -> str:
    """A database with every table of both chains, to be copied."""
    address = new_database()
    create_tables(address, address)
    return address.split("@/")[1].split("?")[0]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as two files."""
    folder = tmp_path_factory.mktemp("template")
    create_tables(f"sqlite:///{folder / 'records.sqlite'}", f"sqlite:///{folder / 'keystore.sqlite'}")
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The addresses of records and keystore, with tables and nothing in them."""
    if request.param == "postgresql":
        address = request.getfixturevalue("new_database")(request.getfixturevalue("postgres_template"))
        return address, address
    template: Path = request.getfixturevalue("sqlite_template")
    addresses = []
    for name in ("records", "keystore"):
        (tmp_path / name).mkdir()
        shutil.copy(template / f"{name}.sqlite", tmp_path / name / f"{name}.sqlite")
        addresses.append(f"sqlite:///{tmp_path / name / f'{name}.sqlite'}")
    return addresses[0], addresses[1]


@pytest.fixture
def practice(database: tuple[str, str], tmp_path: Path) -> Iterator[Practice]:
    """A practice whose clock stands still until the test moves it."""
    records, keystore = database
    made = build_practice(tmp_path, records, keystore, FrozenClock(TUESDAY_MORNING))
    yield made
    made.records.dispose()


@pytest.fixture
def cast(practice: Practice) -> "Cast":
    """Patients, a guardian, their clinician, staff, a manager, and a stranger from another team."""
    from support.cast import assemble

    return assemble(practice)


@pytest.fixture
def app(practice: Practice) -> Flask:
    """The pages of the practice."""
    from telepsych.app import create_app

    return create_app(practice=practice)


@pytest.fixture
def client_for(app: Flask, practice: Practice) -> "Callable[[Member], Client]":
    """Makes browsers signed in as a member of the cast."""
    from support.cast import Client

    return lambda who: Client(app, practice, who)
