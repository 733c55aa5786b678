"""`telepsych serve` with real processes: starts, restarts what dies, stops all together, and keeps its logs clean."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.postgres import wait_until

from server.support_server import Served, children, is_alive, serving, telepsych
from telepsych.core.errors import Misconfigured
from telepsych.core.settings import Settings
from telepsych.server import groups
from telepsych.server.supervisor import Supervisor

pytestmark = pytest.mark.live
TYPED = "typed-by-somebody"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


def test_says_one_line_when_everything_answers(served: Served) -> None:
    assert served.answers(served.port)
    assert served.answers(served.live_port)
    assert served.log.count("\n") == 1, served.log
    assert len(served.groups()) == 3


def test_groups_know_their_ports_and_folder(served: Served) -> None:
    for pid in served.groups():
        known = dict(pair.split("=", 1) for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if pair)
        assert known["TELEPSYCH_HTTP_PORT"] == str(served.port)
        assert known["TELEPSYCH_LIVE_PORT"] == str(served.live_port)
        assert known["TELEPSYCH_DATA"] == str(served.data)


def test_the_doctor_finds_it_healthy(served: Served) -> None:
    told = telepsych(served.data, "doctor", "--json")
    assert (told.returncode, json.loads(told.stdout)["ok"]) == (0, True), told.stdout


@pytest.mark.parametrize("name", ["http", "live", "worker"])
def test_what_dies_is_started_again_behind_the_same_door(served: Served, name: str) -> None:
    first = served.group(name)
    assert first is not None
    below = children(first)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_alive(first))
    wait_until(lambda: served.group(name) not in (None, first))
    wait_until(lambda: served.answers(served.port) and served.answers(served.live_port))
    wait_until(lambda: not any(is_alive(pid) for pid in below))


def test_logs_hold_no_query_and_nothing_typed(served: Served) -> None:
    served.answers(served.port, f"/sign-in?next={TYPED}")
    served.answers(served.live_port, f"/socket.io/?EIO=4&transport=polling&ticket={TYPED}")
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as raw:
        raw.sendall(f"GET /?{TYPED} HTTP/9.9\r\n{TYPED}\x01: x\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 4")
    assert TYPED not in served.log


def test_a_signal_stops_all_together(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        everything = [pid for group in served.groups() for pid in (group, *children(group))]
        assert len(everything) == 5
        served.process.terminate()
        assert served.process.wait(60) == 0
        assert [pid for pid in everything if is_alive(pid)] == []
        assert not served.answers(served.port)


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        everything = [pid for group in served.groups() for pid in (group, *children(group))]
        served.process.kill()
        served.process.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in everything))


def test_serves_on_postgresql_with_several_live_processes(tmp_path: Path, new_database: Callable[..., str]) -> None:
    address = new_database()
    with serving(tmp_path, records_url=address, keystore_url=address, live_workers="2") as served:
        assert served.answers(served.port)
        live = served.group("live")
        assert live is not None
        assert len(children(live)) == 2


def test_a_taken_port_is_said_to_be_taken(tmp_path: Path) -> None:
    assert telepsych(tmp_path, "init").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = telepsych(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert told.returncode == 1
    assert "cannot be used" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_folder_without_a_practice_is_refused(tmp_path: Path) -> None:
    told = telepsych(tmp_path, "serve", "--port", "0")
    assert told.returncode == 1
    assert "telepsych init" in told.stderr
    assert "Traceback" not in told.stderr


def test_several_live_processes_without_a_bus_are_refused(tmp_path: Path) -> None:
    alone = {"TELEPSYCH_RECORDS_URL": "sqlite://", "TELEPSYCH_LIVE_WORKERS": "2"}
    with pytest.raises(Misconfigured, match="Several live processes"):
        Supervisor(Settings.load(tmp_path, alone), 0)
    groups.require_bus(Settings.load(tmp_path, alone | {"TELEPSYCH_LIVE_WORKERS": "1"}))
    groups.require_bus(Settings.load(tmp_path, {"TELEPSYCH_LIVE_WORKERS": "2"}))
