"""One act, one unit of work: a door opens it, a service works in it, leaving it commits.

In that one transaction: policy asked, rows, outbox rows, audit rows, news. Leaving without having asked a policy, or
having written without an audit entry, is a defect and saves nothing. News is heard only after the commit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from sqlalchemy import CursorResult, Engine, Select, UpdateBase, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import ORMExecuteState, Session

from telepsych.core.actor import Actor, Decision
from telepsych.core.clock import Clock
from telepsych.core.database import WriteLock
from telepsych.core.errors import NotFound, Refused, StepUpNeeded, Unavailable
from telepsych.core.settings import Settings

Row = TypeVar("Row")


class PolicyNotAsked(AssertionError):
    """A unit of work ended without asking any policy: a defect in a service."""


class WroteWhileReading(AssertionError):
    """A unit opened for reading changed something: a defect in a door."""


class NotAudited(AssertionError):
    """A unit of work wrote without leaving an audit entry: a defect in a service."""


@dataclass(frozen=True, slots=True)
class News:
    """Something people should look at again. Ids and counters only, never content."""

    people: tuple[UUID, ...]
    name: str
    ids: dict[str, str | int]


class Bus(Protocol):
    """Carries news out of a transaction to the live processes, visible to them only once it has committed."""

    def put(self, session: Session, news: Sequence[News], now: int) -> None: ...


Subscriber = Callable[..., None]
"""A higher room that a lower one wakes inside the same unit of work, without knowing it: `(work, **facts)`."""


@dataclass
class Work:
    """What a service function is given: the session, who acts, and when."""

    session: Session
    actor: Actor
    now: int
    practice: "Practice"
    writes: bool = True
    request_id: str = ""
    news: list[News] = field(default_factory=list)
    asked: bool = False
    audited: bool = False
    _at_commit: list[Callable[["Work"], None]] = field(default_factory=list)
    _at_end: list[Callable[["Work"], None]] = field(default_factory=list)

    def require(self, decision: Decision) -> None:
        """Go on only if the policy says yes. Raises `Refused` with the policy's reason."""
        self.asked = True
        if not decision.allowed:
            raise Refused(decision.reason or None)

    def require_fresh(self) -> None:
        """Go on only if the actor has shown a factor within the last five minutes. Raises `StepUpNeeded`."""
        if not self.actor.is_fresh(self.now):
            raise StepUpNeeded

    def one(self, query: Select[Row]) -> Row:
        """The one row of a scoped query. Not yours and not there look alike: `NotFound`."""
        self.asked = True
        row = self.session.scalars(query).one_or_none()
        if row is None:
            raise NotFound
        return row

    def all(self, query: Select[Row]) -> list[Row]:
        """All rows of a scoped query."""
        self.asked = True
        return list(self.session.scalars(query))

    def add(self, row: Row) -> Row:
        """Add a row to the unit."""
        self.session.add(row)
        return row

    def changed(self, statement: UpdateBase) -> int:
        """Run a compare-and-set statement. Returns how many rows it changed."""
        result = self.session.execute(statement, execution_options={"synchronize_session": False})
        return cast(CursorResult[Any], result).rowcount

    def announce(self, people: Iterable[UUID | None], name: str, **ids: UUID | str | int) -> None:
        """Tell people, after the commit, that there is something to look at."""
        readers = tuple(sorted({person for person in people if person is not None}))
        if readers:
            plain = {key: value if isinstance(value, int) else str(value) for key, value in ids.items()}
            self.news.append(News(readers, name, plain))

    def wake(self, event: str, **facts: Any) -> None:
        """Let the subscribers of an event act in this same unit."""
        for subscriber in self.practice.subscribers.get(event, ()):
            subscriber(self, **facts)

    def at_commit(self, step: Callable[["Work"], None]) -> None:
        """Run a step inside the transaction, just before it commits."""
        self._at_commit.append(step)

    def at_end(self, step: Callable[["Work"], None]) -> None:
        """Run a step in a short writing unit of its own, once this reading unit has ended."""
        self._at_end.append(step)

    def commit(self) -> None:
        """Check, speak and commit. Called by the door that opened the unit, never by a service."""
        if not self.asked:
            raise PolicyNotAsked
        self.session.flush()
        for step in self._at_commit:
            step(self)
        if self.writes and self.session.info.get("wrote") and not self.audited:
            raise NotAudited
        if self.news:
            self.practice.bus.put(self.session, self.news, self.now)
        self.session.flush()
        self.session.commit()


@dataclass
class Practice:
    """The running practice: its databases, keys, clock and subscribers. One per process; `app.py` puts it together."""

    settings: Settings
    records: Engine
    vault: Any
    clock: Clock
    bus: Bus
    lock: WriteLock
    subscribers: dict[str, list[Subscriber]] = field(default_factory=dict)

    def subscribe(self, event: str, subscriber: Subscriber) -> None:
        """Wake `subscriber` whenever a lower room says `event`."""
        self.subscribers.setdefault(event, []).append(subscriber)

    @contextmanager
    def begin(self, actor: Actor, *, writes: bool = True, public: str = "", request_id: str = "") -> Iterator[Work]:
        """Open a unit of work for an actor; leaving it commits, an error rolls it back.

        A public page has no policy to ask and says so by its name. A unit that only reads may queue steps with
        `at_end`; they run in one short writing unit before this returns. Raises `Unavailable` when a database is
        locked, full or away: nothing was saved then.
        """
        with _database_errors():
            if writes:
                with self.lock.held():
                    yield from self._unit(actor, True, public, request_id)
            else:
                yield from self._unit(actor, False, public, request_id)

    def _unit(self, actor: Actor, writes: bool, public: str, request_id: str) -> Iterator[Work]:
        work: Work | None = None
        with self._session(writes) as session:
            work = Work(session, actor, self.clock.now(), self, writes, request_id, asked=bool(public))
            yield work
            if writes:
                work.commit()
            elif not work.asked:
                raise PolicyNotAsked
            elif session.new or session.dirty or session.deleted or session.info["wrote"]:
                raise WroteWhileReading
        if work._at_end:
            with self.lock.held(), self._session(True) as session:
                late = Work(session, actor, work.now, self, True, request_id, asked=True)
                late.session.info["touched"] = work.session.info.get("touched", [])
                for step in work._at_end:
                    step(late)
                late.commit()

    @contextmanager
    def _session(self, writes: bool) -> Iterator[Session]:
        engine = self.records.execution_options(telepsych_writes=writes)
        info = {"vault": self.vault, "touched": [], "wrote": False}
        with Session(engine, expire_on_commit=False, autoflush=writes, info=info) as session:
            try:
                yield session
            except BaseException:
                session.rollback()
                raise


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, PoolTimeout) as problem:
        raise Unavailable from problem
    except DBAPIError as problem:
        if problem.connection_invalidated:
            raise Unavailable from problem
        raise


@event.listens_for(Session, "before_flush")
def _note_writes(session: Session, _context: Any, _instances: Any) -> None:
    """Remember that a unit wrote something that needs an audit entry. Transport rows (`__transport__`) need none."""
    changed = [*session.new, *session.deleted, *(row for row in session.dirty if session.is_modified(row))]
    if any(not getattr(row, "__transport__", False) for row in changed):
        session.info["wrote"] = True


@event.listens_for(Session, "do_orm_execute")
def _note_statements(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        mapper = state.bind_mapper
        if mapper is None or not getattr(mapper.class_, "__transport__", False):
            state.session.info["wrote"] = True
