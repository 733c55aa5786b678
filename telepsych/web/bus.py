"""The wake-up bell between processes: news leaves with the transaction that made it and carries ids only.

SQLite: rows, polled by each live process. PostgreSQL: NOTIFY, which the server hands out at the commit. Losing news
loses nothing: pages ask again when they reconnect, gain focus, and every 30 seconds; ended sessions are swept besides.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol
from uuid import UUID

import psycopg
from sqlalchemy import Engine, delete, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from telepsych.core.actor import Decision
from telepsych.core.clock import MINUTE
from telepsych.core.work import Bus, News, Work
from telepsych.web.models import LiveTicket, NewsRow

log = logging.getLogger("telepsych.live")

CHANNEL = "telepsych_news"
LARGEST_NOTICE = 7_900
"""Bytes; PostgreSQL takes less than 8,000 in one notification."""
KEPT = 10 * MINUTE
POLL = 0.25
"""Seconds between looks at SQLite's data version, which cost microseconds."""
QUIET = 15.0
"""Seconds without a notification before the connection is tried."""
LONGEST_PAUSE = 5.0


class Listener(Protocol):
    """The live side of a bus."""

    def open(self) -> None:
        """Hear everything committed from now on. Raises the driver's error when the database is away."""

    def news(self) -> Iterator[News]:
        """News as it is committed, for ever; a lost connection is taken up again."""


class TableBus:
    """News as rows, for SQLite."""

    def put(self, session: Session, news: Sequence[News], now: int) -> None:
        for one in news:
            people = [str(person) for person in one.people]
            session.add(NewsRow(at=now, name=one.name, people=people, ids=dict(one.ids)))


class NotifyBus:
    """News as PostgreSQL notifications, sent by the server when the transaction commits."""

    def put(self, session: Session, news: Sequence[News], now: int) -> None:
        for one in news:
            for notice in notices(one):
                session.execute(text("SELECT pg_notify(:channel, :notice)"), {"channel": CHANNEL, "notice": notice})


def bus_for(engine: Engine) -> Bus:
    """The bus that goes with a records database."""
    return TableBus() if engine.dialect.name == "sqlite" else NotifyBus()


def listener_for(engine: Engine, sleep: Callable[[float], None] = time.sleep) -> Listener:
    """The listener that goes with a records database."""
    return TableListener(engine, sleep) if engine.dialect.name == "sqlite" else NotifyListener(engine, sleep)


def notices(news: News) -> Iterator[str]:
    """The news as notifications small enough to send, each for a part of the people."""
    people = [str(person) for person in news.people]
    body = {"name": news.name, "ids": news.ids}
    room = LARGEST_NOTICE - len(json.dumps({**body, "people": []}).encode())
    each = max(1, room // 40)  # a quoted UUID, a comma and a space
    for start in range(0, len(people), each):
        yield json.dumps({**body, "people": people[start : start + each]})


def read_notice(notice: str) -> News | None:
    """The news in a notification; None for one that is not ours to understand."""
    try:
        body = json.loads(notice)
        return News(tuple(UUID(person) for person in body["people"]), str(body["name"]), dict(body["ids"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class TableListener:
    """Hears news rows: looks whether anything was committed, then reads the rows after the last one seen."""

    def __init__(self, engine: Engine, sleep: Callable[[float], None] = time.sleep) -> None:
        self._engine = engine
        self._sleep = sleep
        self._watch: Any = None
        self._version = -1
        self._last = 0

    def open(self) -> None:
        self._last = self._newest()
        self._version = -1
        if self._watch is None:
            held = self._engine.raw_connection()
            held.detach()
            self._watch = held

    def news(self) -> Iterator[News]:
        while True:
            try:
                if self._watch is None:
                    self.open()
                yield from self._look()
            except SQLAlchemyError as problem:
                log.warning("news: %s", type(problem).__name__)
            except self._engine.dialect.loaded_dbapi.Error as problem:
                log.warning("news: %s", type(problem).__name__)
            self._sleep(POLL)

    def _look(self) -> list[News]:
        cursor = self._watch.cursor()
        version = cursor.execute("PRAGMA data_version").fetchone()[0]
        cursor.close()
        if version == self._version:
            return []
        rows = self._after(self._last)
        self._version = version
        return rows

    def _after(self, last: int) -> list[News]:
        wanted = select(NewsRow.id, NewsRow.name, NewsRow.people, NewsRow.ids).order_by(NewsRow.id)
        with self._engine.connect() as connection:
            rows = connection.execute(wanted.where(NewsRow.id > last)).all()
        if rows:
            self._last = rows[-1].id
        return [News(tuple(UUID(person) for person in row.people), row.name, row.ids) for row in rows]

    def _newest(self) -> int:
        with self._engine.connect() as connection:
            return connection.execute(select(func.max(NewsRow.id))).scalar() or 0


class NotifyListener:
    """Hears PostgreSQL notifications on a connection of its own."""

    def __init__(self, engine: Engine, sleep: Callable[[float], None] = time.sleep) -> None:
        self._engine = engine
        self._sleep = sleep
        self._connection: psycopg.Connection[Any] | None = None

    def open(self) -> None:
        where, how = self._engine.dialect.create_connect_args(self._engine.url)
        known = {**how, "connect_timeout": 5, "keepalives_idle": 15, "application_name": "telepsych-live"}
        connection = psycopg.connect(*where, **known, autocommit=True)
        connection.execute(f"LISTEN {CHANNEL}")
        self._connection = connection

    def news(self) -> Iterator[News]:
        pause = 0.2
        while True:
            try:
                if self._connection is None:
                    self.open()
                yield from self._heard()
                pause = 0.2
            except psycopg.Error as problem:
                log.warning("news: %s", type(problem).__name__)
                self._drop()
                self._sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _heard(self) -> Iterator[News]:
        connection = self._connection
        assert connection is not None  # opened by `news`
        for notice in connection.notifies(timeout=QUIET):
            one = read_notice(notice.payload)
            if one is not None:
                yield one
        connection.execute("SELECT 1")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def prune(work: Work) -> None:
    """Delete news and tickets that are over. The newest news row stays: SQLite gives its number out again otherwise,
    and every listener would wait for numbers it has already seen."""
    work.require(Decision(work.actor.is_system))
    newest = select(func.max(NewsRow.id)).scalar_subquery()
    old_news = delete(NewsRow).where(NewsRow.at < work.now - KEPT, NewsRow.id < newest)
    old_tickets = delete(LiveTicket).where(LiveTicket.expires_at < work.now - KEPT)
    for old in (old_news, old_tickets):
        work.session.execute(old, execution_options={"synchronize_session": False})
