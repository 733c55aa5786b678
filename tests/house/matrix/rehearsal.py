"""A practice in which nothing that happens stays: each scene is one transaction that is rolled back at its end.

Units of work in a scene commit to a savepoint, so that a door which opens several of them behaves as always, and the
next persona finds everything where the first one found it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from telepsych.core.work import News, Practice


class Rehearsal(Practice):
    """The practice, with a stage. `said` is the news of the scene so far."""

    stage: Connection | None = None
    said: list[News]

    @classmethod
    def of(cls, practice: Practice) -> "Rehearsal":
        made = cls(**{name: getattr(practice, name) for name in practice.__dataclass_fields__})
        made.said = []
        made.bus = Said(made)
        return made

    @contextmanager
    def scene(self) -> Iterator[None]:
        """Everything inside is taken back."""
        self.said.clear()
        with self.records.execution_options(telepsych_writes=True).connect() as connection:
            self.stage = connection
            connection.begin()
            try:
                yield
            finally:
                self.stage = None
                connection.rollback()

    @contextmanager
    def _session(self, writes: bool) -> Iterator[Session]:
        if self.stage is None:
            with super()._session(writes) as session:
                yield session
            return
        info = {"vault": self.vault, "touched": [], "wrote": False}
        options = {"expire_on_commit": False, "autoflush": writes, "info": info}
        with Session(self.stage, join_transaction_mode="create_savepoint", **options) as session:
            try:
                yield session
            except BaseException:
                session.rollback()
                raise


class Said:
    """A bus that remembers what was said, and tells nobody."""

    def __init__(self, practice: Rehearsal) -> None:
        self._practice = practice

    def put(self, session: Session, news: Sequence[News], now: int) -> None:
        self._practice.said.extend(news)
