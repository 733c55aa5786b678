"""R1: a letter that the server acknowledged survives the death of any worker, exactly once and in its place."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from support.cast import Cast, Client, assemble
from support.postgres import wait_until

from telepsych.core.clock import SystemClock
from telepsych.core.ids import new_id
from telepsych.core.work import Practice
from telepsych.messaging import service

from .harness import CARELESS, REAL, Browser, Group, Record, duplicated, holes, kill_while_sending, running

if TYPE_CHECKING:
    from support.cast import Member

KILLS, WORKERS, CLIENTS = 50, 3, 6

pytestmark = pytest.mark.timeout(420)


@pytest.fixture
def living(practice: Practice) -> Cast:
    """The cast in a practice whose clock goes, like that of the servers."""
    practice.clock = SystemClock()
    return assemble(practice)


@contextmanager
def sending(group: Group, client: Client, record: Record) -> Iterator[UUID]:
    """Several clients that write into one conversation until the block ends. Its id is given."""
    browser, conversation_id = Browser(group.port, client), new_id()
    conversation = f"/api/conversations/{conversation_id}"
    status, answer = browser.ask("PUT", conversation, {"reason": "refill", "details": {}})
    assert status == 201, answer
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        writing = [pool.submit(browser.write, conversation, record, stop) for _ in range(CLIENTS)]
        try:
            yield conversation_id
        finally:
            stop.set()
    for one in writing:
        one.result()


def standing(cast: Cast, conversation_id: UUID) -> list[dict[str, Any]]:
    """All letters as they stand in the database, from the beginning."""
    events: list[dict[str, Any]] = []
    with cast.begin(cast.patient, writes=False) as work:
        while (found := service.sync(work, conversation_id, len(events))).events:
            events += found.events
    return events


def test_fifty_deaths_lose_nothing_and_double_nothing(
    living: Cast, client_for: "Callable[[Member], Client]", practice: Practice
) -> None:
    record = Record()
    client = client_for(living.patient)
    with running(practice, WORKERS, REAL) as group, sending(group, client, record) as conversation_id:
        kill_while_sending(group, WORKERS, record, KILLS)
    events = standing(living, conversation_id)
    assert record.unexpected == []
    assert len(record.acknowledged) >= 2 * KILLS
    assert record.attempts > len(record.acknowledged)  # some answers were lost, or nothing was tried here
    assert record.lost(events) == set()
    assert duplicated(events) == []
    assert holes(events) == set()
    assert record.misplaced(events) == set()


@pytest.mark.parametrize("kills", [0, 5])
def test_a_server_that_answers_before_it_commits_is_caught(
    living: Cast, client_for: "Callable[[Member], Client]", practice: Practice, kills: int
) -> None:
    """The control: without a death it keeps everything and looks honest; with a few, letters are missing."""
    record = Record()
    client = client_for(living.patient)
    with running(practice, WORKERS, CARELESS) as group, sending(group, client, record) as conversation_id:
        kill_while_sending(group, WORKERS, record, kills, letters=20)
        wait_until(lambda: len(record.acknowledged) >= 30, 60)
    events = standing(living, conversation_id)
    assert record.unexpected == []
    assert bool(record.lost(events)) is (kills > 0)
