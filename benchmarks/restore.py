"""A practice of a stated size is backed up while it is written to, lost, and brought back with two shares (R17).

On SQLite and on PostgreSQL: how long backup, restore and drill take, and what that makes for ten gigabytes. Fails when
a write is refused while the backup runs, a row is missing, something does not open, or (but for `--quick`) ten
gigabytes would take longer than half an hour to bring back.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import psycopg
from sqlalchemy.orm import Session
from support.cast import assemble
from support.postgres import cluster
from support.practice import build_practice

from telepsych import migrations
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment, command
from telepsych.core.clock import SystemClock
from telepsych.core.errors import TelepsychError
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.crypto import recovery, recovery_wraps
from telepsych.patients.models import Fact
from telepsych.server.backups import drill, making, manifest, restoring
from telepsych.server.backups.places import Places

ROW = 48 * 1024
MEBI = 1024 * 1024
TEN_GIGA, HALF_AN_HOUR = 10 * 1024 * MEBI, 30 * 60
A_BATCH = 50


class Writer(threading.Thread):
    """Writes as the practice does, until it is told to stop."""

    def __init__(self, practice: Practice) -> None:
        super().__init__()
        self._practice, self._over = practice, threading.Event()
        self.written = self.refused = 0

    def run(self) -> None:
        while not self._over.wait(0.01):
            try:
                with self._practice.begin(command("bench")) as work:
                    work.asked = True
                    audit.record(work, "bench.written", "bench:1", purpose="operations")
                self.written += 1
            except TelepsychError:
                self.refused += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def fill(practice: Practice, size: int) -> None:
    """Facts about a patient, sealed one by one, until there are so many bytes of them."""
    patient = assemble(practice).patient.record
    info = {"vault": practice.vault, "touched": []}
    with Session(practice.records.execution_options(telepsych_writes=True), info=info) as session:
        for first in range(0, size // ROW, A_BATCH):
            for number in range(first, first + A_BATCH):
                session.add(fact(patient, number))
            session.commit()


def fact(patient: Any, number: int) -> Fact:
    at = SystemClock().now()
    row = Fact(patient_id=patient, compartment=Compartment.GENERAL, code_index=b"bench", as_of=at, recorded_at=at)
    row.value = {"text": f"{number} " + "invented " * (ROW // 9)}
    return row


def timed(what: Any, *given: Any, **more: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    done = what(*given, **more)
    return time.perf_counter() - began, done


def measure(kind: str, folder: Path, urls: Iterator[str], size: int) -> dict[str, Any]:
    """Make, fill, back up, bring back and drill one practice."""
    first = settings_for(folder / "practice", next(urls))
    migrations.upgrade(first)
    practice = build_practice(first.data, first.records, first.keystore, SystemClock())
    fill(practice, size)
    public, shares = recovery.new_recovery_key(manifest.signer_name(practice.vault))
    recovery_wraps.install(practice.vault, public)
    to = Places(*(folder / "volumes" / part for part in manifest.PARTS))
    writer = Writer(practice)
    writer.start()
    backing, made = timed(making.make, practice, to)
    writer.stop()
    found = restoring.Found(*(to.of(part) / made.parts[part].file for part in manifest.PARTS))
    key = recovery.join(shares[:2])
    bringing, restored = timed(restoring.restore, settings_for(folder / "new", next(urls)), found, key)
    drilling, proved = timed(drill.drill, practice, found, key)
    practice.records.dispose()
    held = sum(part.size for part in made.parts.values())
    missing = sum(abs(restored.rows[name] - rows) for name, rows in made.parts["records"].tables.items())
    return {
        "database": kind,
        "sealed MiB": round(held / MEBI),
        "rows": sum(restored.rows.values()),
        "rows missing": missing,
        "tables proved": len(proved.opened),
        "written meanwhile": writer.written,
        "refused meanwhile": writer.refused,
        "backup s": round(backing, 1),
        "restore s": round(bringing, 1),
        "drill s": round(drilling, 1),
        "backup of 10 GiB, min": round(backing * TEN_GIGA / held / 60, 1),
        "restore of 10 GiB, min": round(bringing * TEN_GIGA / held / 60, 1),
    }


def settings_for(data: Path, url: str) -> Settings:
    data.mkdir(parents=True)
    return Settings(data=data, records_url=url, keystore_url=url)


@contextmanager
def addresses(kind: str, folder: Path) -> Iterator[Iterator[str]]:
    """Addresses of empty databases."""
    if kind == "sqlite":
        yield iter(("", ""))
        return
    with tempfile.TemporaryDirectory(prefix="pg.", dir="/tmp") as place, cluster(Path(place)):
        with psycopg.connect(host=place, user="postgres", dbname="postgres", autocommit=True) as admin:
            for name in ("one", "two"):
                admin.execute(f"CREATE DATABASE {name}")
        yield (f"postgresql+psycopg://postgres@/{name}?host={place}" for name in ("one", "two"))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="A small practice.")
    is_quick = options.parse_args().quick
    size = (24 if is_quick else 512) * MEBI
    is_kept = True
    for kind in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory() as folder, addresses(kind, Path(folder)) as urls:
            found = measure(kind, Path(folder), urls, size)
        print(json.dumps(found))
        is_kept &= found["rows missing"] == found["refused meanwhile"] == 0 < found["written meanwhile"]
        if not is_quick:  # what a small practice takes is mostly its tables being made
            is_kept &= found["restore of 10 GiB, min"] * 60 <= HALF_AN_HOUR
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
