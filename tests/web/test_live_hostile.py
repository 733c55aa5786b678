"""Frames that no page of ours sends: the worker lives, its memory stays, and everybody else is answered in time."""

import json
import os
import random
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import websocket
from hypothesis import given
from hypothesis import strategies as st
from live_client import HANDSHAKE, Page, upgrade
from live_lab import ORIGIN, SignedIn
from live_processes import LiveGroup, wait_until

from telepsych.web.live_packets import LARGEST, Malformed, PlainPacket, is_frame_of_ours

SEED = 20261124
FRAMES = 4_000
MIB = 1024
GONE = (websocket.WebSocketException, OSError)


@pytest.fixture(autouse=True)
def same_worker_alive(sqlite_group: LiveGroup) -> Iterator[None]:
    """Every test here leaves the very same worker answering, and no traceback in its log."""
    before = sqlite_group.workers()
    yield
    assert sqlite_group.workers() == before
    assert Page(sqlite_group.port, sqlite_group.lab.sign_in()).emit("lab:echo", {"n": 1})["ok"]
    assert "Traceback" not in sqlite_group.log.read_text()


class Bystander:
    """A page of somebody else, asking all the while."""

    def __init__(self, group: LiveGroup) -> None:
        self._page = Page(group.port, group.lab.sign_in())
        self._stop = threading.Event()
        self.answered = self.refused = 0
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._stop.wait(0.03):
            if self._page.emit("lab:echo", {"n": 1})["ok"]:
                self.answered += 1
            else:
                self.refused += 1

    def __enter__(self) -> "Bystander":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


GOOD = [
    "3",
    "40",
    '40{"ticket":"made-up"}',
    "41",
    '42["lab:echo",{"n":1}]',
    '427["lab:echo",{"n":1,"text":"hello"}]',
    '42["visit:signal",{"visit":"x","to":"y","payload":{"sdp":"v=0\\r\\no=- 1 2 IN IP4 127.0.0.1"}}]',
    '451-["lab:echo",{"_placeholder":true,"num":0}]',
    '43["x"]',
    "2probe",
    "5",
]
PIECES = [
    "",
    "0",
    "4",
    "-",
    ",",
    "/",
    "[",
    "{",
    '"',
    "\\",
    "\x00",
    "\ud7ff",
    "é",
    "²",
    "９",
    "9" * 120,
    "[" * 3_000,
    "1e999",
]


def mutant(dice: random.Random) -> str | bytes:
    """A frame near to one that a page sends."""
    text = dice.choice(GOOD)
    for _ in range(dice.randint(1, 4)):
        place = dice.randint(0, len(text))
        text = dice.choice(
            [
                text[:place] + dice.choice(PIECES) + text[place:],
                text[:place] + text[place + 1 :],
                text[:place],
                chr(dice.randint(32, 0x2FF)) + text[1:],
                text[:place] + text,
            ]
        )
    return text.encode() if dice.random() < 0.1 else text


def send_mutants(group: LiveGroup, who: SignedIn, seed: int, count: int) -> None:
    """Send frames, a few on each connection: the server closes at the first that it does not take."""
    dice, sent = random.Random(seed), 0
    while sent < count:
        connection = upgrade(group.port, who)
        try:
            if dice.random() < 0.25:
                connection.send("40" + json.dumps({"ticket": who.ticket()}))
            for _ in range(dice.randint(1, 4)):
                frame = mutant(dice)
                sent += 1
                connection.send(frame, websocket.ABNF.OPCODE_BINARY if isinstance(frame, bytes) else 1)
        except GONE:
            pass
        finally:
            connection.shutdown()


