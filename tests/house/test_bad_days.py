"""Bad days: a database that is locked, full or away never looks like success, and nothing typed is lost by it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import event
from support.cast import Cast, Client, Member

from telepsych.core.database import WriteLock, open_engine
from telepsych.core.work import Practice

ClientFor = Callable[[Member], Client]


@contextmanager
def somebody_writes(practice: Practice, table: str = "draft") -> Iterator[None]:
    """Another writer holds its turn for longer than anybody waits."""
    holds, go_on = threading.Event(), threading.Event()
    if practice.records.dialect.name == "sqlite":
        holder = WriteLock(practice.records, 5).held()
    else:
        holder = practice.records.begin()

    def hold() -> None:
        with holder as connection:
            if connection is not None:
                connection.exec_driver_sql(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            holds.set()
            go_on.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait(10)
    try:
        yield
    finally:
        go_on.set()
        thread.join()


def impatient(practice: Practice) -> None:
    """Nobody waits long in these tests."""
    practice.lock = WriteLock(practice.records, 0.3)
    if practice.records.dialect.name == "postgresql":

        @event.listens_for(practice.records, "begin")
        def hurry(connection: object) -> None:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '300ms'")  # type: ignore[attr-defined]


def test_a_locked_database_says_so_and_saves_nothing(practice: Practice, cast: Cast, client_for: ClientFor) -> None:
    client = client_for(cast.patient)
    assert client.put("/api/drafts/letter", {"fields": {"body": "before"}}).status_code == 200
    impatient(practice)
    with somebody_writes(practice):
        answer = client.put("/api/drafts/letter", {"fields": {"body": "while locked"}})
        assert answer.status_code == 503
        assert answer.get_json()["reference"]
        assert "try again in a minute" in answer.get_json()["detail"]
    assert client.get("/api/drafts/letter").get_json() == {"fields": {"body": "before"}}
    assert client.put("/api/drafts/letter", {"fields": {"body": "afterwards"}}).status_code == 200


def test_a_page_that_cannot_be_saved_is_kind_and_has_a_reference(
    practice: Practice, cast: Cast, client_for: ClientFor
) -> None:
    client = client_for(cast.staff)
    impatient(practice)
    with somebody_writes(practice, "patient"):
        answer = client.post("/patients/new", {"name": "Robin Invented", "birth_date": "1990-05-17"})
    assert answer.status_code == 503
    assert answer.headers["X-Request-Id"] in answer.get_data(as_text=True)


def test_a_full_disk_is_never_taken_for_success(practice: Practice, cast: Cast, client_for: ClientFor) -> None:
    if practice.records.dialect.name != "sqlite":
        return
    client = client_for(cast.patient)
    practice.records.dispose()

    @event.listens_for(practice.records, "connect")
    def bound(connection: object, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")  # type: ignore[attr-defined]

    answer = client.put("/api/drafts/letter", {"fields": {"body": "x" * 60_000}})
    assert answer.status_code == 503
    event.remove(practice.records, "connect", bound)
    practice.records.dispose()
    assert client.get("/api/drafts/letter").get_json() == {"fields": {}}
    assert client.put("/api/drafts/letter", {"fields": {"body": "x" * 60_000}}).status_code == 200


def test_a_database_that_is_away_is_an_apology_with_a_reference(
    practice: Practice, cast: Cast, client_for: ClientFor
) -> None:
    client = client_for(cast.patient)
    there = practice.records
    practice.records = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    answer = client.get("/messages")
    assert answer.status_code == 503
    assert answer.headers["X-Request-Id"] in answer.get_data(as_text=True)
    practice.records.dispose()
    practice.records = there
    assert client.get("/messages").status_code == 200
