"""One client that asks too fast is slowed down alone, over HTTP and over sockets."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from unittest import mock

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from live_client import Page
from live_lab import Lab
from live_processes import LiveGroup
from support.cast import Cast, Client

from telepsych.app import create_app
from telepsych.core.work import Practice
from telepsych.web.addresses import address_behind, network_of
from telepsych.web.floods import BURST, Crowd

OURS = ("127.0.0.1", "::1")


@contextmanager
def slow_clock() -> Iterator[None]:
    """Nothing is refilled while a test counts."""
    with mock.patch("telepsych.web.live_transport.time.monotonic", return_value=1_000.0):
        yield


@pytest.fixture
def strict_app(practice: Practice) -> Flask:
    """The pages with limits of two requests a second for a session and four for an address."""
    limits = {"requests_by_session": 2.0, "requests_by_address": 4.0}
    return create_app(practice=replace(practice, settings=practice.settings.model_copy(update=limits)))


def test_a_session_that_asks_too_fast_is_refused_and_another_is_not(strict_app: Flask, cast: Cast) -> None:
    with slow_clock():
        fast, other = (Client(strict_app, cast.practice, who) for who in (cast.patient, cast.clinician))
        answers = [fast.get("/help").status_code for _ in range(2 * BURST + 3)]
        assert answers.count(429) == 3
        assert other.get("/help").status_code != 429


def test_an_address_is_limited_whoever_signs_in_from_it_and_others_are_not(strict_app: Flask, cast: Cast) -> None:
    with slow_clock():
        nobody = strict_app.test_client()
        household = {"X-Forwarded-For": "198.51.100.7"}
        answers = [nobody.get("/sign-in", headers=household) for _ in range(4 * BURST + 1)]
        assert [one.status_code for one in answers].count(429) == 1
        assert answers[-1].headers["Retry-After"] == str(BURST)
        assert nobody.get("/sign-in", headers={"X-Forwarded-For": "198.51.100.8"}).status_code == 200
        assert nobody.get("/healthz", headers=household).status_code == 200


def test_a_form_that_came_too_fast_is_kept_and_sent_again_by_our_own_page_only(strict_app: Flask, cast: Cast) -> None:
    typed = {"email": "ann@example.org", "words": '"<b>kept</b>"', "part": ["one", "two"]}
    with slow_clock():
        client = Client(strict_app, cast.practice, cast.patient)
        while client.get("/help").status_code != 429:
            pass
        answer = client.post("/sign-in?next=/visits", typed)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(BURST))
        assert '<form method="post">' in answer.text, "the browser sends it to where it went the first time"
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', answer.text)
        assert [(name, unescape(text)) for name, text in fields if name != "csrf_token"] == [
            ("email", typed["email"]),
            ("words", typed["words"]),
            ("part", "one"),
            ("part", "two"),
        ]
        foreign = client.post("/sign-in", typed, headers={"Origin": "https://elsewhere.example"})
        for refused in (foreign, client.http.post("/sign-in", data=typed)):
            assert refused.status_code == 429
            assert "<form" not in refused.text
            assert "ann@example.org" not in refused.text


def test_limits_come_back_with_time() -> None:
    crowd = Crowd(1)
    with mock.patch("telepsych.web.live_transport.time.monotonic") as now:
        now.return_value = 0.0
        assert [crowd.take("one") for _ in range(BURST + 1)] == [True] * BURST + [False]
        now.return_value = 2.0
        assert [crowd.take("one") for _ in range(3)] == [True, True, False]


def test_the_memory_of_clients_is_bounded() -> None:
    crowd = Crowd(1, most=10)
    for client in range(1_000):
        crowd.take(str(client))
    assert len(crowd) == 10


@pytest.mark.parametrize(
    ("peer", "forwarded", "counts"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "not an address", "127.0.0.1"),
        ("203.0.113.9", "127.0.0.1", "203.0.113.9"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("127.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_only_a_proxy_of_ours_is_believed(peer: str, forwarded: str, counts: str) -> None:
    assert address_behind(peer, forwarded, OURS) == counts


@given(st.ip_addresses(v=6).filter(lambda one: not one.ipv4_mapped), st.integers(0, 2**64 - 1))
def test_a_household_counts_as_one(address: object, low: int) -> None:
    from ipaddress import IPv6Address

    neighbour = IPv6Address(int(IPv6Address(str(address))) >> 64 << 64 | low)
    assert network_of(str(address)) == network_of(str(neighbour)) or neighbour.ipv4_mapped


def test_a_flood_of_events_is_limited_alone(sqlite_group: LiveGroup) -> None:
    """H4: one person sends far more than 60 events a second over several sockets; the other is always answered."""
    lab: Lab = sqlite_group.lab
    flooder, other = lab.sign_in(), lab.sign_in()
    pages = [Page(sqlite_group.port, flooder) for _ in range(4)]
    bystander = Page(sqlite_group.port, other)
    refused = 0
    for turn in range(150):
        for page in pages:
            refused += not page.emit("lab:echo", {"n": turn})["ok"]
        if turn % 10 == 0:
            assert bystander.emit("lab:echo", {"n": turn})["ok"]
    assert refused > 0


def test_an_address_may_not_open_sockets_without_end(practice: Practice) -> None:
    from telepsych.web.live_gate import Gate

    knocks = Crowd(2)
    keeper = mock.Mock(origins=lambda: {"http://here"}, may_knock=knocks.take, session_of=lambda _token: None)
    gate = Gate(mock.Mock(), keeper, "cookie", OURS)
    with slow_clock():
        statuses = [knock(gate, "198.51.100.7") for _ in range(2 * BURST + 2)]
        assert statuses == ["401 Unauthorized"] * (2 * BURST) + ["429 Too Many Requests"] * 2
        assert knock(gate, "198.51.100.8") == "401 Unauthorized"


def knock(gate: Callable[..., object], address: str) -> str:
    said: list[str] = []
    environ = {
        "PATH_INFO": "/socket.io/",
        "REQUEST_METHOD": "GET",
        "HTTP_UPGRADE": "websocket",
        "QUERY_STRING": "EIO=4&transport=websocket",
        "HTTP_ORIGIN": "http://here",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_X_FORWARDED_FOR": address,
    }
    gate(environ, lambda status, _headers: said.append(status))
    return said[0]
