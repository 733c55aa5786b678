"""One command runs the practice: binds both sockets, starts http group, live group and worker, keeps them running.

The sockets are bound here and passed on, so a group that is started again finds its door as it was, and connections
made in between wait in it. What dies is started again, later each time; a signal stops all together.
"""

import ctypes
import http.client
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from telepsych.core.clock import machine_time
from telepsych.core.errors import Misconfigured
from telepsych.core.settings import Settings
from telepsych.server import beat, groups

log = logging.getLogger("telepsych.server")
HOST = "127.0.0.1"
LOOK = 0.1
"""Seconds between looks at the processes."""
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
SETTLED = 20.0
"""Seconds after which a process that dies is taken to have worked."""
PATIENCE = 15.0
"""Seconds that processes may take to stop before they are killed."""
PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


@dataclass
class Door:
    """A bound socket that outlives the processes behind it."""

    socket: socket.socket

    @property
    def number(self) -> int:
        return self.socket.fileno()

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])


@dataclass
class Group:
    """One process under the supervisor (gunicorn has children of its own), and how it is doing."""

    name: str
    command: list[str]
    doors: tuple[Door, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE
    start_at: float = 0.0
    restarts: int = field(default=0)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Runs the practice until told to stop."""

    def __init__(self, settings: Settings, port: int, say: Say = print) -> None:
        groups.require_bus(settings)
        self.settings = settings
        self.http = _bind(port)
        self.live = _bind(port + 1 if port else 0)
        self.stopping = threading.Event()
        self._say = say
        self._is_ready = False
        self._begun_at = machine_time()
        self.groups = [
            Group("http", groups.http_command(settings, self.http.number), (self.http,)),
            Group("live", groups.live_command(settings, self.live.number), (self.live,)),
            Group("worker", groups.worker_command()),
        ]

    def run(self) -> None:
        """Start everything, keep it running, stop it when signalled."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stopping.set())
        try:
            while not self.stopping.is_set():
                self.look()
                self.stopping.wait(LOOK)
        finally:
            self.stop()

    def look(self) -> None:
        """Start what is not running and due, and say once that everything answers."""
        for group in self.groups:
            if not group.is_running:
                self._care_for(group)
        if not self._is_ready and self._all_answer():
            self._is_ready = True
            self._say(f"Telepsych is ready: http://{HOST}:{self.http.port} (live on port {self.live.port})")

    def stop(self) -> None:
        """Stop all together; what does not stop in time is killed."""
        running = [group.process for group in self.groups if group.process is not None and group.is_running]
        for process in running:
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + PATIENCE
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for door in (self.http, self.live):
            door.socket.close()

    def _care_for(self, group: Group) -> None:
        now = time.monotonic()
        if group.process is not None:
            self._note_death(group, now)
        if now >= group.start_at:
            self._start(group, now)

    def _note_death(self, group: Group, now: float) -> None:
        process, group.process = group.process, None
        code = process.returncode if process is not None else 0
        if now - group.started_at >= SETTLED:
            group.pause = FIRST_PAUSE
        log.warning("%s stopped with code %s; starting it again in %.2g s", group.name, code, group.pause)
        group.start_at, group.pause = now + group.pause, min(group.pause * 2, LONGEST_PAUSE)
        group.restarts += 1

    def _start(self, group: Group, now: float) -> None:
        group.process = subprocess.Popen(  # noqa: S603
            group.command,
            env=self._environment(),
            pass_fds=[door.number for door in group.doors],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        group.started_at = now

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "TELEPSYCH_DATA": str(self.settings.data),
            "TELEPSYCH_HTTP_PORT": str(self.http.port),
            "TELEPSYCH_LIVE_PORT": str(self.live.port),
        }

    def _all_answer(self) -> bool:
        heard = beat.read(self.settings)
        is_awake = heard is not None and heard.at >= self._begun_at
        return is_awake and _answers(self.http.port) and _answers(self.live.port)


def _bind(port: int) -> Door:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError as problem:
        bound.close()
        raise Misconfigured(f"Port {port} cannot be used: {problem.strerror}. Choose another with --port.") from None
    bound.listen(1024)
    return Door(bound)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=0.5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except OSError:
        return False
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


def _die_with_parent() -> None:
    """Ask Linux to end this process when the supervisor is killed outright, so that no port stays taken."""
    libc: Any = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
