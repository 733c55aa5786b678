"""A session that ends takes its sockets with it within five seconds, with or without news of it, and stays ended."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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

LATEST = 5.0


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


@pytest.mark.parametrize("end", SILENT_ENDS)
def test_without_news_the_sweep_puts_the_socket_out(live_group: LiveGroup, end: str) -> None:
    who, other = live_group.lab.sign_in(), live_group.lab.sign_in()
    page, bystander = Page(live_group.port, who), Page(live_group.port, other)
    act, locked = SILENT_ENDS[end]
    act(who)
    assert page.hear(lambda page: page.closed, LATEST) <= LATEST
    assert page.events == [("signed-out", {"locked": locked})]
    assert bystander.emit("lab:echo", {"n": 1})["ok"]


def test_news_of_a_sign_out_puts_only_its_own_sockets_out_at_once(live_group: LiveGroup) -> None:
    lab, who = live_group.lab, live_group.lab.sign_in()
    tabs = [Page(live_group.port, who) for _ in range(3)]
    elsewhere = Page(live_group.port, lab.sign_in(who.person))
    who.sign_out()
    took = [page.hear(lambda page: page.closed, LATEST) for page in tabs]
    assert sum(took) < 2.0, "news is faster than the sweep"
    assert all(page.events == [("signed-out", {"locked": False})] for page in tabs)
    assert elsewhere.emit("lab:echo", {"n": 1})["ok"]


def test_signing_out_everywhere_reaches_every_device_under_load(live_group: LiveGroup) -> None:
    lab = live_group.lab
    person = lab.person()
    pages = [Page(live_group.port, lab.sign_in(person)) for _ in range(8)]
    stop = threading.Event()

    def keep_telling() -> None:
        while not stop.is_set():
            lab.tell([person], "queue:news", n=1)

    noise = threading.Thread(target=keep_telling)
    noise.start()
    try:
        lab.do(lambda work: sessions.end_all(work, person))
        ended = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda page: page.hear(lambda page: page.closed, LATEST), pages))
        assert time.monotonic() - ended <= LATEST
    finally:
        stop.set()
        noise.join()
    assert all(page.events[-1][0] == "signed-out" for page in pages), "nothing is heard after it"


def test_a_signed_out_page_cannot_send_either(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    page = Page(live_group.port, who)
    who.change(ended_at=1)
    answers = []
    end = time.monotonic() + LATEST
    while not page.closed and time.monotonic() < end:
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
