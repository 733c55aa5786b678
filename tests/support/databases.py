"""Empty databases of both kinds for measurements outside the test run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from support.postgres import cluster
from support.practice import build_practice, create_tables
from telepsych.core.clock import Clock
from telepsych.core.work import Practice


@dataclass(frozen=True)
class Place:
    """A practice with all tables and nobody in it, to be opened by any process."""

    folder: Path
    records: str
    keystore: str

    def open(self, clock: Clock) -> Practice:
        return build_practice(self.folder, self.records, self.keystore, clock)


@contextmanager
def empty(kind: str) -> Iterator[Place]:
    """A practice on `sqlite` (with fsync) or `postgresql` (without) until the block ends."""
    with tempfile.TemporaryDirectory(prefix="practice.", dir="/tmp") as folder:
        home = Path(folder)
        if kind == "sqlite":
            place = Place(home, *(f"sqlite:///{home / part / part}.sqlite" for part in ("records", "keystore")))
            create_tables(place.records, place.keystore)
            yield place
            return
        with tempfile.TemporaryDirectory(prefix="pg.", dir="/tmp") as socket, cluster(Path(socket)):
            with psycopg.connect(host=socket, user="postgres", dbname="postgres", autocommit=True) as admin:
                admin.execute("CREATE DATABASE practice")
            address = f"postgresql+psycopg://postgres@/practice?host={socket}"
            create_tables(address, address)
            yield Place(home, address, address)
