"""The fictional practice served by real processes, with a real relay, for journeys in real browsers."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from server.support_server import serving
from visits.lab_services import running_relay

from stories.browser import Someone, somebody
from telepsych.app import open_practice
from telepsych.core.settings import Settings
from telepsych.demo.seed import ACCOUNTS, seed
from telepsych.server.commands import prepare

PRESENT = pytest.StashKey[list[Someone]]()


@dataclass(frozen=True)
class Place:
    """A practice at work."""

    origin: str
    data: Path
    zone: str
    accounts: dict[str, dict[str, str]]
    """Sign-ins by the first part of their address."""


def zone_where_it_is_noon() -> str:
    """Visits are booked by day; a suite runs at any hour."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"  # the sign of these names is turned round


@contextmanager
def practice_at_work(data: Path, **settings: str) -> Iterator[Place]:
    """The fictional practice in a folder, served until the block ends."""
    zone = zone_where_it_is_noon()
    chosen = settings | {"zone": zone}
    loaded = Settings.load(data, {f"TELEPSYCH_{name.upper()}": value for name, value in chosen.items()})
    prepare(loaded)
    practice = open_practice(loaded)
    seed(practice, visits=False)
    practice.records.dispose()
    people = json.loads((data / ACCOUNTS).read_text(encoding="utf-8"))
    with serving(data, **chosen) as served:
        accounts = {one["email"].split("@")[0]: one for one in people}
        yield Place(f"http://127.0.0.1:{served.port}", data, zone, accounts)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The practice on one kind of database, with a relay that media has to go through."""
    more: dict[str, str] = {}
    if request.param == "postgresql":
        new_database = request.getfixturevalue("new_database")
        more = {"records_url": new_database(), "keystore_url": new_database()}
    relay_folder = tmp_path / "relay"
    relay_folder.mkdir()
    data = tmp_path / "data"
    data.mkdir()
    with running_relay(relay_folder) as relay:
        turn = {"turn_urls": ",".join(relay.urls), "turn_secret": relay.secret}
        with practice_at_work(data, **turn, **more) as running:
            yield running


@pytest.fixture
def arrives(request: pytest.FixtureRequest, browser: Browser, place: Place) -> Iterator[Callable[..., Someone]]:
    """Lets people arrive at their browsers; they all leave at the end."""
    request.node.stash[PRESENT] = present = []

    def arrive(name: str, **how: bool) -> Someone:
        present.append(everybody.enter_context(somebody(browser, place.origin, name, **how)))
        return present[-1]

    with ExitStack() as everybody:
        yield arrive


def pytest_exception_interact(node: pytest.Item, report: pytest.TestReport) -> None:
    """When a story breaks, its report says where everybody was."""
    for person in node.stash.get(PRESENT, []):
        report.sections.append((person.name, person.what_was_seen()))
