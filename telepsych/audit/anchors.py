"""Anchors: checkpoints confirmed outside, so that whoever rules the database and all keys cannot rewrite the past.

Each kind keeps a note somewhere else and can later say which notes it has: an append-only file on another volume, an
RFC 3161 time stamp, or another Telepsych as witness. Nothing leaves but the log's name, its size and a hash.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sqlalchemy import func, select

from telepsych.audit import checkpoints
from telepsych.audit.anchor_file import FileAnchor
from telepsych.audit.anchor_tsa import TimestampAnchor
from telepsych.audit.anchor_witness import WitnessAnchor
from telepsych.audit.examine import Examiner
from telepsych.audit.models import AuditAnchor, AuditCheckpoint
from telepsych.audit.outside import AnchorFailed
from telepsych.core.actor import system
from telepsych.core.clock import HOUR
from telepsych.core.settings import Settings
from telepsych.core.work import Practice, Work

log = logging.getLogger("telepsych.audit")
EVERY = HOUR

Proof = Callable[[int, int], Sequence[bytes]]
"""The consistency proof between two sizes of our tree."""
Kept = tuple[str, bytes | None]
"""One of our notes, and what the anchor gave for it."""


class Anchor(Protocol):
    """Somewhere outside that confirms checkpoints."""

    kind: str
    place: str

    def keep(self, note: str, proof: Proof) -> bytes | None:
        """Have a note confirmed. Returns what is given for it. Raises `AnchorFailed`."""
        ...

    def notes(self, kept: Sequence[Kept], origin: str) -> Iterator[str]:
        """The notes this anchor confirms: those of `kept` whose receipts are good, and what it holds itself of the log
        called `origin`. Raises `AnchorFailed` with what is wrong with a receipt, or that nobody answers."""
        ...


def configured(settings: Settings) -> list[Anchor]:
    """The anchors the operator has set."""
    found: list[Anchor] = []
    if settings.anchor_file:
        found.append(FileAnchor(settings.anchor_file))
    if settings.anchor_tsa:
        found.append(TimestampAnchor(settings.anchor_tsa, settings.anchor_tsa_roots))
    if settings.anchor_witness:
        found.append(WitnessAnchor(settings.anchor_witness, settings.anchor_witness_key))
    return found


def anchor_due(practice: Practice) -> None:
    """The worker's job: every anchor that has not confirmed anything for an hour. Raises `AnchorFailed` at the end."""
    _anchor(practice, practice.clock.now() - EVERY)


def anchor_now(practice: Practice) -> list[str]:
    """Have the newest checkpoint confirmed everywhere. Returns where it newly is. Raises `AnchorFailed`."""
    return _anchor(practice, None)


def examine(work: Work, examiner: Examiner) -> None:
    """Hold the tree to every note that an anchor has."""
    query = (
        select(AuditAnchor.kind, AuditAnchor.place, AuditAnchor.receipt, AuditAnchor.size, AuditCheckpoint.note)
        .outerjoin(AuditCheckpoint, AuditCheckpoint.size == AuditAnchor.size)
        .order_by(AuditAnchor.size)
    )
    kept: dict[tuple[str, str], list[Kept]] = {}
    for row in work.session.execute(query):
        if row.note is None:
            examiner.find("checkpoint", f"The checkpoint of {row.size} leaves, which was anchored, is gone.", row.size)
        else:
            kept.setdefault((row.kind, row.place), []).append((row.note, row.receipt))
    origin = checkpoints.signer_of(work.practice.vault, work.practice.settings).name
    for anchor in configured(work.practice.settings):
        source = f"the {anchor.kind} anchor"
        try:
            for note in anchor.notes(kept.get((anchor.kind, anchor.place), []), origin):
                examiner.report.anchors += 1
                examiner.expect(note, source)
        except AnchorFailed as problem:
            if problem.is_absence:
                examiner.report.remarks.append(f"{source} could not be asked: {problem}.")
            else:
                examiner.find("anchor", f"{source}: {problem}.")


def _anchor(practice: Practice, before: int | None) -> list[str]:
    done, failed = [], []
    for anchor in configured(practice.settings):
        note = _to_keep(practice, anchor, before)
        if note is None:
            continue
        try:
            receipt = anchor.keep(note[1], _proofs(practice))
        except AnchorFailed as problem:
            log.warning("anchor %s: %s", anchor.kind, problem)
            failed.append(f"{anchor.kind}: {problem}")
            continue
        with practice.begin(system("audit.anchor"), public="audit.anchor") as work:
            work.add(AuditAnchor(at=work.now, kind=anchor.kind, place=anchor.place, size=note[0], receipt=receipt))
        done.append(anchor.kind)
    if failed:
        raise AnchorFailed("; ".join(failed))
    return done


def _to_keep(practice: Practice, anchor: Anchor, before: int | None) -> tuple[int, str] | None:
    """The newest checkpoint, if this anchor does not have it yet and is due."""
    last = select(func.max(AuditAnchor.size), func.max(AuditAnchor.at))
    last = last.where(AuditAnchor.kind == anchor.kind, AuditAnchor.place == anchor.place)
    with practice.begin(system("audit.anchor"), writes=False, public="audit.anchor") as work:
        newest = checkpoints.newest(work.session)
        size, at = work.session.execute(last).one()
    if newest is None or (size is not None and size >= newest.size):
        return None
    if before is not None and at is not None and before < at <= before + EVERY:
        return None  # a time ahead of us is of a clock that was wrong, and holds nothing up
    return newest.size, newest.note


def _proofs(practice: Practice) -> Proof:
    def proof(first: int, second: int) -> Sequence[bytes]:
        with practice.begin(system("audit.anchor"), writes=False, public="audit.anchor") as work:
            return checkpoints.stored_tree(work.session, second).consistency(first, second)

    return proof
