"""Live groups as real gunicorn processes on a free port."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from live_lab import HTTP_PORT, Lab
from support.postgres import wait_until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@dataclass
class LiveGroup:
    """A running live group."""

    lab: Lab
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def workers(self) -> list[int]:
        """Its worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def resident(self) -> int:
        """KiB of memory of all workers."""
        return sum(_resident(worker) for worker in self.workers())


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise LookupError(pid)


@contextmanager
def running_group(lab: Lab, workers: int = 1, kind: str = "gevent", **given: str) -> Iterator[LiveGroup]:
    """Run a live group until the block ends; `given` goes into its environment."""
    settings = lab.practice.settings
    log = settings.data / "live.log"
    door = socket.create_server(("127.0.0.1", 0))
    command = [
        *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{door.fileno()}", "--workers", str(workers)),
        *("--worker-class", kind, "--worker-connections", "2000", "--threads", "1" if kind == "gevent" else "64"),
        *("--no-control-socket", "--graceful-timeout", "1", "--log-level", "info"),
        *("--pythonpath", f"{HERE},{HERE.parent}", "live_lab:app()"),
    ]
    environment = os.environ | {
        "LAB_DATA": str(settings.data),
        "LAB_RECORDS": lab.practice.records.url.render_as_string(hide_password=False),
        "LAB_MODE": "gevent" if kind == "gevent" else "threading",
        "TELEPSYCH_HTTP_PORT": HTTP_PORT,
        **given,
    }
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[door.fileno()], stdout=out, stderr=out)
    port = door.getsockname()[1]
    door.close()
    group = LiveGroup(lab, port, process, log)
    try:
        wait_until(lambda: len(group.workers()) == workers and _is_healthy(port), 30)
        yield group
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
