"""Real workers, clients that never give up, a nemesis that kills workers, and a checker of what must be there."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from support.cast import Client
from support.postgres import wait_until

from telepsych.core.ids import new_id
from telepsych.core.work import Practice

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REAL, CARELESS = "telepsych.app:create_app()", "careless:create_app()"
PATIENCE = 90.0
"""Seconds for one letter, retries included; every death is long over by then."""
LOST_CONNECTION = (OSError, http.client.HTTPException)


@dataclass
class Group:
    """A running http group."""

    port: int
    process: subprocess.Popen[bytes]

    def workers(self) -> list[int]:
        """Its worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]


@contextmanager
def running(practice: Practice, workers: int, app: str = REAL) -> Iterator[Group]:
    """Serve the practice with several processes until the block ends. The careless ones may then put things right; the
    real ones all die at once."""
    settings = practice.settings
    door = socket.create_server(("127.0.0.1", 0))
    command = [
        *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{door.fileno()}", "--workers", str(workers), "--preload"),
        *("--worker-class", "gthread", "--threads", "4", "--no-control-socket"),
        *("--graceful-timeout", "20", "--keep-alive", "0"),
        *("--log-level", "critical", "--pythonpath", str(HERE), app),
    ]
    environment = os.environ | {
        "TELEPSYCH_DATA": str(settings.data),
        "TELEPSYCH_RECORDS_URL": settings.records_url,
        "TELEPSYCH_KEYSTORE_URL": settings.keystore_url,
    }
    with (settings.data / "http.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, pass_fds=[door.fileno()], stdout=log, stderr=log, start_new_session=True
        )
    group = Group(door.getsockname()[1], process)
    door.close()
    try:
        wait_until(lambda: len(group.workers()) == workers, 60)
        yield group
        if app == CARELESS:
            process.terminate()
            process.wait(60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Record:
    """What clients were told, and what stands in the end."""

    acknowledged: dict[UUID, int] = field(default_factory=dict)
    unexpected: list[tuple[int, str]] = field(default_factory=list)
    attempts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lost(self, events: list[dict[str, Any]]) -> set[UUID]:
        """Letters a client was told are kept, and that are not there."""
        return set(self.acknowledged) - {UUID(event["client_id"]) for event in events}

    def misplaced(self, events: list[dict[str, Any]]) -> set[UUID]:
        """Letters that stand under another number than the client was told."""
        there = {UUID(event["client_id"]): event["seq"] for event in events}
        return {name for name, seq in self.acknowledged.items() if there.get(name, seq) != seq}


def duplicated(events: list[dict[str, Any]]) -> list[str]:
    """Letters that stand there more than once; every body is written once only."""
    return [body for body, times in Counter(event["body"] for event in events).items() if times > 1]


def holes(events: list[dict[str, Any]]) -> set[int]:
    """Numbers that are missing, or there twice."""
    numbers = Counter(event["seq"] for event in events)
    return {seq for seq in range(1, max(numbers, default=0) + 1) if numbers[seq] != 1}


class Browser:
    """Sends as the page's script does: one name for each letter, again and again until there is an answer."""

    def __init__(self, port: int, client: Client) -> None:
        cookie = client.http.get_cookie("telepsych-session")
        assert cookie is not None
        self.port = port
        self.headers = {
            "Cookie": f"telepsych-session={cookie.value}",
            "X-CSRF-Token": client.token,
            "Content-Type": "application/json",
        }

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """One attempt. Status 0: no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (*LOST_CONNECTION, ValueError):
            return 0, {}
        finally:
            connection.close()

    def write(self, conversation: str, record: Record, stop: threading.Event) -> None:
        """Write letter after letter until told to stop; the one begun is finished."""
        while not stop.is_set():
            name = new_id()
            self._send(conversation, name, record)

    def _send(self, conversation: str, name: UUID, record: Record) -> None:
        status, give_up = 0, time.monotonic() + PATIENCE
        while status not in (200, 201):
            if time.monotonic() > give_up:
                raise AssertionError("the server never answered")
            status, answer = self.ask("PUT", f"{conversation}/messages/{name}", {"body": f"Letter {name}"})
            with record.lock:
                record.attempts += 1
                if status not in (0, 200, 201, 503):
                    record.unexpected.append((status, str(answer.get("detail", ""))))
                    return
        with record.lock:
            record.acknowledged[name] = answer["seq"]


def kill_while_sending(group: Group, workers: int, record: Record, kills: int, letters: int = 2) -> None:
    """Kill random workers, each time after so many more letters were taken, at a random moment of the next ones."""
    chance, moment = random.Random(11), threading.Event()
    for _ in range(kills):
        wanted = len(record.acknowledged) + letters
        wait_until(lambda wanted=wanted: len(record.acknowledged) >= wanted, 60)  # type: ignore[misc]
        wait_until(lambda: len(group.workers()) == workers, 60)
        moment.wait(chance.random() * 0.04)
        victims = group.workers()
        if victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
