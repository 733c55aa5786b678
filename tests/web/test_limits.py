"""A7: idle and absolute limits to the second, over HTTP and over sockets, on a clock that stands still."""

from collections.abc import Callable
from uuid import UUID

import pytest
from support.cast import Cast, Client, Member

from telepsych.app import epochs_of, web_of
from telepsych.core.actor import Actor
from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.errors import SignInNeeded
from telepsych.core.work import Practice
from telepsych.web import live, sessions
from telepsych.web.doors import cookie_name
from telepsych.web.live import Caller, Live
from telepsych.web.sessions import Standing

ClientFor = Callable[[Member], Client]
SIDES = {"staff": (15 * MINUTE, 12 * HOUR), "patient": (30 * MINUTE, 24 * HOUR)}


class Door:
    """The live group of this practice, in this process: what it makes of one session's socket."""

    def __init__(self, practice: Practice, client: Client) -> None:
        app, _ = live.create_live(practice, web_of(practice), async_mode="threading", epochs=epochs_of)
        self.live: Live = app.extensions["telepsych-live"]
        with app.app_context():
            name = cookie_name()
        self.token = client.http.get_cookie(name).value
        self.session: UUID | None = self.live.session_of(self.token)
        self.put_out: list[Standing] = []
        self.live.put_out = lambda _caller, worth: self.put_out.append(worth)  # type: ignore[method-assign]
        assert self.session is not None
        self.caller = Caller("a socket", self.session, Actor(id=client.who.person_id), self.live)
        self.live._callers["a socket"] = self.caller

    def handshake(self) -> bool:
        """Whether a new socket would be let in."""
        return self.live.session_of(self.token) is not None

    def event(self) -> bool:
        """Whether an event on the open socket would be done."""
        try:
            self.live.actor_now(self.caller)
        except SignInNeeded:
            return False
        return True

    def swept(self) -> list[Standing]:
        """What a sweep makes of the open socket."""
        self.put_out.clear()
        self.live._drop_strangers = lambda: None  # type: ignore[method-assign]
        self.live.sweep()
        return list(self.put_out)


def in_background(client: Client) -> int:
    """A page that polls asks; no person did."""
    return client.get("/api/live-ticket", headers={"X-Background": "1"}).status_code


@pytest.mark.parametrize("side", SIDES)
def test_idle_to_the_second(practice: Practice, cast: Cast, client_for: ClientFor, side: str) -> None:
    limit, _ = SIDES[side]
    client = client_for(getattr(cast, side))
    door = Door(practice, client)
    practice.clock.move(7 * SECOND)
    assert client.get("/api/live-ticket").status_code == 200, "the last sign of life"

    practice.clock.move(limit - SECOND)
    assert (in_background(client), door.handshake(), door.event(), door.swept()) == (200, True, True, [])
    practice.clock.move(SECOND)
    assert (in_background(client), door.handshake(), door.event()) == (401, False, False)
    assert door.swept() == [Standing.LOCKED]
    assert client.get("/api/live-ticket").get_json()["locked"] is True, "and a person's own request does not revive it"


@pytest.mark.parametrize("side", SIDES)
def test_absolute_to_the_second_however_busy(practice: Practice, cast: Cast, client_for: ClientFor, side: str) -> None:
    """Whoever extends all the time, as a visit's page does, is out at the absolute limit and not before."""
    idle, absolute = SIDES[side]
    client = client_for(getattr(cast, side))
    door = Door(practice, client)
    for _ in range(absolute // (idle - MINUTE)):
        practice.clock.move(idle - MINUTE)
        assert client.post("/api/session/extend").status_code == 200
    with cast.system(writes=False) as work:
        work.asked = True
        started = work.session.get(sessions.SignInSession, door.session).started_at
    practice.clock.move(started + absolute - SECOND - practice.clock.now())
    assert (client.post("/api/session/extend").status_code, door.handshake(), door.event()) == (200, True, True)
    practice.clock.move(SECOND)
    assert (client.post("/api/session/extend").status_code, door.handshake(), door.event()) == (401, False, False)
    assert door.swept() == [Standing.ENDED]


def test_signs_of_life_a_second_apart_all_count(practice: Practice, cast: Cast, client_for: ClientFor) -> None:
    """An idle limit is counted from the last request, not from one that happened to be written down before it."""
    client = client_for(cast.staff)
    for _ in range(5):
        practice.clock.move(SECOND)
        client.get("/api/live-ticket")
    practice.clock.move(15 * MINUTE - SECOND)
    assert in_background(client) == 200
    practice.clock.move(2 * SECOND)
    assert in_background(client) == 401


def test_a_page_that_polls_keeps_nobody_in(practice: Practice, cast: Cast, client_for: ClientFor) -> None:
    client = client_for(cast.staff)
    answers = []
    for _ in range(31):
        practice.clock.move(30 * SECOND)
        answers.append(in_background(client))
    assert answers == [200] * 29 + [401] * 2


def test_signing_out_leaves_nothing_in_the_browser(cast: Cast, client_for: ClientFor) -> None:
    """No page is kept by a browser or a proxy; leaving clears what scripts kept, and the cookie."""
    client = client_for(cast.patient)
    assert client.get("/messages").headers["Cache-Control"] == "no-store"
    answer = client.post("/sign-out")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.http.get_cookie("telepsych-session") is None
