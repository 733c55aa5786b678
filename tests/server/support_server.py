"""A practice served by real processes on ports of its own."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.postgres import wait_until

from telepsych.core.settings import Settings
from telepsych.server.commands import prepare

ROOT = Path(__file__).parents[2]
READY = re.compile(r"ready: http://127\.0\.0\.1:(\d+) \(live on port (\d+)\)")


def environment(data: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TELEPSYCH_")}
    return ours | {"TELEPSYCH_DATA": str(data), "PYTHONPATH": str(ROOT)}


def telepsych(data: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    command = [sys.executable, "-m", "telepsych.cli", *words]
    return subprocess.run(command, env=environment(data), cwd=data, capture_output=True, text=True, timeout=180)


@dataclass
class Served:
    """A running practice."""

    data: Path
    process: "subprocess.Popen[bytes]"
    port: int = 0
    live_port: int = 0

    @property
    def log(self) -> str:
        return (self.data / "log").read_text(encoding="utf-8")

    def group(self, name: str) -> int | None:
        """The process of a group, by what its command line holds; None while there is none."""
        words = {"http": "create_app", "live": "create_live", "worker": " worker"}[name]
        return next((child for child in self.groups() if words in command_of(child)), None)

    def groups(self) -> list[int]:
        return children(self.process.pid)

    def answers(self, port: int, path: str = "/healthz") -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as answer:
            return answer.code < 500
        except OSError:
            return False


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be noticed does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def serving(data: Path, **settings: str) -> Iterator[Served]:
    """Serve a new practice in a folder until the block ends."""
    prepare(Settings.load(data, {f"TELEPSYCH_{name.upper()}": value for name, value in settings.items()}))
    command = [sys.executable, "-m", "telepsych.cli", "serve", "--port", "0"]
    added = {f"TELEPSYCH_{name.upper()}": value for name, value in settings.items()}
    with (data / "log").open("wb") as out:
        process = subprocess.Popen(command, env=environment(data) | added, cwd=data, stdout=out, stderr=out)
    served = Served(data, process)
    try:
        wait_until(lambda: process.poll() is not None or READY.search(served.log) is not None, 120)
        found = READY.search(served.log)
        assert found is not None, served.log
        served.port, served.live_port = int(found[1]), int(found[2])
        yield served
    finally:
        left = served.groups()
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
