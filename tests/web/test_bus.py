"""News leaves with its transaction and reaches whoever listened before it, once and in order."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_lab import Lab
from live_processes import wait_until
from sqlalchemy import func, select, text

from telepsych.core.actor import system
from telepsych.core.clock import MINUTE, FrozenClock
from telepsych.core.errors import Refused
from telepsych.core.work import News
from telepsych.web.bus import LARGEST_NOTICE, listener_for, notices, prune, read_notice
from telepsych.web.models import LiveTicket, NewsRow

SOON = 10.0
END_LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'telepsych-live'"


class Over(Exception):
    """There is nothing to listen to any more."""


class Ear:
    """Listens in a thread."""

    def __init__(self, lab: Lab) -> None:
        self.heard: list[News] = []
        self._more = threading.Condition()
        self._listener = listener_for(lab.practice.records, self._sleep)
        self._lab = lab
        self._listener.open()
        threading.Thread(target=self._listen, args=(self._listener.news(),), daemon=True).start()

    def _sleep(self, seconds: float) -> None:
        """As the listener asks; once the practice is gone, so is whoever listened to it."""
        time.sleep(seconds)
        if self._lab.is_over:
            raise Over

    def _listen(self, news: Iterator[News]) -> None:
        with suppress(Over):
            for one in news:
                with self._more:
                    self.heard.append(one)
                    self._more.notify_all()

    def wait_for(self, count: int) -> list[News]:
        """The first news, once there is as much of it."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.heard) >= count, SOON), self.heard
            return list(self.heard)


def test_committed_news_is_heard_by_every_listener(lab: Lab) -> None:
    first, second, people = Ear(lab), Ear(lab), (uuid4(), uuid4())
    lab.tell(people, "conversation:news", conversation=UUID(int=5), seq=41)
    for ear in (first, second):
        [news] = ear.wait_for(1)
        assert news.name == "conversation:news"
        assert news.people == tuple(sorted(people))
        assert news.ids == {"conversation": str(UUID(int=5)), "seq": 41}


def test_news_of_an_act_that_failed_is_never_heard(lab: Lab) -> None:
    ear, person = Ear(lab), uuid4()

    def act(work: object) -> None:
        work.announce([person], "queue:news", n=1)
        work.session.flush()
        raise Refused

    with pytest.raises(Refused):
        lab.do(act)
    lab.tell([person], "queue:news", n=2)
    assert [news.ids["n"] for news in ear.wait_for(1)] == [2]


def test_news_from_before_listening_is_not_repeated(lab: Lab) -> None:
    person = uuid4()
    lab.tell([person], "queue:news", n=1)
    ear = Ear(lab)
    lab.tell([person], "queue:news", n=2)
    assert [news.ids["n"] for news in ear.wait_for(1)] == [2]


def test_concurrent_acts_are_each_heard_once(lab: Lab) -> None:
    ear, person = Ear(lab), uuid4()

    def tell(start: int) -> None:
        for n in range(start, start + 20):
            lab.tell([person], "queue:news", n=n)

    writers = [threading.Thread(target=tell, args=(start,)) for start in (0, 20, 40)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(news.ids["n"] for news in ear.wait_for(60)) == list(range(60))


def test_news_for_very_many_people_arrives_whole(lab: Lab) -> None:
    ear, people = Ear(lab), {uuid4() for _ in range(1_000)}
    lab.tell(people, "queue:news", n=1)
    heard: set[UUID] = set()
    for count in range(1, 50):
        heard = {person for news in ear.wait_for(count) for person in news.people}
        if heard == people:
            return
    raise AssertionError(len(heard))


def test_a_lost_database_is_taken_up_again(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    ear, person = Ear(lab), uuid4()
    if lab.practice.records.dialect.name == "sqlite":
        lab.do(lambda work: work.session.execute(text("ALTER TABLE news RENAME TO elsewhere")))
    else:
        lab.do(lambda work: work.session.execute(text(END_LISTENERS)))
    wait_until(lambda: any(record.getMessage().startswith("news: ") for record in caplog.records))
    if lab.practice.records.dialect.name == "sqlite":
        lab.do(lambda work: work.session.execute(text("ALTER TABLE elsewhere RENAME TO news")))

    def heard_something_new() -> bool:
        lab.tell([person], "queue:news", n=1)
        return bool(ear.heard)

    wait_until(heard_something_new)


def test_old_news_and_tickets_are_deleted_but_the_last_number_stays_taken(lab: Lab) -> None:
    who, person = lab.sign_in(), uuid4()
    who.ticket()
    lab.tell([person], "queue:news", n=1)
    lab.tell([person], "queue:news", n=2)
    ear = Ear(lab)
    practice, later = lab.practice, FrozenClock(lab.practice.clock.now() + 20 * MINUTE)
    practice.clock = later
    with practice.begin(system("prune")) as work:
        prune(work)
    assert lab.do(lambda work: work.session.scalar(select(func.count(LiveTicket.id)))) == 0
    kept = lab.do(lambda work: work.session.scalar(select(func.count(NewsRow.id))))
    assert kept == (1 if practice.records.dialect.name == "sqlite" else 0)
    lab.tell([person], "queue:news", n=3)
    assert [news.ids["n"] for news in ear.wait_for(1)] == [3]


def test_pruning_leaves_what_is_recent(lab: Lab) -> None:
    person = uuid4()
    ticket = lab.sign_in().ticket()
    lab.tell([person], "queue:news", n=1)
    lab.tell([person], "queue:news", n=2)
    with lab.practice.begin(system("prune")) as work:
        prune(work)
    assert ticket
    assert lab.do(lambda work: work.session.scalar(select(func.count(LiveTicket.id)))) == 1
    kept = lab.do(lambda work: work.session.scalar(select(func.count(NewsRow.id))))
    assert kept == (2 if lab.practice.records.dialect.name == "sqlite" else 0)


IDS = st.dictionaries(st.from_regex(r"[a-z]{1,12}", fullmatch=True), st.uuids().map(str) | st.integers(0, 2**53))


@given(st.lists(st.uuids(), min_size=1, max_size=600, unique=True), IDS)
def test_notifications_fit_and_lose_nobody(people: list[UUID], ids: dict[str, str | int]) -> None:
    parts = list(notices(News(tuple(people), "queue:news", ids)))
    assert all(len(part.encode()) <= LARGEST_NOTICE for part in parts)
    read = [read_notice(part) for part in parts]
    assert [person for news in read for person in news.people] == people
    assert all((news.name, news.ids) == ("queue:news", ids) for news in read)


@given(st.text() | st.sampled_from(["null", "[]", "{}", '{"people": ["x"], "name": "n", "ids": {}}', '{"people": 1}']))
def test_a_notification_that_is_not_ours_is_passed_over(notice: str) -> None:
    assert read_notice(notice) is None
