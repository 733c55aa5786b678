"""What `/readyz` asks: can this process do its work now? Ids and kinds only; a stranger may read the answer."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from telepsych import migrations
from telepsych.core.settings import Settings
from telepsych.core.work import Practice
from telepsych.server import beat

log = logging.getLogger("telepsych.server")


@dataclass(frozen=True, slots=True)
class Fault:
    """What keeps the practice from working, in a word and a sentence."""

    part: str
    """`records`, `keystore`, `bus` or `worker`."""
    sentence: str

    def as_dict(self) -> dict[str, str]:
        return {"part": self.part, "sentence": self.sentence}


def readiness(practice: Practice) -> list[Fault]:
    """Everything that keeps this practice from working; nothing when it is ready."""
    checks = (_records, _keystore, _bus, _worker)
    return [fault for check in checks for fault in check(practice)]


def has_bus(settings: Settings) -> bool:
    """Whether several live processes would hear the same news: a database in one process's memory carries none."""
    address = make_url(settings.records)
    return address.get_backend_name() == "postgresql" or address.database not in (None, "", ":memory:")


def answers(engine: Engine) -> bool:
    """Whether a database answers at all."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as problem:
        log.warning("database: %s", type(problem).__name__)
        return False
    return True


def at_head(engine: Engine, name: str) -> bool:
    """Whether a database that answers is at the newest revision of its chain."""
    chain = next(chain for chain in migrations.chains() if chain.name == name)
    try:
        with engine.connect() as connection:
            table = engine.dialect.identifier_preparer.quote(chain.table)
            found = connection.execute(text(f"SELECT version_num FROM {table}")).scalars().all()  # noqa: S608
    except SQLAlchemyError:
        return False
    return found == [chain.head]


def _records(practice: Practice) -> Iterator[Fault]:
    yield from _database("records", practice.records)


def _keystore(practice: Practice) -> Iterator[Fault]:
    yield from _database("keystore", practice.vault.keystore)


def _database(name: str, engine: Engine) -> Iterator[Fault]:
    if not answers(engine):
        yield Fault(name, f"The {name} database does not answer.")
    elif not at_head(engine, name):
        yield Fault(name, f"The {name} database is not at its newest revision.")


def _bus(practice: Practice) -> Iterator[Fault]:
    if practice.settings.live_workers > 1 and not has_bus(practice.settings):
        yield Fault("bus", "There is nothing to carry news between processes.")


def _worker(practice: Practice) -> Iterator[Fault]:
    heard = beat.read(practice.settings)
    if beat.is_stale(heard, practice.clock.now()):
        yield Fault("worker", "The worker has not been heard of for a minute.")
