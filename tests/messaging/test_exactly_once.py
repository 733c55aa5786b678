"""R2: a retry never makes a second letter. R3: a reader never misses one. Each with a control that must fail."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import select, text
from support.practice import build_practice

from telepsych.core.actor import Actor
from telepsych.core.database import open_engine
from telepsych.core.errors import Conflict, Unavailable
from telepsych.core.ids import new_id
from telepsych.core.work import Practice
from telepsych.messaging import service
from telepsych.messaging.models import Message

if TYPE_CHECKING:
    from support.cast import Cast, Member

LETTERS, TIMES_EACH, CHANGED, THREADS = 40, 22, 120, 8

Send = Callable[[Practice, Actor, UUID, UUID, str], service.Sent]
Answers = dict[tuple[UUID, str], set[tuple[UUID, int] | None]]
"""What all who sent some words under a name were told: which letter it became, or None for a conflict."""


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


def storm(workers: list[Practice], actor: Actor, where: UUID, send: Send, letters: int, changed: int) -> Answers:
    """Send letters many times each, in any order, at once and over all workers; some of them with other words."""
    chance = random.Random(7)
    names = [new_id() for _ in range(letters)]
    attempts = [(name, f"Letter {name}") for name in names for _ in range(TIMES_EACH)]
    attempts += [(name, f"Other words {name}") for name in chance.choices(names, k=changed)]
    chance.shuffle(attempts)
    answers: Answers = {attempt: set() for attempt in attempts}

    def attempt(place: int) -> None:
        name, body = attempts[place]
        try:
            sent = send(workers[place % len(workers)], actor, where, name, body)
            answers[name, body].add((sent.id, sent.seq))
        except Conflict:
            answers[name, body].add(None)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(attempt, range(len(attempts))))
    return answers


def letters_in(cast: "Cast", where: UUID) -> tuple[service.Letter, ...]:
    with cast.begin(cast.patient, writes=False) as work:
        return service.thread(work, where).letters


def doubled(letters: Iterable[service.Letter]) -> list[str]:
    """Words that stand there more than once; every name has words of its own."""
    return [body for body, times in Counter(letter.body for letter in letters).items() if times > 1]


def test_a_thousand_repeats_leave_one_letter_each(cast: "Cast", workers: list[Practice]) -> None:
    where = begun(cast, cast.patient)
    answers = storm(workers, cast.patient.actor(), where, send, LETTERS, CHANGED)
    letters = letters_in(cast, where)
    assert doubled(letters) == []
    assert [letter.seq for letter in letters] == list(range(1, LETTERS + 1))
    kept = {(letter.client_id, letter.body): (letter.id, letter.seq) for letter in letters}
    assert {name for name, _body in kept} == {name for name, _body in answers}
    # Whichever words came first were kept: all who sent those were told the same, all others of the conflict.
    assert answers == {attempt: {kept.get(attempt)} for attempt in answers}
    assert None in set().union(*answers.values())


def test_names_remembered_by_each_worker_for_itself_double_letters(cast: "Cast", workers: list[Practice]) -> None:
    """The control: a server whose workers each remember in memory what they were sent. The same storm must show it."""
    known: dict[tuple[int, UUID], service.Sent] = {}

    def careless(worker: Practice, actor: Actor, where: UUID, name: UUID, body: str) -> service.Sent:
        if (id(worker), name) not in known:
            known[id(worker), name] = send(worker, actor, where, new_id(), body)
        return known[id(worker), name]

    where = begun(cast, cast.patient)
    answers = storm(workers, cast.patient.actor(), where, careless, 3, 0)
    assert len(doubled(letters_in(cast, where))) == 3
    assert any(len(told) > 1 for told in answers.values())


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


def test_a_database_sequence_as_cursor_misses(new_database: Callable[..., str]) -> None:
    """The control on PostgreSQL itself: of two who write at once, the one with the lower number commits last."""
    engine = open_engine(new_database())
    add = text("INSERT INTO letter DEFAULT VALUES RETURNING id")
    seen: list[int] = []

    def look() -> None:
        with engine.connect() as reader:
            after = {"after": max(seen, default=0)}
            seen.extend(reader.scalars(text("SELECT id FROM letter WHERE id > :after ORDER BY id"), after))

    with engine.begin() as setup:
        setup.execute(text("CREATE TABLE letter (id bigserial PRIMARY KEY)"))
    with engine.connect() as slow, engine.connect() as fast:
        assert (slow.scalar(add), fast.scalar(add)) == (1, 2)
        fast.commit()
        look()
        slow.commit()
        look()
        assert fast.scalar(text("SELECT count(*) FROM letter")) == 2
    engine.dispose()
    assert seen == [2]


def test_a_cursor_over_numbers_that_commit_late_misses(cast: "Cast") -> None:
    """The control on both: numbers given out before the commit become visible out of order; a cursor skips one."""
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
