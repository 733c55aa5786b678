"""A session that ends takes its sockets with it within two sweeps, with or without news of it, and stays ended."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from live_client import Page
from live_lab import Lab, SignedIn
from live_processes import LiveGroup

from telepsych.accounts.models import Person
from telepsych.core.actor import Actor
from telepsych.core.clock import HOUR
from telepsych.core.errors import SignInNeeded
from telepsych.core.work import Work
from telepsych.web import live, sessions
from telepsych.web.live_events import FRESH, answer_event
from telepsych.web.models import SignInSession

LATEST = 60.0
"""Seconds that a test waits for what must happen. How soon it happens is counted in sweeps, not measured."""


def raise_epoch(who: SignedIn) -> None:
    def act(work: Work) -> None:
        work.session.get(Person, who.person).epoch += 1

    who.lab.do(act)


def delete_row(who: SignedIn) -> None:
    who.lab.do(lambda work: work.session.delete(work.session.get(SignInSession, who.session)))


def long_ago(who: SignedIn, hours: int) -> int:
    return who.lab.practice.clock.now() - hours * HOUR


SILENT_ENDS: dict[str, tuple[Callable[[SignedIn], None], bool]] = {
    "ended": (lambda who: who.change(ended_at=1), False),
    "locked": (lambda who: who.change(locked_at=1), True),
    "idle": (lambda who: who.change(seen_at=long_ago(who, 1)), True),
    "too old": (lambda who: who.change(started_at=long_ago(who, 25)), False),
    "epoch": (raise_epoch, False),
    "deleted": (delete_row, False),
}


class Watch:
    """Counts the sweeps between the end of sessions and their sockets being put out, from a bystander's page.

    `began` is read when the end is committed: every sweep that begins later sees it. So a socket that is put out in the
    very next one waited for at most two sweeps, one that was under way and one more.
    """

    def __init__(self, group: LiveGroup) -> None:
        self._page = Page(group.port, group.lab.sign_in())
        self.began = self._rounds("")["started"]

    def rounds_until_out(self, who: SignedIn) -> int:
        """How many sweeps began between the end and this session's sockets being put out."""
        return int(self._rounds(str(who.session))["put_out"]) - self.began

    def _rounds(self, session: str) -> dict[str, Any]:
        answer = self._page.emit("lab:rounds", {"session": session})
        assert answer["ok"], "the bystander is still in"
        return answer


def put_out(page: Page, locked: bool = False) -> None:
    """The page is told, its socket closes, and nothing is heard after it."""
    page.hear(lambda page: page.closed, LATEST)
    assert page.events[-1:] == [("signed-out", {"locked": locked})]


def test_two_sweeps_take_five_seconds_at_most() -> None:
    assert 2 * live.SWEEP <= 5


@pytest.mark.parametrize("end", SILENT_ENDS)
def test_without_news_the_next_sweep_puts_the_socket_out(live_group: LiveGroup, end: str) -> None:
    who = live_group.lab.sign_in()
    page = Page(live_group.port, who)
    act, locked = SILENT_ENDS[end]
    act(who)
    watch = Watch(live_group)
    put_out(page, locked)
    assert watch.rounds_until_out(who) <= 1


def test_news_of_a_sign_out_puts_only_its_own_sockets_out(halves: tuple[LiveGroup, LiveGroup]) -> None:
    news_only, _deaf = halves
    lab, who = news_only.lab, news_only.lab.sign_in()
    tabs = [Page(news_only.port, who) for _ in range(3)]
    elsewhere = Page(news_only.port, lab.sign_in(who.person))
    who.sign_out()
    for tab in tabs:
        put_out(tab)
    assert elsewhere.emit("lab:echo", {"n": 1})["ok"]


def test_when_the_news_is_lost_the_next_sweep_does_it(halves: tuple[LiveGroup, LiveGroup]) -> None:
    _news_only, deaf = halves
    who = deaf.lab.sign_in()
    tabs = [Page(deaf.port, who) for _ in range(3)]
    elsewhere = Page(deaf.port, deaf.lab.sign_in(who.person))
    who.sign_out()
    watch = Watch(deaf)
    for tab in tabs:
        put_out(tab)
    assert watch.rounds_until_out(who) <= 1
    assert elsewhere.emit("lab:echo", {"n": 1})["ok"]


def test_signing_out_everywhere_reaches_every_device_under_load(halves: tuple[LiveGroup, LiveGroup]) -> None:
    """8 devices while news keeps pouring in: by news alone, and by the sweep alone."""
    deaf = halves[1]
    for group in halves:
        lab = group.lab
        person = lab.person()
        devices = [lab.sign_in(person) for _ in range(8)]
        pages = [Page(group.port, one) for one in devices]
        stop = threading.Event()

        def keep_telling(lab: Lab = lab, person: UUID = person, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                lab.tell([person], "queue:news", n=1)

        noise = threading.Thread(target=keep_telling)
        noise.start()
        try:
            lab.do(lambda work, person=person: sessions.end_all(work, person))
            watch = Watch(group)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(put_out, pages))
        finally:
            stop.set()
            noise.join()
        if group is deaf:
            assert max(watch.rounds_until_out(one) for one in devices) <= 1


