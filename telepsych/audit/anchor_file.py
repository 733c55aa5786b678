"""An append-only file on another volume: a line of JSON for each note, on disk before it counts as kept."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from telepsych.audit.outside import AnchorFailed


class FileAnchor:
    """Keeps notes in a file that only grows; the operator makes it append-only (`chattr +a`)."""

    kind = "file"

    def __init__(self, place: str) -> None:
        self.place = place

    def keep(self, note: str, proof: Any) -> None:
        """Append the note and wait until it is on disk."""
        try:
            self._append(json.dumps({"note": note}))
        except OSError as problem:
            raise AnchorFailed(f"the file cannot be written ({type(problem).__name__})") from problem

    def notes(self, kept: Sequence[tuple[str, bytes | None]], origin: str) -> Iterator[str]:
        """The notes in the file. A line that was cut short by a full disk is passed over."""
        try:
            lines = Path(self.place).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            if kept:
                raise AnchorFailed("its file is gone") from None
            return
        except OSError as problem:
            raise AnchorFailed(f"the file cannot be read ({type(problem).__name__})", is_absence=True) from problem
        found = [note for note in map(_note_in, lines) if note]
        yield from found
        if lost := {note for note, _ in kept} - set(found):
            raise AnchorFailed(f"{len(lost)} checkpoints that it was given are not in its file")

    def _append(self, line: str) -> None:
        whole = f"\n{line}\n".encode()  # the first break ends a line that was cut short
        is_new = not Path(self.place).exists()
        handle = os.open(self.place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(handle, whole) != len(whole):
                raise AnchorFailed("the file took only a part of the line")
            os.fsync(handle)
        finally:
            os.close(handle)
        if is_new:
            folder = os.open(Path(self.place).parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _note_in(line: str) -> str | None:
    try:
        return str(json.loads(line)["note"])
    except (ValueError, KeyError, TypeError):
        return None
