"""R1: a letter that the server acknowledged survives the death of any worker, exactly once and in its place."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.cast import Cast, Client, assemble

from telepsych.core.clock import SystemClock
from telepsych.core.ids import new_id
from telepsych.core.work import Practice

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
def sending(group: Group, client: Client, record: Record) -> Iterator[tuple[Browser, str]]:
    """Several clients that write into one conversation until the block ends."""
    browser = Browser(group.port, client)
    conversation = f"/api/conversations/{new_id()}"
    status, answer = browser.ask("PUT", conversation, {"reason": "refill", "details": {}})
    assert status == 201, answer
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        writing = [pool.submit(browser.write, conversation, record, stop) for _ in range(CLIENTS)]
        try:
            yield browser, conversation
        finally:
            stop.set()
    for one in writing:
        one.result()


def test_fifty_deaths_lose_nothing_and_double_nothing(
    living: Cast, client_for: "Callable[[Member], Client]", practice: Practice
) -> None:
    record = Record()
    with running(practice, WORKERS, REAL) as group:
        with sending(group, client_for(living.patient), record) as (browser, conversation):
            kill_while_sending(group, WORKERS, record, KILLS)
        events = browser.everything(conversation)
    assert record.unexpected == []
    assert len(record.acknowledged) >= 2 * KILLS
    assert record.attempts > len(record.acknowledged)  # some answers were lost, or nothing was tried here
    assert record.lost(events) == set()
    assert duplicated(events) == []
    assert holes(events) == set()
    assert record.misplaced(events) == set()


def test_a_server_that_answers_before_it_commits_is_caught(
    living: Cast, client_for: "Callable[[Member], Client]", practice: Practice
) -> None:
    record = Record()
    with running(practice, WORKERS, CARELESS) as group:
        with sending(group, client_for(living.patient), record) as (browser, conversation):
            kill_while_sending(group, WORKERS, record, 5)
        events = browser.everything(conversation)
    assert record.lost(events)
