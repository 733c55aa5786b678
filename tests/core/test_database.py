"""SQLite's rules, and one writer at a time, in turn."""

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.postgres import wait_until

from telepsych.core import database, lines
from telepsych.core.database import WriteLock, open_engine, wal_is_safe
from telepsych.core.errors import Unavailable

from .writer import add_one, number_beside

WRITER = Path(__file__).with_name("writer.py")
ROOT = WRITER.parents[2]


def lock_of(file: Path, wait: float = 60) -> WriteLock:
    return WriteLock(open_engine(f"sqlite:///{file}"), wait)


def number_in(file: Path) -> int:
    return int(number_beside(file).read_text() or "0") if number_beside(file).exists() else 0


@contextmanager
def writing(file: Path, threads: int = 1, times: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that writes into a file; what is left of it is killed at the end."""
    command = [sys.executable, WRITER, file, str(threads), str(times)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def spoke(process: "subprocess.Popen[bytes]") -> bytes:
    """Wait for a process to say that it is there."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 46, 1), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 53, 4), True),
    ],
)
def test_wal_is_refused_exactly_on_affected_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], safe: bool
) -> None:
    """R8."""
    assert wal_is_safe(version) is safe
    monkeypatch.setattr(database, "sqlite_version", lambda: version)
    engine = open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == ("wal" if safe else "delete")
    engine.dispose()


def test_durability_is_full(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with engine.connect() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "foreign_keys", "secure_delete")
        ]
    assert values == [2, 1, 1]
    engine.dispose()


def test_a_writer_waits_its_turn_and_not_for_ever(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    first, second = WriteLock(engine, 5), WriteLock(engine, 0.2)
    holds, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with first.held():
            holds.set()
            go_on.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait(10)
    with pytest.raises(Unavailable), second.held():
        pass
    go_on.set()
    thread.join()
    with second.held():
        pass
    engine.dispose()


def test_threads_take_turns_in_the_order_in_which_they_came() -> None:
    line, order = lines.ThreadLine(), []

    def wait(number: int) -> None:
        assert line.join(60)
        order.append(number)
        line.leave()

    assert line.join(0)
    with ThreadPoolExecutor(9) as pool:
        for number in range(8):
            pool.submit(wait, number)
            wait_until(lambda number=number: line.waiting == number + 1)  # type: ignore[misc]
        assert not pool.submit(line.join, 0.01).result()  # it gives up, and holds nobody up by that
        line.leave()
    assert order == list(range(8))
    assert line.join(0)


def test_places_in_line_are_by_arrival_and_end_with_their_handle(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2))
    now = time.monotonic_ns()
    assert lines.stand(first, now) == now
    assert lines.stand(second, now) == now + 1
    assert lines.is_anybody(second, 0, now + 1)
    assert not lines.is_anybody(first, 0, now)
    os.close(first)
    assert not lines.is_anybody(second, 0, now + 1)
    os.close(second)


def test_no_write_of_many_threads_and_processes_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    lock = lock_of(file)

    def write(_number: int) -> None:
        with lock.held():
            add_one(number_beside(file))

    with writing(file, 4, 25) as one, writing(file, 4, 25) as other, ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(100)))
        assert (one.wait(60), other.wait(60)) == (0, 0)
    assert number_in(file) == 300


@pytest.mark.parametrize("threads", [1, 4])
def test_one_that_writes_now_and_then_is_not_passed_by_those_that_write_without_a_pause(
    tmp_path: Path, threads: int
) -> None:
    """Counted in writes, not in time: between asking and getting its turn, few of the others' writes go by."""
    file, passed = tmp_path / "x.sqlite", []
    lock = lock_of(file)
    with writing(file, threads) as one, writing(file, threads) as other:
        assert {spoke(one), spoke(other)} == {b"ready"}
        for _ in range(40):
            before = number_in(file)
            wait_until(lambda before=before: number_in(file) > before + 1)  # type: ignore[misc]
            asked = number_in(file)
            with lock.held():
                passed.append(add_one(number_beside(file)) - asked)
    assert statistics.median(passed) <= 2 * threads + 1, passed
    assert statistics.mean(passed) <= 4 * threads + 2, passed


def test_the_death_of_one_that_writes_or_waits_stops_nobody(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    with writing(file, times=-1) as holder:
        assert spoke(holder) == b"holding"
        handle = os.open(f"{file}.lock", os.O_RDWR)
        begun = time.monotonic_ns()
        with writing(file) as waiter:
            wait_until(lambda: lines.is_anybody(handle, begun, time.monotonic_ns()))
            waiter.kill()
            wait_until(lambda: not lines.is_anybody(handle, begun, time.monotonic_ns()))
        with pytest.raises(Unavailable), lock_of(file, 0.2).held():
            pass
        holder.kill()
        with lock_of(file).held():
            pass
        os.close(handle)


def test_one_frozen_in_line_holds_others_up_but_none_gives_up(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    lock = lock_of(file, 3)
    with writing(file) as frozen:
        with lock.held():
            handle, begun = os.open(f"{file}.lock", os.O_RDWR), time.monotonic_ns()
            wait_until(lambda: lines.is_anybody(handle, begun, time.monotonic_ns()))
            os.kill(frozen.pid, signal.SIGSTOP)
        with lock.held():
            assert lines.is_anybody(handle, begun, time.monotonic_ns())
        os.close(handle)
