"""The second stream: a line for each entry, written beside the database, so that entries that were suppressed show.

A line holds the entry's id, its time and its leaf hash, and nothing that says anything about a person. It is written
after the commit: a line without its row means that the row was taken away. By then the act is done, so a stream that
takes nothing is logged and fails nobody.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.orm import Session

from telepsych.audit.entries import entry_of, leaf_of
from telepsych.audit.models import AuditRow
from telepsych.core.work import Work

log = logging.getLogger("telepsych.audit")
STDOUT = "stdout"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as the stream has it."""

    id: UUID
    hash: bytes


def say_after_commit(work: Work, rows: Sequence[AuditRow]) -> None:
    """Write the rows' lines once they are committed, where the operator wants a stream."""
    place = work.practice.settings.audit_stream
    if not place:
        return
    lines = "".join(f"{_line(row)}\n" for row in rows).encode()

    def write(_session: Session) -> None:
        try:
            _append(place, lines)
        except OSError as problem:
            log.error("the second stream takes nothing (%s)", type(problem).__name__)

    event.listen(work.session, "after_commit", write, once=True)


def read(place: Path) -> Iterator[Line]:
    """The lines of a stream, in a log file of any kind: lines that are not ours are passed over."""
    with place.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                found = json.loads(text[text.index('{"audit"') :])
                yield Line(UUID(found["audit"]), bytes.fromhex(found["hash"]))
            except (ValueError, KeyError, TypeError):
                continue


def _line(row: AuditRow) -> str:
    return json.dumps({"audit": str(row.id), "at": row.at, "hash": leaf_of(entry_of(row)).hex()})


def _append(place: str, lines: bytes) -> None:
    if place == STDOUT:
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()
        return
    handle = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        while lines:
            lines = lines[os.write(handle, lines) :]
    finally:
        os.close(handle)
