"""What a browser answers for a passkey is believed only when everything about it is right (A10)."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from support.authenticator import PRESENT, VERIFIED, Authenticator, Lies, packed, unpacked
from support.cast import Cast, Client, Member

from accounts.test_sign_in import Visitor
from telepsych.accounts import factors, passkeys, sign_in
from telepsych.accounts.models import Challenge, ChallengeUse, Factor, Person
from telepsych.accounts.passkeys import Browser, Site, site_of
from telepsych.core.clock import MINUTE, SECOND
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.settings import Settings
from telepsych.core.work import Practice

SITE = Site("localhost", "http://localhost")
HERE = Browser(SITE, "this browser")
OTHERS = Browser(SITE, "another browser")


@dataclass
class Door:
    """The way to a passkey of one person of the cast, without pages."""

    practice: Practice
    cast: Cast
    who: Member
    device: Authenticator = field(default_factory=Authenticator)

    def asked_for_new(self, browser: Browser = HERE) -> str:
        with self.cast.begin(self.who, fresh=True) as work:
            return factors.offer_passkey(work, browser)

    def keep(self, answer: str, browser: Browser = HERE, name: str = "My phone") -> None:
        made = passkeys.check_new(self.practice, browser, answer, self.who.person_id)
        with self.cast.begin(self.who, fresh=True) as work:
            factors.add_passkey(work, made, name)

    def register(self) -> "Door":
        self.keep(self.device.make(self.asked_for_new()))
        return self

    def asked(self, browser: Browser = HERE) -> dict[str, Any]:
        with self.cast.system() as work:
            options: dict[str, Any] = json.loads(passkeys.options_for_sign_in(work, browser))
            work.asked = True
        return options

    def enter(self, answer: str, browser: Browser = HERE) -> sign_in.SignedIn:
        return sign_in.with_passkey(self.practice, browser, answer, device="a test")

    def kept(self) -> list[Factor]:
        with self.cast.system(writes=False) as work:
            work.asked = True
            rows = passkeys.passkeys_of(work, self.who.person_id)
            assert all(row.details and row.label for row in rows)
            return rows


@pytest.fixture
def door(practice: Practice, cast: Cast) -> Door:
    return Door(practice, cast, cast.patient)


LIES = {
    "another origin": Lies(origin="https://evil.example"),
    "the origin with a port": Lies(origin="http://localhost:8000"),
    "an origin that begins alike": Lies(origin="http://localhost.evil.example"),
    "another relying party": Lies(rp_id="evil.example"),
    "a challenge of their own": Lies(challenge=packed(bytes(64))),
    "no challenge": Lies(challenge="AA"),
    "the other ceremony": Lies(kind="webauthn.other"),
    "nobody was verified": Lies(flags=VERIFIED),
    "nobody was there": Lies(flags=PRESENT),
    "in a frame of another site": Lies(more={"crossOrigin": True, "topOrigin": "https://evil.example"}),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_is_refused_and_uses_the_challenge_up(door: Door, lie: Lies) -> None:
    """When a passkey is made, and when it is shown."""
    wanted = door.asked_for_new()
    with pytest.raises(Invalid):
        door.keep(door.device.make(wanted, lie))
    if not lie.challenge:
        with pytest.raises(Invalid):
            door.keep(door.device.make(wanted))
    assert door.kept() == []

    door.register()
    asked = door.asked()
    with pytest.raises(Invalid):
        door.enter(door.device.show(asked, lie))
    if not lie.challenge:
        with pytest.raises(Invalid):
            door.enter(door.device.show(asked))
    assert door.enter(door.device.show(door.asked())).person_id == door.who.person_id


def test_a_challenge_is_for_one_browser_one_use_and_five_minutes(door: Door, practice: Practice) -> None:
    door.register()
    answer = door.device.show(door.asked())
    with pytest.raises(Invalid):
        door.enter(answer, OTHERS)
    assert door.enter(answer)
    with pytest.raises(Invalid):
        door.enter(answer)
    with pytest.raises(Invalid):
        door.enter(door.device.show(door.asked_for_new()))  # asked for something else

    in_time, late = door.asked(), door.asked()
    practice.clock.move(5 * MINUTE - SECOND)
    assert door.enter(door.device.show(in_time))
    practice.clock.move(SECOND)
    with pytest.raises(Invalid):
        door.enter(door.device.show(late))
    door.asked()
    with door.cast.system(writes=False) as work:
        work.asked = True
        assert len(work.session.scalars(select(Challenge)).all()) == 1, "old ones are cleared away"


def test_a_signature_is_of_this_key_over_this_answer(door: Door) -> None:
    door.register()
    answer = json.loads(door.device.show(door.asked()))
    signature = bytearray(unpacked(answer["response"]["signature"]))
    signature[-1] ^= 1
    answer["response"]["signature"] = packed(bytes(signature))
    with pytest.raises(Invalid):
        door.enter(json.dumps(answer))

    thief = Authenticator(id=door.device.id, handle=door.device.handle, rp_id="localhost")
    with pytest.raises(Invalid):
        door.enter(thief.show(door.asked()))
    stranger = Authenticator(handle=door.device.handle, rp_id="localhost")
    with pytest.raises(Invalid):
        door.enter(stranger.show(door.asked()))


def test_a_passkey_names_its_own_person(door: Door, cast: Cast) -> None:
    door.register()
    other = Door(door.practice, cast, cast.clinician).register()
    door.device.handle, mine = other.device.handle, door.device.handle
    with pytest.raises(Invalid):
        door.enter(door.device.show(door.asked()))
    door.device.handle = mine
    assert len(mine) == 64
    assert door.enter(door.device.show(door.asked())).person_id == cast.patient.person_id


def test_a_passkey_that_counts_cannot_go_back(door: Door) -> None:
    """A copy shows itself. One that never counts, as synced ones do, is not punished for it."""
    door.register()
    for _ in range(3):
        door.enter(door.device.show(door.asked()))
    assert [one.sign_count for one in door.kept()] == [3]
    door.device.count = 1
    with pytest.raises(Invalid):
        door.enter(door.device.show(door.asked()))
    door.device.count = 3
    assert door.enter(door.device.show(door.asked()))

    synced = Door(door.practice, door.cast, door.cast.clinician, Authenticator(counts=False)).register()
    for _ in range(2):
        assert synced.enter(synced.device.show(synced.asked()))


def test_what_is_kept_of_a_passkey(door: Door) -> None:
    door.register()
    (kept,) = door.kept()
    assert (kept.label, kept.details["backed_up"], kept.details["device_type"]) == ("My phone", True, "multi_device")
    assert kept.details["transports"] == ["internal"]
    door.device.flags = PRESENT | VERIFIED | 8
    door.enter(door.device.show(door.asked()))
    assert door.kept()[0].details["backed_up"] is False, "recorded anew with each use"
    with pytest.raises(Conflict):
        door.keep(door.device.make(door.asked_for_new()))
    asked = json.loads(door.asked_for_new())
    assert [one["id"] for one in asked["excludeCredentials"]] == [packed(door.device.id)]
    chosen = asked["authenticatorSelection"]
    assert (chosen["userVerification"], chosen["residentKey"], asked["attestation"]) == ("required", "required", "none")
    assert (len(unpacked(asked["challenge"])), len(unpacked(asked["user"]["id"]))) == (64, 64)
    assert door.asked()["allowCredentials"] == [], "asking tells nothing about anybody"


def test_who_left_and_what_was_removed_open_nothing(door: Door) -> None:
    door.register()
    with door.cast.system() as work:
        work.audited = work.asked = True
        work.session.get_one(Person, door.who.person_id).left_at = work.now
    with pytest.raises(Invalid):
        door.enter(door.device.show(door.asked()))
    with door.cast.system() as work:
        work.audited = work.asked = True
        work.session.get_one(Person, door.who.person_id).left_at = None
    assert door.enter(door.device.show(door.asked()))
    with door.cast.system() as work:
        factors.end_all_factors(work, door.who.person_id)
    with pytest.raises(Invalid):
        door.enter(door.device.show(door.asked()))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answer=st.one_of(
        st.text(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "id",
                            "rawId",
                            "type",
                            "response",
                            "clientDataJSON",
                            "signature",
                            "authenticatorData",
                            "userHandle",
                        ]
                    ),
                    inner,
                    max_size=8,
                )
            ),
            max_leaves=12,
        ).map(json.dumps),
    )
)
def test_what_is_no_answer_is_refused_alike(door: Door, answer: str) -> None:
    for check in (
        lambda: passkeys.check_shown(door.practice, HERE, answer, ChallengeUse.SIGN_IN),
        lambda: passkeys.check_new(door.practice, HERE, answer, door.who.person_id),
    ):
        with pytest.raises(Invalid, match="We couldn't use this passkey"):
            check()


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    part=st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]),
    place=st.integers(0, 400),
    bit=st.integers(0, 7),
)
def test_any_bit_that_is_turned_is_refused(door: Door, part: str, place: int, bit: int) -> None:
    if not door.device.handle:
        door.register()
    answer = json.loads(door.device.show(door.asked()))
    data = bytearray(unpacked(answer["response"][part]))
    data[place % len(data)] ^= 1 << bit
    answer["response"][part] = packed(bytes(data))
    with pytest.raises(Invalid):
        door.enter(json.dumps(answer))


@pytest.mark.parametrize(
    ("origin", "host", "site"),
    [
        ("", "localhost:8000", Site("localhost", "http://localhost:8000")),
        ("", "127.0.0.1:8000", None),
        ("", "evil.example", None),
        ("https://visits.example.org/", "anything", Site("visits.example.org", "https://visits.example.org")),
        ("https://visits.example.org:8443", "x", Site("visits.example.org", "https://visits.example.org:8443")),
        ("https://192.0.2.7", "x", None),
    ],
)
def test_the_site_is_the_operators_or_localhost(tmp_path: Any, origin: str, host: str, site: Site | None) -> None:
    assert site_of(Settings(data=tmp_path, origin=origin), host) == site


# Through the pages


def test_a_passkey_signs_its_owner_in_through_the_page(
    door: Door, app: Flask, client_for: Callable[[Member], Client]
) -> None:
    """Two factors at once: also who works here is in."""
    staff = Door(door.practice, door.cast, door.cast.staff).register()
    visitor = Visitor(app)
    page = visitor.get("/sign-in").get_data(as_text=True)
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    asked = visitor.http.post("/sign-in/passkey/options", headers={"X-CSRF-Token": token}).get_json()
    answer = staff.device.show(asked)
    gone = Visitor(app).post("/sign-in/passkey", passkey=answer)
    assert (gone.status_code, "We couldn&#39;t use this passkey" in gone.get_data(as_text=True)) == (422, True)
    done = visitor.post("/sign-in/passkey", passkey=answer, next="/inbox")
    assert (done.status_code, done.location) == (302, "/inbox")
    assert visitor.get("/inbox").status_code == 200