def test_a_signed_out_page_cannot_send_either(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    page = Page(live_group.port, who)
    who.change(ended_at=1)
    answers = []
    end = time.monotonic() + LATEST
    while not page.closed and time.monotonic() < end:  # the sweep ends it
        try:
            answers.append(page.emit("lab:echo", {"n": 1}))
        except Exception:
            page.closed = True
    assert page.closed
    refused = [answer for answer in answers if not answer["ok"]]
    assert all(answer["status"] == 401 for answer in refused)
    assert answers == [answer for answer in answers if answer["ok"]] + refused, "once refused, always refused"


class Record:
    """Stands for a process's sockets and counts how often the session was looked at."""

    def __init__(self, over: bool = False) -> None:
        self.over, self.looks = over, 0

    def may_speak(self, caller: live.Caller) -> bool:
        return True

    def actor_now(self, caller: live.Caller) -> Actor:
        self.looks += 1
        if self.over:
            raise SignInNeeded
        return Actor(id=caller.person_id, label="looked up again")


def caller_of(sockets: Record) -> live.Caller:
    return live.Caller("sid", UUID(int=1), Actor(id=UUID(int=2)), sockets)


def test_before_an_event_the_session_is_looked_at_again_unless_that_was_a_moment_ago() -> None:
    record = Record()
    caller = caller_of(record)
    assert all(answer_event(caller, "lab:echo", ({"n": 1},))["ok"] for _ in range(5))
    assert record.looks == 0
    caller.looked_at -= FRESH
    assert all(answer_event(caller, "lab:echo", ({"n": 1},))["ok"] for _ in range(5))
    assert (record.looks, caller.actor.label) == (1, "looked up again")


def test_an_event_on_a_session_that_is_over_is_refused() -> None:
    caller = caller_of(Record(over=True))
    caller.looked_at -= FRESH
    assert answer_event(caller, "lab:echo", ({"n": 1},))["status"] == 401
    put_out = caller_of(Record())
    put_out.ended = True
    assert answer_event(put_out, "lab:echo", ({"n": 1},))["status"] == 401


def test_a_socket_cannot_come_back_after_sign_out(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    ticket = who.ticket()
    assert Page(live_group.port, who).let_in
    who.sign_out()
    with pytest.raises(Exception, match="401"):
        Page(live_group.port, who, ticket)


def test_a_session_that_ends_between_handshake_and_ticket_gets_no_socket(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    ticket = who.ticket()

    class Slow(Page):
        def _show(self, ticket: str) -> dict:
            who.change(ended_at=1)
            return super()._show(ticket)

    page = Slow(live_group.port, who, ticket)
    assert not page.let_in
    assert page.answer["data"]["status"] == 401


def race(lab: Lab, rounds: int, save: Callable[[Work, UUID], None], revoke: Callable[[Work, UUID], None]) -> list[str]:
    """Revoke sessions while a request on each is being saved; what each row is worth afterwards."""
    signed_in = [lab.sign_in() for _ in range(rounds)]

    def both(who: SignedIn) -> str:
        together = threading.Barrier(2)

        def run(act: Callable[[Work, UUID], None]) -> None:
            together.wait()
            lab.do(lambda work: act(work, who.session))

        saver = threading.Thread(target=run, args=(save,))
        saver.start()
        run(revoke)
        saver.join()
        return who.session

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(both, signed_in))

    def worth(work: Work, session_id: UUID) -> str:
        row = work.session.get(SignInSession, session_id)
        return str(sessions.standing(row, row.epoch, work.now, lab.practice.settings))

    return lab.do(lambda work: [worth(work, session_id) for session_id in ids])


@pytest.mark.parametrize(
    ("revoke", "worth"), [(sessions.end, "ended"), (sessions.lock, "locked")], ids=["ended", "locked"]
)
def test_a_revoked_session_is_not_revived_by_a_request_in_flight(
    lab: Lab, revoke: Callable[[Work, UUID], None], worth: str
) -> None:
    def save(work: Work, session_id: UUID) -> None:
        sessions.touch(work, session_id, busy_for=HOUR)

    assert set(race(lab, 250, save, revoke)) == {worth}


def test_a_row_saved_whole_would_be_noticed(lab: Lab) -> None:
    """The control: saving a copy that was read before the revocation does revive the session."""
    who = lab.sign_in()
    stale = lab.do(lambda work: work.session.get(SignInSession, who.session))
    lab.do(lambda work: sessions.end(work, who.session))

    def save_whole(work: Work) -> None:
        row = work.session.get(SignInSession, who.session)
        row.ended_at = stale.ended_at

    lab.do(save_whole)
    row = lab.do(lambda work: work.session.get(SignInSession, who.session))
    assert sessions.standing(row, 1, lab.practice.clock.now(), lab.practice.settings) is sessions.Standing.OPEN
