"""Sixty-four writers with the sequencer running and without, in turns in one run (L4).

Prints entries a second, the ratio of the two, and how long entries waited for their place: with the writers going as
fast as the machine lets them, and with the promised 1,500 entries a second in units of ten. Status 1 when the tree
costs more than half of the throughput, or when at 1,500 a second one entry in a hundred waits two seconds or longer.

    python benchmarks/audit_throughput.py [--quick]
"""

import argparse
import multiprocessing
import random
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sqlalchemy import func, select
from support.databases import Place, empty

from telepsych.audit import service as audit
from telepsych.audit.models import AuditCheckpoint, AuditLeaf, AuditRow
from telepsych.audit.sequencer import Sequencer
from telepsych.core.actor import command
from telepsych.core.clock import SECOND, SystemClock
from telepsych.core.errors import Unavailable
from telepsych.core.work import Practice
from telepsych.server.worker import Job, run

PROCESSES, THREADS = 4, 16
PROMISED, LEAST_RATIO, MOST_LAG = 1_500, 0.5, 2.0
FORK = multiprocessing.get_context("fork")


def write(practice: Practice, entries: int, until: float, pace: float) -> None:
    """One writer: units of so many entries each, one every `pace` seconds at most, until the time is over."""
    due = time.monotonic() + random.random() * pace
    while time.monotonic() < until:
        time.sleep(max(0.0, due - time.monotonic()))
        due += pace
        try:
            with practice.begin(command("bench"), public="bench") as work:
                for number in range(entries):
                    audit.record(work, "bench.noted", f"thing:{number}")
        except Unavailable:
            continue


def write_in_threads(place: Place, entries: int, until: float, pace: float) -> None:
    practice = place.open(SystemClock())
    threads = [threading.Thread(target=write, args=(practice, entries, until, pace)) for _ in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def sequence(place: Place, stop: Any) -> None:
    """The worker with this one job."""
    run(place.open(SystemClock()), [Job("audit.sequence", SECOND, Sequencer().run)], stop)


def measured(place: Place, entries: int, seconds: float, pace: float = 0.0) -> float:
    """Entries a second by all writers together."""
    before = count(place)
    start = time.monotonic()
    given = (place, entries, start + seconds, pace)
    writers = [FORK.Process(target=write_in_threads, args=given) for _ in range(PROCESSES)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    return (count(place) - before) / (time.monotonic() - start)


def with_tree(place: Place, entries: int, seconds: float, pace: float = 0.0) -> float:
    stop = FORK.Event()
    worker = FORK.Process(target=sequence, args=(place, stop))
    worker.start()
    try:
        return measured(place, entries, seconds, pace)
    finally:
        time.sleep(3)  # for the last entries
        stop.set()
        worker.join()


def count(place: Place) -> int:
    practice = place.open(SystemClock())
    try:
        with practice.records.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(AuditRow)).scalar_one())
    finally:
        practice.records.dispose()


def last_at(place: Place) -> int:
    practice = place.open(SystemClock())
    with practice.records.connect() as connection:
        found = connection.execute(select(func.max(AuditRow.at))).scalar_one()
    practice.records.dispose()
    return int(found or 0)


def lags(place: Place, after: int) -> list[float]:
    """How long entries written after a moment waited for a signed place, in seconds; one that has none, for ever."""
    practice = place.open(SystemClock())
    with practice.records.connect() as connection:
        signed = connection.execute(
            select(AuditCheckpoint.size, AuditCheckpoint.at).order_by(AuditCheckpoint.size)
        ).all()
        joined = select(AuditLeaf.leaf_index, AuditRow.at).select_from(AuditRow)
        joined = joined.outerjoin(AuditLeaf, AuditLeaf.row_id == AuditRow.id).where(AuditRow.at > after)
        rows = connection.execute(joined.order_by(AuditLeaf.leaf_index)).all()
    practice.records.dispose()
    found, checkpoints = [], iter(signed)
    size, at = next(checkpoints, (0, 0))
    for index, written in rows:
        while index is not None and index >= size:
            size, at = next(checkpoints)
        found.append(float("inf") if index is None else (at - written) / SECOND)
    return sorted(found)


def compare(kind: str, seconds: float, turns: int) -> bool:
    with empty(kind) as place:
        place.open(SystemClock()).records.dispose()  # the keyring, before anybody forks
        without, tree, waits = [], [], []
        for _ in range(turns):
            without.append(measured(place, 1, seconds))
            settle(place)
            begun = last_at(place)
            tree.append(with_tree(place, 1, seconds))
            waits.extend(lags(place, begun))
        batched = with_tree(place, 10, seconds)
        settle(place)
        begun = last_at(place)
        paced = with_tree(place, 10, seconds, 10 * PROCESSES * THREADS / PROMISED)
        even = lags(place, begun)
    ratio, waits = statistics.mean(tree) / statistics.mean(without), sorted(waits)
    lag, fastest = even[int(len(even) * 0.99)], max(batched, *tree)
    reached = "reached" if fastest >= PROMISED else "not reached"
    print(
        f"{kind}: {statistics.mean(without):.0f} entries/s without the tree, {statistics.mean(tree):.0f} with it, "
        f"ratio {ratio:.2f}; {batched:.0f} in units of ten ({PROMISED} {reached}); "
        f"lag flat out p99 {waits[int(len(waits) * 0.99)]:.2f} s; "
        f"at {paced:.0f} entries/s p50 {even[len(even) // 2]:.2f} s, p99 {lag:.2f} s"
    )
    return ratio >= LEAST_RATIO and lag < MOST_LAG


def settle(place: Place) -> None:
    """Place what was written without the sequencer, so that nobody waits behind it."""
    practice = place.open(SystemClock())
    while Sequencer().run(practice):
        pass
    practice.records.dispose()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="one turn of three seconds")
    quick = options.parse_args().quick
    seconds, turns = (3.0, 1) if quick else (10.0, 3)
    return 0 if all([compare(kind, seconds, turns) for kind in ("sqlite", "postgresql")]) else 1


if __name__ == "__main__":
    sys.exit(main())
