"""A PostgreSQL cluster of the tests' own, reached over a socket in its folder."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Run PostgreSQL in an empty folder, as its own user when we are root, until the block ends."""
    as_owner: dict[str, object] = {"cwd": folder}
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        as_owner |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    data = folder / "data"
    initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **as_owner)
    options = ["-c", f"unix_socket_directories={folder}", "-c", "listen_addresses=", "-c", "max_connections=200"]
    server = [programs / "postgres", "-D", data, *options, "-c", "fsync=off"]
    running = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_owner)
    try:
        ready = [programs / "pg_isready", "-q", "-h", folder]
        wait_until(lambda: subprocess.run(ready).returncode == 0)
        yield
    finally:
        running.send_signal(signal.SIGQUIT)  # at once: nothing here is kept
        running.wait(60)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition, looking often."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
