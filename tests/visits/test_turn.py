"""TURN credentials and the rule for how media may travel."""

import base64
import hashlib
import hmac
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telepsych.core.clock import HOUR, MINUTE, SECOND
from telepsych.core.errors import Misconfigured
from telepsych.core.ids import new_id
from telepsych.visits.turn import MediaPolicy, direct, ice_servers, media_policy

URLS = ("turn:turn.example.org:3478?transport=udp", "turns:turn.example.org:443?transport=tcp")
VISIT, PATIENT, CLINICIAN = (new_id() for _ in range(3))
NOON = 1_795_521_600 * SECOND


def username(visit: UUID = VISIT, person: UUID = PATIENT, now: int = NOON, end: int = NOON + HOUR) -> str:
    return ice_servers(URLS, "a secret", visit, person, now, end)["iceServers"][0]["username"]


def test_credentials_follow_the_rest_scheme() -> None:
    made = ice_servers(URLS, "a secret", VISIT, PATIENT, NOON, NOON + HOUR)
    server = made["iceServers"][0]
    assert made["iceTransportPolicy"] == "relay"
    assert server["urls"] == list(URLS)
    expected = hmac.new(b"a secret", server["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(server["credential"]) == expected


@given(now=st.integers(0, 2**52), slot=st.integers(-4 * HOUR, 4 * HOUR))
def test_they_outlive_the_slot_by_a_margin_and_never_end_at_once(now: int, slot: int) -> None:
    expiry = int(username(now=now, end=now + slot).split(":")[0]) * SECOND
    assert 29 * MINUTE < expiry - max(now, now + slot) <= 30 * MINUTE


def test_the_relay_learns_no_id_and_each_participant_has_a_name_of_their_own() -> None:
    names = {username(visit, person) for visit in (VISIT, new_id()) for person in (PATIENT, CLINICIAN)}
    assert len(names) == 4
    for ours in (VISIT, PATIENT, CLINICIAN):
        assert not any(ours.hex in name or str(ours) in name for name in names)


def test_the_name_stays_through_a_visit() -> None:
    assert username(now=NOON).split(":")[1] == username(now=NOON + HOUR, end=NOON + 2 * HOUR).split(":")[1]


@pytest.mark.parametrize(("urls", "secret"), [((), "a secret"), (URLS, "")])
def test_half_a_turn_server_is_refused(urls: tuple[str, ...], secret: str) -> None:
    with pytest.raises(Misconfigured):
        ice_servers(urls, secret, VISIT, PATIENT, NOON, NOON + HOUR)


@pytest.mark.parametrize(
    ("urls", "host", "policy"),
    [
        (URLS, "visits.example.org", MediaPolicy.RELAY),
        (URLS, "127.0.0.1", MediaPolicy.RELAY),
        ((), "127.0.0.1", MediaPolicy.DIRECT_LOOPBACK),
        ((), "127.8.9.10", MediaPolicy.DIRECT_LOOPBACK),
        ((), "LOCALHOST", MediaPolicy.DIRECT_LOOPBACK),
        ((), "[::1]", MediaPolicy.DIRECT_LOOPBACK),
        ((), "visits.example.org", MediaPolicy.REFUSED),
        ((), "localhost.example.org", MediaPolicy.REFUSED),
        ((), "192.168.1.10", MediaPolicy.REFUSED),
        ((), "0.0.0.0", MediaPolicy.REFUSED),
        ((), "", MediaPolicy.REFUSED),
    ],
)
def test_media_goes_direct_only_on_one_machine(urls: tuple[str, ...], host: str, policy: MediaPolicy) -> None:
    assert media_policy(urls, host) is policy


def test_direct_names_no_server() -> None:
    assert direct() == {"iceServers": [], "iceTransportPolicy": "all"}
