"""R2: a retry never makes a second letter. R3: a reader never misses one. Each with a control that must fail."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import select
from support.practice import build_practice

from telepsych.core.actor import Actor
from telepsych.core.errors import Conflict, Unavailable
from telepsych.core.ids import new_id
from telepsych.core.work import Practice
from telepsych.messaging import service
from telepsych.messaging.models import Message

if TYPE_CHECKING:
    from support.cast import Cast, Member

LETTERS, TIMES_EACH, CHANGED, THREADS = 60, 24, 120, 8


@pytest.fixture
def workers(practice: Practice, tmp_path: Path) -> Iterator[list[Practice]]:
    """Two workers on the same databases, each with connections and keys in memory of its own."""
    settings = practice.settings
    other = build_practice(tmp_path, settings.records_url, settings.keystore_url, practice.clock)
    yield [practice, other]
    other.records.dispose()


def begun(cast: "Cast", who: "Member") -> UUID:
    conversation_id = new_id()
    with cast.begin(who) as work:
        service.open_conversation(work, conversation_id, who.record, "refill", {})
    return conversation_id


def send(worker: Practice, actor: Actor, where: UUID, name: UUID, body: str) -> service.Sent:
    """Send as a browser does: told that nothing could be saved just now, it tries again under the same name."""
    while True:
        try:
            with worker.begin(actor) as work:
                return service.send(work, where, name, body)
        except Unavailable:
            continue


def test_thousands_of_repeats_leave_one_letter_each(cast: "Cast", workers: list[Practice]) -> None:
    where, actor = begun(cast, cast.patient), cast.patient.actor()
    names = [new_id() for _ in range(LETTERS)]
    attempts = [(name, f"Letter {name}") for name in names for _ in range(TIMES_EACH)]
    attempts += [(random.choice(names), "Other words") for _ in range(CHANGED)]
    random.Random(7).shuffle(attempts)
    answers: dict[UUID, set[tuple[UUID, int]]] = {name: set() for name in names}
    refused: Counter[UUID] = Counter()
    lock = threading.Lock()

    def attempt(place: int) -> None:
        name, body = attempts[place]
        try:
            sent = send(workers[place % 2], actor, where, name, body)
            with lock:
                answers[name].add((sent.id, sent.seq))
        except Conflict:
            with lock:
                refused[name] += 1

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(attempt, range(len(attempts))))
    with cast.begin(cast.patient, writes=False) as work:
        letters = service.thread(work, where).letters
    assert [letter.seq for letter in letters] == list(range(1, LETTERS + 1))
    assert {letter.client_id for letter in letters} == set(names)
    assert all(len(given) == 1 for given in answers.values())
    assert sum(refused.values()) >= CHANGED  # whichever words came first were kept, all others told so


def test_a_check_before_the_lock_alone_would_duplicate() -> None:
    """The control: of two that look, see nothing and then insert, both insert. The service looks again in the lock."""
    kept: list[str] = []
    both_have_looked = threading.Barrier(2)

    def careless() -> None:
        seen = "name" in kept
        both_have_looked.wait(5)
        if not seen:
            kept.append("name")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(careless) for _ in range(2)]:
            done.result()
    assert len(kept) == 2


def test_a_reader_beside_eight_writers_misses_nothing(cast: "Cast", workers: list[Practice]) -> None:
    where, actor, each = begun(cast, cast.patient), cast.patient.actor(), 12
    reader = cast.staff.actor()
    done = threading.Event()

    def write(number: int) -> None:
        for place in range(each):
            send(workers[number % 2], actor, where, new_id(), f"{number}/{place}")

    def read() -> list[int]:
        seen: list[int] = []
        up_to, last_look = 0, False
        while True:
            with workers[1].begin(reader, writes=False) as work:
                found = service.sync(work, where, up_to)
            seen += [event["seq"] for event in found.events]
            up_to = found.up_to
            if last_look and not found.events:
                return seen
            last_look = done.is_set()

    with ThreadPoolExecutor(9) as pool:
        reading = pool.submit(read)
        list(pool.map(write, range(8)))
        done.set()
        assert reading.result(60) == list(range(1, 8 * each + 1))


def test_a_cursor_over_numbers_that_commit_late_misses(cast: "Cast") -> None:
    """The control: numbers given out before the commit become visible out of order, and a cursor skips the late one."""
    where = begun(cast, cast.patient)
    early, late = new_id(), new_id()  # as a database sequence hands them out: in order, before anything commits
    seen_by_cursor: list[UUID] = []

    def look() -> None:
        after = seen_by_cursor[-1] if seen_by_cursor else UUID(int=0)
        with cast.system(writes=False) as work:
            found = work.all(select(Message).where(Message.client_id > after).order_by(Message.client_id))
        seen_by_cursor.extend(row.client_id for row in found)

    seen_by_sync, up_to = [], 0
    for name in (late, early):
        with cast.begin(cast.patient) as work:
            service.send(work, where, name, f"Letter {name}")
        look()
        with cast.begin(cast.patient, writes=False) as work:
            found = service.sync(work, where, up_to)
        seen_by_sync += [UUID(event["client_id"]) for event in found.events]
        up_to = found.up_to
    assert seen_by_cursor == [late]
    assert seen_by_sync == [late, early]
