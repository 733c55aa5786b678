"""A practice of a test's own on SQLite and on PostgreSQL, the small cast that everyone knows, and signed-in clients."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from hypothesis import settings
from playwright.sync_api import Browser
from support.browser import running_browser
from support.cast import Cast, Client, Member
from support.postgres import cluster
from support.practice import TUESDAY_MORNING, build_practice
from support.templates import Template, make_template

from telepsych.app import create_app
from telepsych.core.clock import FrozenClock
from telepsych.core.work import Practice

settings.register_profile("telepsych", deadline=None, derandomize=True)
settings.load_profile("telepsych")
"""The same examples everywhere, however slow the machine is."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """A PostgreSQL cluster, by the folder of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="pg.", dir="/tmp"))  # short enough for a socket's path
    try:
        with cluster(folder):
            yield folder
    finally:  # thousands of databases: nobody waits for them to be gone
        subprocess.Popen(["rm", "-rf", str(folder)], start_new_session=True)


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
def browser() -> Iterator[Browser]:
    """One browser for all tests of a process, each with contexts of its own: there can't be two of its drivers."""
    with running_browser() as running:
        yield running


@pytest.fixture(scope="session")
def templates(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Template]:
    """Databases to be copied, made once: with tables and nothing in them, or with the cast in them as well."""
    made: dict[tuple[str, bool], Template] = {}

    def template(kind: str, peopled: bool) -> Template:
        if (kind, peopled) not in made:
            new_database = request.getfixturevalue("new_database") if kind == "postgresql" else None
            made[kind, peopled] = make_template(tmp_path_factory.mktemp("template"), new_database, peopled)
        return made[kind, peopled]

    return template


@pytest.fixture(params=["sqlite", "postgresql"])
def template(request: pytest.FixtureRequest, templates: Callable[..., Template]) -> Template:
    """What this test's databases are copies of: with the cast only where the test asks for it."""
    return templates(request.param, "cast" in request.fixturenames)


@pytest.fixture
def practice(template: Template, tmp_path: Path) -> Iterator[Practice]:
    """A practice whose clock stands still until the test moves it."""
    records, keystore = template.copy_to(tmp_path)
    made = build_practice(tmp_path, records, keystore, FrozenClock(TUESDAY_MORNING))
    yield made
    made.records.dispose()


@pytest.fixture
def cast(practice: Practice, template: Template) -> Cast:
    """Patients, a guardian, their clinician, staff, a manager, and a stranger from another team."""
    assert template.people is not None
    return template.people.at(practice)


@pytest.fixture
def app(practice: Practice) -> Flask:
    """The pages of the practice."""
    return create_app(practice=practice)


@pytest.fixture
def client_for(app: Flask, practice: Practice) -> Callable[[Member], Client]:
    """Makes browsers signed in as a member of the cast."""
    return lambda who: Client(app, practice, who)
