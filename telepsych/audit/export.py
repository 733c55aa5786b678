"""What leaves the database so that others can check it: the whole trail, or the proof of one entry.

Entries leave as they stand in the tree: ids, times and the hash of what is sealed, nothing that opens. So both can be
checked for ever, also when a patient's keys have been destroyed.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from telepsych.audit import checkpoints
from telepsych.audit.checkpoints import signer_of, stored_tree
from telepsych.audit.entries import entry_of, leaf_of
from telepsych.audit.models import AuditAnchor, AuditCheckpoint, AuditLeaf, AuditRow
from telepsych.audit.offline import EXPORT, PROOF
from telepsych.audit.tree import proves_inclusion
from telepsych.core.actor import Decision
from telepsych.core.errors import Invalid, NotFound
from telepsych.core.work import Work

CHUNK = 2_000


def export(work: Work, place: Path) -> int:
    """Write everything up to the newest checkpoint, a line of JSON each. Returns how many entries. Raises `Invalid`."""
    work.require(Decision(work.actor.is_system))
    newest = checkpoints.newest(work.session)
    if newest is None:
        raise Invalid("Nothing has been signed yet. Is the worker running?")
    try:
        with open(place, "x", encoding="utf-8", opener=_for_its_owner) as file:
            for line in _lines(work, newest.size):
                file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")
    except FileExistsError:
        raise Invalid(f"{place} is there already and is not overwritten.") from None
    return newest.size


def proof_of(work: Work, entry_id: UUID) -> dict[str, Any]:
    """The proof that one entry is in the tree of the newest checkpoint. Raises `NotFound`, `Invalid`."""
    work.require(Decision(work.actor.is_system))
    row = work.session.get(AuditRow, entry_id)
    if row is None:
        raise NotFound("There is no such entry.")
    leaf = work.session.scalar(select(AuditLeaf).where(AuditLeaf.row_id == entry_id))
    newest = checkpoints.newest(work.session)
    if leaf is None or newest is None or leaf.leaf_index >= newest.size:
        raise Invalid("The entry has no place in the tree yet. Try again in a few seconds.")
    entry = entry_of(row)
    proof = stored_tree(work.session, newest.size).inclusion(leaf.leaf_index)
    if not proves_inclusion(leaf_of(entry), leaf.leaf_index, newest.size, proof, newest.root):
        raise Invalid("The entry is not what the tree says. Run `telepsych audit verify`.")
    return {
        "kind": PROOF,
        "key": str(signer_of(work.practice.vault, work.practice.settings).key),
        "index": leaf.leaf_index,
        "entry": entry,
        "proof": [one.hex() for one in proof],
        "checkpoint": newest.note,
    }


def _for_its_owner(place: str, flags: int) -> int:
    """It says who looked at whose record, if only by ids."""
    return os.open(place, flags, 0o600)


def _lines(work: Work, size: int) -> Iterator[dict[str, Any]]:
    yield {"kind": EXPORT, "key": str(signer_of(work.practice.vault, work.practice.settings).key), "size": size}
    notes = select(AuditCheckpoint.note).order_by(AuditCheckpoint.size).execution_options(yield_per=CHUNK)
    for note in work.session.scalars(notes):
        yield {"checkpoint": note}
    for anchor in work.session.scalars(select(AuditAnchor).order_by(AuditAnchor.at)):
        receipt = anchor.receipt.hex() if anchor.receipt else None
        yield {"anchor": anchor.kind, "at": anchor.at, "size": anchor.size, "receipt": receipt}
    for first in range(0, size, CHUNK):
        after = min(first + CHUNK, size)
        rows = (
            select(AuditRow)
            .join(AuditLeaf, AuditLeaf.row_id == AuditRow.id)
            .where(AuditLeaf.leaf_index >= first, AuditLeaf.leaf_index < after)
            .order_by(AuditLeaf.leaf_index)
        )
        for row in work.session.scalars(rows):
            yield {"entry": entry_of(row)}
        work.session.expunge_all()
