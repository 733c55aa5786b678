"""Examines the whole trail in the database: rows, leaves, nodes, checkpoints, anchors, and what still waits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from telepsych.audit import anchors
from telepsych.audit.checkpoints import signer_of
from telepsych.audit.entries import bound, entry_of, leaf_of
from telepsych.audit.examine import Examiner, Report
from telepsych.audit.models import AuditCheckpoint, AuditNode
from telepsych.audit.sequencer import LEAVES, ROWS
from telepsych.audit.service import is_genuine
from telepsych.core.actor import Decision
from telepsych.core.clock import MINUTE
from telepsych.core.work import Work

CHUNK = 2_000
LATE = 5 * MINUTE
"""An entry that has waited for its place for so long says that the worker stands still."""


def hold_still(work: Work) -> None:
    """Let a reading unit see one moment of the trail, however long it takes. To be called before its first query."""
    if work.session.get_bind().dialect.name == "postgresql":
        work.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def verify(work: Work, *, against: Sequence[str] = (), heard: Mapping[UUID, bytes] | None = None) -> Report:
    """Examine everything. `against`: signed notes that somebody has kept; `heard`: the lines of the second stream."""
    work.require(Decision(work.actor.is_system))
    settings, vault = work.practice.settings, work.practice.vault
    examiner = Examiner(signer_of(vault, settings).key.public)
    _checkpoints(work, examiner)
    for note in against:
        examiner.expect(note, "the note given")
    anchors.examine(work, examiner)
    size = _leaves(work, examiner)
    _waiting(work, examiner)
    _second_stream(work, examiner, heard or {})
    return examiner.end(size)


def _checkpoints(work: Work, examiner: Examiner) -> None:
    origin = ""
    columns = (AuditCheckpoint.size, AuditCheckpoint.root, AuditCheckpoint.note)
    for row in work.session.execute(select(*columns).order_by(AuditCheckpoint.size).execution_options(yield_per=CHUNK)):
        examiner.report.checkpoints += 1
        found = examiner.expect(row.note, "our checkpoints")
        if found is None:
            continue
        if (found.size, found.root) != (row.size, row.root):
            examiner.find("checkpoint", f"The checkpoint of {row.size} leaves was changed.", row.size)
        if origin not in ("", found.origin):
            examiner.report.remarks.append(f"From {row.size} leaves on the log is called {found.origin}.")
        origin = found.origin


def _leaves(work: Work, examiner: Examiner) -> int:
    """Every leaf in order with its row. Returns how many there are."""
    nodes = {
        (row.level, row.node_index): row.node_hash
        for row in work.session.execute(select(AuditNode.level, AuditNode.node_index, AuditNode.node_hash))
    }
    expected = 0
    for row in _leaves_with_rows(work):
        if row.leaf_index != expected:
            _gap(examiner, expected, row.leaf_index)
        expected = row.leaf_index + 1
        _leaf(work, examiner, row)
        for level, at, top in examiner.append(row.leaf_hash):
            if nodes.pop((level, at), None) != top:
                wrong = f"Node {level}/{at} is not the hash of its leaves."
                examiner.find("node", wrong, at << level, before=at + 1 << level)
    if examiner.report.is_whole:
        for level, at in nodes:
            examiner.find("node", f"Node {level}/{at} belongs to no leaves.", expected)
    return expected


def _gap(examiner: Examiner, first: int, after: int) -> None:
    """Leaves that are not where they must be: named one by one, unless somebody has put in an absurd number."""
    for missing in range(first, min(after, first + CHUNK)):
        examiner.find("leaf-missing", f"Leaf {missing} was removed.", missing)
    if after - first > CHUNK:
        words = f"Leaves {first + CHUNK} to {after - 1} were removed."
        examiner.find("leaf-missing", words, first + CHUNK, before=after)
    examiner.tear()


def _leaf(work: Work, examiner: Examiner, row: Row[Any]) -> None:
    vault, index = work.practice.vault, row.leaf_index
    if row.leaf_mac != vault.mac("audit-leaf", bound(index, row.row_id, row.leaf_hash)):
        examiner.find("leaf-altered", f"Leaf {index} was changed, added or moved.", index, row.row_id)
    elif row.id is None:
        examiner.find("row-missing", f"The entry of leaf {index} was removed.", index, row.row_id)
    elif leaf_of(entry_of(row)) != row.leaf_hash:
        examiner.find("row-altered", f"The entry of leaf {index} was changed.", index, row.row_id)
    elif not is_genuine(vault, row):
        examiner.find("row-forged", f"The entry of leaf {index} was not written by this practice.", index, row.row_id)


def _leaves_with_rows(work: Work) -> Iterator[Row[Any]]:
    columns = (LEAVES.c.leaf_index, LEAVES.c.row_id, LEAVES.c.leaf_hash, LEAVES.c.mac.label("leaf_mac"))
    query = select(*columns, *ROWS.c).select_from(LEAVES.outerjoin(ROWS, ROWS.c.id == LEAVES.c.row_id))
    last = -(2**62)
    while True:
        after = query.where(LEAVES.c.leaf_index > last).order_by(LEAVES.c.leaf_index).limit(CHUNK)
        found = work.session.execute(after).all()
        yield from found
        if len(found) < CHUNK:
            return
        last = found[-1].leaf_index


def _waiting(work: Work, examiner: Examiner) -> None:
    """Rows that have no leaf yet: genuine, and not for long."""
    has_leaf = select(LEAVES.c.row_id).where(LEAVES.c.row_id == ROWS.c.id).exists()
    report, oldest = examiner.report, work.now
    for row in work.session.execute(select(ROWS).where(~has_leaf)):
        if is_genuine(work.practice.vault, row):
            report.waiting += 1
            oldest = min(oldest, row.at)
        else:
            examiner.find("row-forged", "An entry without a place was not written by this practice.", None, row.id)
    report.waited = work.now - oldest


def _second_stream(work: Work, examiner: Examiner, heard: Mapping[UUID, bytes]) -> None:
    """Everything the second stream has heard of must be here, and the same."""
    known = _hashes(work, list(heard))
    for entry, said in heard.items():
        if entry not in known:
            examiner.find("suppressed", "An entry that the second stream knows is not in the database.", None, entry)
        elif known[entry] != said:
            examiner.find("suppressed", "An entry is not what the second stream knows.", None, entry)


def _hashes(work: Work, ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
    found: dict[UUID, bytes] = {}
    for first in range(0, len(ids), 500):
        rows = work.session.execute(select(ROWS).where(ROWS.c.id.in_(ids[first : first + 500])))
        found |= {row.id: leaf_of(entry_of(row)) for row in rows}
    return found


def is_late(report: Report) -> bool:
    """Whether entries have waited for their place longer than a working sequencer lets them."""
    return report.waited > LATE
