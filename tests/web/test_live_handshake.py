"""Who gets a socket: pages of ours, with an open session and a fresh ticket of that same session."""

import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import websocket
from flask import Flask
from live_client import COOKIE, HANDSHAKE, Page, upgrade
from live_lab import HTTP_PORT, ORIGIN, Lab, SignedIn
from live_processes import LiveGroup
from sqlalchemy import func, select

from telepsych.core.actor import Actor
from telepsych.core.errors import Refused
from telepsych.core.settings import Settings
from telepsych.web import errors
from telepsych.web.doors import attach
from telepsych.web.live_ticket import LIFE, issue_ticket, live_bp, live_url, page_origins, use_ticket
from telepsych.web.models import LiveTicket


def refused_with(group: LiveGroup, who: SignedIn | None, **how: object) -> int:
    """The status with which a handshake is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        upgrade(group.port, who, **how)
    return int(refused.value.status_code)


def test_a_page_with_a_ticket_gets_in_and_is_answered(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    page = Page(live_group.port, who)
    assert page.let_in
    answer = page.emit("lab:echo", {"n": 7})
    assert (answer["ok"], answer["n"], answer["person"]) == (True, 7, str(who.person))


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "",
        "https://attacker.example",
        f"https://127.0.0.1:{HTTP_PORT}",
        f"{ORIGIN}.attacker.example",
        f"http://127.0.0.1:{int(HTTP_PORT) + 1}",
        ORIGIN.upper(),
    ],
)
def test_other_origins_and_none_are_refused(sqlite_group: LiveGroup, origin: str | None) -> None:
    who = sqlite_group.lab.sign_in()
    header = {"header": ["Origin: "], "origin": None} if origin == "" else {"origin": origin}
    assert refused_with(sqlite_group, who, **header) == 403


def test_without_an_open_session_there_is_no_socket(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    assert refused_with(live_group, None) == 401
    assert refused_with(live_group, SignedIn(live_group.lab, who.person, who.session, "made-up")) == 401
    who.sign_out()
    assert refused_with(live_group, who) == 401


@pytest.mark.parametrize(
    "path",
    [
        "/socket.io/?EIO=4&transport=polling",
        "/socket.io/?EIO=3&transport=websocket",
        "/socket.io/?transport=websocket",
        "/socket.io/?EIO=4",
        f"{HANDSHAKE}&sid=guessed",
        f"{HANDSHAKE}&j=0",
        "/socket.io/?EIO=4&transport=websocket&transport=polling",
    ],
)
def test_websocket_is_the_only_transport(sqlite_group: LiveGroup, path: str) -> None:
    assert refused_with(sqlite_group, sqlite_group.lab.sign_in(), path=path) == 400


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_polling_is_refused_for_every_method(sqlite_group: LiveGroup, method: str) -> None:
    who = sqlite_group.lab.sign_in()
    headers = {"Origin": ORIGIN, "Cookie": f"{COOKIE}={who.token}"}
    address = f"http://127.0.0.1:{sqlite_group.port}/socket.io/?EIO=4&transport=polling"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(address, headers=headers, method=method), timeout=5)
    assert refused.value.code == 400
    assert refused.value.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("auth", ["", "{}", '{"ticket":""}', '{"ticket":7}', '{"ticket":"made-up"}'])
def test_without_a_good_ticket_the_socket_is_refused_and_closed(sqlite_group: LiveGroup, auth: str) -> None:
    socket = upgrade(sqlite_group.port, sqlite_group.lab.sign_in())
    socket.send("40" + auth)
    frames = frames_until_closed(socket)
    assert frames[1].startswith("44")
    assert '"status":403' in frames[1]


@pytest.mark.parametrize("auth", ["[]", '"text"', "{", "/other,{}", "1-{}"])
def test_a_connect_that_no_page_sends_just_ends(sqlite_group: LiveGroup, auth: str) -> None:
    socket = upgrade(sqlite_group.port, sqlite_group.lab.sign_in())
    socket.send("40" + auth)
    assert not [frame for frame in frames_until_closed(socket) if frame.startswith("4")]


def frames_until_closed(socket: websocket.WebSocket) -> list[str]:
    """What the server still says before it closes."""
    frames = []
    try:
        while frame := socket.recv():
            frames.append(frame)
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        pass
    return frames


def test_a_refused_ticket_is_answered_in_words(live_group: LiveGroup) -> None:
    page = Page(live_group.port, live_group.lab.sign_in(), ticket="made-up")
    assert not page.let_in
    assert page.answer["message"] == page.answer["data"]["detail"]
    assert page.answer["data"] | {"detail": ""} == {"ok": False, "status": 403, "title": "Forbidden", "detail": ""}


def test_a_ticket_works_once(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    ticket = who.ticket()
    assert Page(live_group.port, who, ticket).let_in
    assert not Page(live_group.port, who, ticket).let_in


def test_a_ticket_expires(live_group: LiveGroup) -> None:
    who = live_group.lab.sign_in()
    ticket = who.ticket()

    def age(work: object) -> None:
        for row in work.session.scalars(select(LiveTicket)):
            row.expires_at -= LIFE

    live_group.lab.do(age)
    assert not Page(live_group.port, who, ticket).let_in


def test_a_ticket_is_no_use_with_another_session(live_group: LiveGroup) -> None:
    mine, other = live_group.lab.sign_in(), live_group.lab.sign_in()
    same_person = live_group.lab.sign_in(mine.person)
    for somebody in (other, same_person):
        ticket = mine.ticket()
        assert not Page(live_group.port, somebody, ticket).let_in
        assert Page(live_group.port, mine, ticket).let_in, "the attempt must not use it up"


def test_of_many_at_once_exactly_one_uses_a_ticket(lab: Lab) -> None:
    who = lab.sign_in()
    ticket = who.ticket()

    def attempt(_: int) -> bool:
        return lab.do(lambda work: use_ticket(work, ticket, who.session))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(attempt, range(40))).count(True) == 1


def test_nobody_issues_a_ticket_for_another_session(lab: Lab) -> None:
    mine, other = lab.sign_in(), lab.sign_in()
    with pytest.raises(Refused):
        lab.do(lambda work: issue_ticket(work, other.session), Actor(id=mine.person, session_id=mine.session))


def test_only_the_hash_of_a_ticket_is_kept(lab: Lab) -> None:
    ticket = lab.sign_in().ticket()
    row = lab.do(lambda work: work.session.scalars(select(LiveTicket)).one())
    assert ticket.encode() not in row.ticket_hash
    assert len(row.ticket_hash) == 32


@pytest.fixture
def pages(lab: Lab) -> Flask:
    """The http side of tickets."""
    app = Flask("pages")
    attach(app, lab.web)
    errors.install(app)
    app.register_blueprint(live_bp)
    return app


def test_a_page_fetches_a_ticket_and_where_to_show_it(lab: Lab, pages: Flask) -> None:
    who = lab.sign_in()
    client = pages.test_client()
    client.set_cookie(COOKIE, who.token, domain="127.0.0.1")
    given = client.get("/api/live-ticket", base_url="http://127.0.0.1:8000").get_json()
    assert given["url"] == "http://127.0.0.1:8001"
    assert lab.do(lambda work: use_ticket(work, given["ticket"], who.session))


def test_nobody_signed_in_gets_no_ticket(lab: Lab, pages: Flask) -> None:
    answer = pages.test_client().get("/api/live-ticket")
    assert answer.status_code == 401
    assert lab.do(lambda work: work.session.scalar(select(func.count(LiveTicket.id)))) == 0


@pytest.mark.parametrize(
    ("origin", "live_origin", "host", "url"),
    [
        ("", "", "127.0.0.1:8000", "http://127.0.0.1:8001"),
        ("", "", "localhost:8000", "http://localhost:8001"),
        ("", "", "[::1]:8000", "http://[::1]:8001"),
        ("", "", "attacker.example:8000", "http://127.0.0.1:8001"),
        ("https://visits.example.org", "", "visits.example.org", "https://visits.example.org"),
        ("https://visits.example.org", "https://live.example.org", "x", "https://live.example.org"),
    ],
)
def test_where_the_live_group_is_reached(origin: str, live_origin: str, host: str, url: str) -> None:
    settings = Settings(data="unused", origin=origin, live_origin=live_origin)
    assert live_url(settings, host) == url


def test_the_origin_set_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEPSYCH_HTTP_PORT", "8123")
    assert page_origins(Settings(data="unused", origin="https://visits.example.org/")) == {"https://visits.example.org"}
    assert page_origins(Settings(data="unused")) == {"http://127.0.0.1:8123", "http://localhost:8123"}


def test_one_session_cannot_take_every_place(sqlite_group: LiveGroup) -> None:
    who = sqlite_group.lab.sign_in()
    taken = [upgrade(sqlite_group.port, who) for _ in range(16)]
    assert refused_with(sqlite_group, who) == 429
    assert Page(sqlite_group.port, sqlite_group.lab.sign_in()).emit("lab:echo", {"n": 1})["ok"]
    for socket in taken:
        socket.close()


def test_other_paths_carry_the_security_headers(sqlite_group: LiveGroup) -> None:
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"http://127.0.0.1:{sqlite_group.port}/somewhere", timeout=5)
    assert missing.value.code == 404
    for headers in (
        missing.value.headers,
        urllib.request.urlopen(f"http://127.0.0.1:{sqlite_group.port}/healthz").headers,
    ):
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
