"""Gives committed rows their places in the tree, in batches, beside the acts themselves.

Each batch is one transaction: leaves, completed nodes and a signed checkpoint appear together or not at all, so a
sequencer that is killed leaves nothing half done. Which rows still wait is asked of the tables themselves (rows without
a leaf), never remembered as a position: a row that commits late, or with an early time, is found all the same. Rows
since about the last checkpoint are looked at every round; a slow walk over all older ones never ends.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Select, Table, insert, select, text, tuple_
from sqlalchemy.orm import Session

from telepsych.audit import checkpoints
from telepsych.audit.entries import bound, entry_of, leaf_of
from telepsych.audit.models import AuditLeaf, AuditNode, AuditRow
from telepsych.audit.service import is_genuine
from telepsych.audit.tree import BrokenTree, Growing
from telepsych.core.actor import system
from telepsych.core.clock import MINUTE
from telepsych.core.work import Practice

log = logging.getLogger("telepsych.audit")
Waiting = tuple[UUID, bytes]
"""A row that waits for its place, and its leaf hash."""
BATCH = 500
AHEAD = 10 * BATCH
"""Waiting rows read at a time."""
RECENT = MINUTE
"""Rows from so long before the last checkpoint on are looked at every round; transactions end within seconds."""
WALK = 2_000
"""Older rows looked at in a round."""
ADVISORY_LOCK = 0x7E1EA0D1
ROWS = cast(Table, AuditRow.__table__)
LEAVES = cast(Table, AuditLeaf.__table__)


class TreeDamaged(Exception):
    """The tree is not what the last checkpoint says, so nothing more is signed. `telepsych audit verify` says where."""


@dataclass
class Sequencer:
    """One worker's sequencer. Several may run: of two that start from the same tree, one gives way."""

    batch: int = BATCH
    _walked: tuple[int, UUID] | None = None
    _forged: set[UUID] = field(default_factory=set)

    def run(self, practice: Practice) -> int:
        """Sequence what waits. Returns how many rows were given a place. Raises `TreeDamaged`."""
        placed = 0
        while True:
            size, rows = self._read(practice)
            for first in range(0, len(rows), self.batch):
                done = _place(practice, size, rows[first : first + self.batch])
                if not done:
                    return placed  # another sequencer was faster
                size, placed = size + done, placed + done
            if len(rows) < AHEAD:
                return placed

    def _read(self, practice: Practice) -> tuple[int, list[Waiting]]:
        """The tree's size, and genuine rows without a leaf, each once, with their hashes."""
        with practice.begin(system("audit.sequence"), writes=False, public="audit.sequence") as work:
            size = checkpoints.size_of(work.session)  # first: rows placed after this make us give way
            found = {row.id: row for row in self._candidates(work.session, work.now) if row.id not in self._forged}
            vault = practice.vault
        for row in found.values():
            if not is_genuine(vault, row):
                self._forged.add(row.id)
                log.error("entry %s is not as it was written and gets no place in the tree", row.id)
        return size, [(row.id, leaf_of(entry_of(row))) for row in found.values() if row.id not in self._forged]

    def _candidates(self, session: Session, now: int) -> list[Row[Any]]:
        """The rows of this round's stretch of the walk, then the recent ones, each in order of time."""
        stretch = session.execute(_after(select(ROWS.c.at, ROWS.c.id), self._walked).limit(WALK)).all()
        found: list[Row[Any]] = []
        if stretch:
            last = (stretch[-1].at, stretch[-1].id)
            older = _after(_unplaced(), self._walked).where(tuple_(ROWS.c.at, ROWS.c.id) <= last)
            found.extend(session.execute(older))
            self._walked = last
        if len(stretch) < WALK:
            self._walked = None
        signed = checkpoints.newest(session)
        since = min(now, signed.at) - RECENT if signed else 0  # however long no sequencer ran
        recent = _unplaced().where(ROWS.c.at >= since).limit(AHEAD + len(self._forged))
        found.extend(session.execute(recent))
        return found


def _after(query: Select[Any], place: tuple[int, UUID] | None) -> Select[Any]:
    query = query.order_by(ROWS.c.at, ROWS.c.id)
    return query if place is None else query.where(tuple_(ROWS.c.at, ROWS.c.id) > place)


def _unplaced() -> Select[Any]:
    has_leaf = select(LEAVES.c.row_id).where(LEAVES.c.row_id == ROWS.c.id).exists()
    return select(ROWS).where(~has_leaf).order_by(ROWS.c.at, ROWS.c.id)


def _place(practice: Practice, size: int, rows: Sequence[Waiting]) -> int:
    """Add one batch to a tree of `size` leaves, in one transaction. Returns 0 when the tree has grown meanwhile."""
    with practice.begin(system("audit.sequence"), public="audit.sequence") as work:
        if not _is_mine(work.session, size):
            return 0
        growing = Growing(_edge(work.session, size))
        leaves: list[dict[str, Any]] = []
        nodes: list[dict[str, Any]] = []
        for index, (row_id, leaf) in enumerate(rows, size):
            mac = practice.vault.mac("audit-leaf", bound(index, row_id, leaf))
            leaves.append({"leaf_index": index, "row_id": row_id, "leaf_hash": leaf, "mac": mac})
            kept = growing.append(leaf)
            nodes.extend({"level": level, "node_index": at, "node_hash": top} for level, at, top in kept)
        work.session.execute(insert(AuditLeaf), leaves)
        if nodes:
            work.session.execute(insert(AuditNode), nodes)
        signer = checkpoints.signer_of(practice.vault, practice.settings)
        work.add(checkpoints.signed(signer, growing.size, growing.root(), practice.clock.now()))
    return len(leaves)


def _is_mine(session: Session, size: int) -> bool:
    """Whether nobody else is adding, and the tree is still the one we read. SQLite lets one writer in at a time."""
    if session.get_bind().dialect.name == "postgresql":
        lock = text("SELECT pg_try_advisory_xact_lock(:number)")
        if not session.scalar(lock, {"number": ADVISORY_LOCK}):
            return False
    return checkpoints.size_of(session) == size


def _edge(session: Session, size: int) -> list[tuple[int, bytes]]:
    """The full subtrees of what is there, if that is what was signed last."""
    signed = checkpoints.newest(session)
    try:
        tree = checkpoints.stored_tree(session, size)
        if (signed.size, signed.root) == (size, tree.root()) if signed else size == 0:
            return tree.peaks()
    except BrokenTree:
        pass
    raise TreeDamaged
