"""A trail to examine, and an attacker with the database in hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select, text

from telepsych.audit import guards
from telepsych.audit import service as audit
from telepsych.audit.examine import Report
from telepsych.audit.models import AuditLeaf
from telepsych.audit.sequencer import Sequencer
from telepsych.audit.verify import verify
from telepsych.core.actor import command
from telepsych.core.work import Practice, Work


def note_down(practice: Practice, count: int) -> None:
    """Leave entries, as many as asked."""
    with practice.begin(command("test"), public="test") as work:
        for number in range(count):
            audit.record(work, "test.noted", f"thing:{number}", detail={"number": number} if number % 7 == 0 else None)


def sequence(practice: Practice, batch: int = 100) -> int:
    return Sequencer(batch=batch).run(practice)


def examined(practice: Practice, **more: Any) -> Report:
    """What the verifier finds."""
    with practice.begin(command("test"), writes=False, public="test") as work:
        return verify(work, **more)


def drop_guards(work: Work) -> None:
    for table in guards.TABLES:
        for statement in guards.removals(work.practice.records.dialect.name, table):
            work.session.execute(text(statement))


class _Undo(Exception):
    pass


@contextmanager
def attacked(practice: Practice) -> Iterator[Work]:
    """A unit of somebody who rules the database: no guards; undone at the end of the block."""
    try:
        with practice.begin(command("attacker"), public="test") as work:
            drop_guards(work)
            yield work
            raise _Undo
    except _Undo:
        pass


def row_at(index: int) -> Any:
    """The id of the entry at a place in the tree, as a subquery."""
    return select(AuditLeaf.row_id).where(AuditLeaf.leaf_index == index).scalar_subquery()


def run(work: Work, statement: Any) -> None:
    """Run what the attacker runs, past everything that watches the session."""
    work.session.connection().execute(statement)