def test_thousands_of_malformed_frames_harm_nobody(sqlite_group: LiveGroup) -> None:
    attackers = [sqlite_group.lab.sign_in() for _ in range(2)]
    with Bystander(sqlite_group) as other, ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(send_mutants, sqlite_group, who, SEED + n, FRAMES // 2) for n, who in enumerate(attackers)]
        for job in jobs:
            job.result()
    assert (other.answered > 20, other.refused) == (True, 0)


def raw_handshake(group: LiveGroup, who: SignedIn, *headers: str) -> socket.socket:
    """A WebSocket by hand, past its handshake."""
    wire = socket.create_connection(("127.0.0.1", group.port), timeout=10)
    lines = [
        *(f"GET {HANDSHAKE} HTTP/1.1", f"Host: 127.0.0.1:{group.port}", "Connection: Upgrade", "Upgrade: websocket"),
        *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Origin: {ORIGIN}"),
        *(f"Cookie: telepsych-session={who.token}", *headers, "", ""),
    ]
    wire.sendall("\r\n".join(lines).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += wire.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101")
    assert b"permessage-deflate" not in answer.lower(), "compression is never agreed to"
    return wire


def frame(opening: int, payload: bytes) -> bytes:
    """One masked WebSocket frame with this first byte."""
    size = len(payload)
    length = bytes([0x80 | 127]) + struct.pack(">Q", size) if size > 125 else bytes([0x80 | size])
    return bytes([opening]) + length + b"\0\0\0\0" + payload


def push(wire: socket.socket, data: bytes) -> bool:
    """Send, and say whether the other end still takes it."""
    try:
        wire.sendall(data)
    except OSError:
        return False
    return True


def closed(wire: socket.socket) -> bool:
    """Whether the other end has closed; waits for it."""
    try:
        while wire.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_a_compression_bomb_inflates_nothing(sqlite_group: LiveGroup) -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(deflate.compress(b"\0" * (1 << 20)) for _ in range(200)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    before = sqlite_group.resident()
    wire = raw_handshake(
        sqlite_group, sqlite_group.lab.sign_in(), "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    )
    push(wire, frame(0xC1, bomb[:-4]))
    assert closed(wire)
    assert sqlite_group.resident() - before < 20 * MIB


@pytest.mark.parametrize("count", ["1", "10", "9999999999", "99999999999"])
@pytest.mark.parametrize("kind", ["2", "5", "6"])
def test_announced_attachments_are_not_waited_for(sqlite_group: LiveGroup, kind: str, count: str) -> None:
    def announce() -> None:
        page = Page(sqlite_group.port, sqlite_group.lab.sign_in())
        page.ws.send(f'4{kind}{count}-["lab:echo",{{"_placeholder":true,"num":0}}]')
        try:
            for _ in range(200):
                page.ws.send_binary(os.urandom(60_000))
        except GONE:
            pass
        page.hear(lambda page: page.closed)

    growth = []
    for _ in range(3):  # what is parked would grow each time; what the process needs once, or for a moment, does not
        before = sqlite_group.resident()
        announce()
        growth.append(sqlite_group.resident() - before)
    assert min(growth) < 5 * MIB


def test_a_message_in_endless_parts_is_cut_off(sqlite_group: LiveGroup) -> None:
    before = sqlite_group.resident()
    wire = raw_handshake(sqlite_group, sqlite_group.lab.sign_in())
    push(wire, frame(0x01, b"42"))
    parts = sum(push(wire, frame(0x00, b"x" * 32_000)) for _ in range(1_500))
    assert closed(wire)
    assert parts < 1_500
    assert sqlite_group.resident() - before < 5 * MIB


def test_a_frame_that_announces_gigabytes_is_cut_off(sqlite_group: LiveGroup) -> None:
    before = sqlite_group.resident()
    wire = raw_handshake(sqlite_group, sqlite_group.lab.sign_in())
    push(wire, bytes([0x81, 0x80 | 127]) + struct.pack(">Q", 1 << 40) + b"\0\0\0\0")
    while push(wire, b"x" * 65_536):
        pass
    assert closed(wire)
    assert sqlite_group.resident() - before < 5 * MIB


def test_the_largest_frame_is_taken_and_one_more_character_is_not(sqlite_group: LiveGroup) -> None:
    lab, port = sqlite_group.lab, sqlite_group.port
    fits, over = Page(port, lab.sign_in()), Page(port, lab.sign_in())
    start = '42["lab:echo",{"n":1,"text":"'
    fits.ws.send(start + "x" * (LARGEST - len(start) - 3) + '"}]')
    assert fits.emit("lab:echo", {"n": 2})["ok"]
    over.ws.send(start + "x" * (LARGEST - len(start) - 2) + '"}]')
    over.hear(lambda page: page.closed)


def send_for_ever(page: Page) -> None:
    """Send until nobody takes it any more; fails if that never happens."""
    for n in range(200_000):
        page.ws.send(f'42["lab:echo",{{"n":{n}}}]')
    raise AssertionError("nobody minded")


def test_a_flood_ends_its_own_connection_only(sqlite_group: LiveGroup) -> None:
    lab, port = sqlite_group.lab, sqlite_group.port
    flood = Page(port, lab.sign_in())
    before = sqlite_group.resident()
    with Bystander(sqlite_group) as other:
        with pytest.raises(GONE):
            send_for_ever(flood)
        wait_until(lambda: other.answered > 20)
    assert other.refused == 0
    assert sqlite_group.resident() - before < 5 * MIB


def test_a_steady_stream_faster_than_any_page_ends_too(sqlite_group: LiveGroup) -> None:
    page = Page(sqlite_group.port, sqlite_group.lab.sign_in())
    answered = 0
    with suppress(*GONE):
        while answered < 3_000:
            answered += page.emit("lab:echo", {"n": 1})["ok"]
    assert 290 <= answered < 1_000, "a burst is fine"


def test_noise_below_the_protocol_ends_its_connection(sqlite_group: LiveGroup) -> None:
    dice, who = random.Random(SEED), sqlite_group.lab.sign_in()
    openings = [b"", *(bytes([opening]) for opening in (0x00, 0x01, 0x02, 0x81, 0x82, 0x88, 0x89, 0x8A, 0x83, 0xF1))]
    invalid_text = [frame(0x81, b"42\xff\xfe"), frame(0x01, b"42\xe2") + frame(0x80, b"\xff"), frame(0x88, b"\x03")]
    for round_ in range(300):
        wire = raw_handshake(sqlite_group, who)
        noise = invalid_text[round_] if round_ < 3 else dice.choice(openings) + dice.randbytes(dice.randint(1, 400))
        push(wire, noise)
        wire.close()
    with Bystander(sqlite_group) as other:
        wait_until(lambda: other.answered > 20)
    assert other.refused == 0


@pytest.mark.parametrize("name", ["connect", "disconnect", "connect_error", "*"])
def test_the_names_of_the_library_are_not_events(sqlite_group: LiveGroup, name: str) -> None:
    """A page that could say `disconnect` of itself would stay in its rooms, unseen by the sweep."""
    page = Page(sqlite_group.port, sqlite_group.lab.sign_in())
    page.ws.send(f'421["{name}",{{"ticket":"x"}}]')
    page.hear(lambda page: page.closed)


def test_another_namespace_or_a_second_connect_gives_nothing(sqlite_group: LiveGroup) -> None:
    lab, port = sqlite_group.lab, sqlite_group.port
    again, elsewhere = Page(port, lab.sign_in()), Page(port, lab.sign_in())
    again.ws.send("40" + json.dumps({"ticket": "made-up"}))
    kind, _, _ = again._packet()
    assert kind == "4"
    assert again.emit("lab:echo", {"n": 1})["ok"]
    elsewhere.ws.send("40/admin,")
    elsewhere.hear(lambda page: page.closed)


def test_events_before_the_ticket_are_not_heard(sqlite_group: LiveGroup) -> None:
    connection = upgrade(sqlite_group.port, sqlite_group.lab.sign_in())
    connection.recv()
    connection.send('421["lab:echo",{"n":1}]')
    connection.settimeout(1)
    with pytest.raises(GONE):
        connection.recv()


def answer_pings(connection: websocket.WebSocket) -> None:
    """Do what a living page does and nothing else."""
    while True:
        if connection.recv() == "2":
            connection.send("3")


def test_strangers_without_a_ticket_and_pages_that_answer_no_ping_are_put_out(sqlite_group: LiveGroup) -> None:
    lab, who = sqlite_group.lab, sqlite_group.lab.sign_in()
    watcher = Page(sqlite_group.port, lab.sign_in())
    silent = Page(sqlite_group.port, who)
    stranger = upgrade(sqlite_group.port, lab.sign_in())
    with pytest.raises(GONE):
        answer_pings(stranger)
    wait_until(lambda: watcher.seen(who) == ["came", "went"], 60)
    silent.close()


def test_a_page_that_stops_reading_is_put_out(sqlite_group: LiveGroup) -> None:
    lab = sqlite_group.lab
    watcher, who, before = Page(sqlite_group.port, lab.sign_in()), lab.sign_in(), sqlite_group.resident()
    deaf = Page(sqlite_group.port, who)
    people = [who.person]

    def tell_much() -> bool:
        for n in range(40):
            lab.tell(people, "lab:flood", n=n)
        return "went" in watcher.seen(who)

    wait_until(tell_much, 60)
    assert sqlite_group.resident() - before < 40 * MIB
    deaf.close()


FRAME = st.text(max_size=60) | st.tuples(st.sampled_from(["40", "41", "42", "43", "451-"]), st.text(max_size=40)).map(
    "".join
)


@given(FRAME)
def test_decoding_either_understands_or_refuses(text: str) -> None:
    if not is_frame_of_ours(text) or text in ("1", "3"):
        return
    try:
        packet = PlainPacket(encoded_packet=text[1:])
    except Malformed:
        return
    assert packet.packet_type in (0, 1, 2)
    assert packet.attachments == []
    assert packet.attachment_count == 0


@pytest.mark.parametrize(
    "text",
    [
        *("21-[]", '21-["a",1]', '210-["a"]', '51-["a"]', "61-[]", '3["a"]', '4["a"]', '7["a"]', "2", "2[]", "2{}"),
        *('2"a"', "2[1]", '2[{"a":1}]', '2[""]', '2["a",1,2]', f'2["{"a" * 49}"]', '2/x,["a"]', "0/x,{}", "0[]"),
        *(
            "0{",
            '2["a"',
            "2" + "9" * 101 + '["a"]',
            '22147483648["a"]',
            "2" + "[" * 60_000,
            '2²["a"]',
            '2["disconnect"]',
        ),
    ],
)
def test_packets_that_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        PlainPacket(encoded_packet=text)


@given(st.binary(max_size=40))
def test_bytes_are_never_ours(data: bytes) -> None:
    assert not is_frame_of_ours(data)
    with pytest.raises(Malformed):
        PlainPacket(encoded_packet=data or b"4")
