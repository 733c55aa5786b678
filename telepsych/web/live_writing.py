"""The live group's one way to write. A file database would stop every socket of the process while a disk is slow, so
there it happens in one thread beside the hub, on an engine of its own. PostgreSQL's driver waits cooperatively.

Only transport rows are written here: tickets used, refusals, the signal mailbox. Everything else comes over HTTP.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from telepsych.core.actor import Actor
from telepsych.core.database import WriteLock, open_engine
from telepsych.core.work import Practice, Work

T = TypeVar("T")


class Writer:
    """Runs short writing units where they stop nobody."""

    def __init__(self, practice: Practice, async_mode: str) -> None:
        self._practice = practice
        self._aside = async_mode == "gevent" and practice.records.dialect.name == "sqlite"
        self._pool: Any = None

    def unit(self, actor: Actor, act: Callable[[Work], T], public: str = "") -> T:
        """Do an act in a writing unit of its own. Raises what the act raises, and `Unavailable`."""

        def step(practice: Practice) -> T:
            with practice.begin(actor, public=public) as work:
                return act(work)

        return self.call(step)

    def call(self, step: Callable[[Practice], T]) -> T:
        """Run a step that opens its units itself."""
        if not self._aside:
            return step(self._practice)
        if self._pool is None:
            self._open()
        return cast(T, self._pool.apply(step, (self._practice,)))

    def _open(self) -> None:
        from gevent.threadpool import ThreadPool

        settings = self._practice.settings
        engine = open_engine(self._practice.records.url.render_as_string(hide_password=False), settings.write_wait)
        self._practice = replace(self._practice, records=engine, lock=WriteLock(engine, settings.write_wait))
        self._pool = ThreadPool(1)
