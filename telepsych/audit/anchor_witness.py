"""Another Telepsych, or any other C2SP witness, cosigning our checkpoints as long as they go on from each other."""

import base64
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlencode

from telepsych.audit.notes import BadNote, Checkpoint, VerifierKey, opened, text_of
from telepsych.audit.outside import AnchorFailed, ask


class WitnessAnchor:
    """Keeps the witness's signature; the witness keeps our note."""

    kind = "witness"

    def __init__(self, place: str, key: str) -> None:
        self.place = place.rstrip("/")
        self._key = key

    def keep(self, note: str, proof: Callable[[int, int], Sequence[bytes]]) -> bytes:
        """Show the witness our newest note with the proof that it goes on from what the witness saw last."""
        size = Checkpoint.parse(text_of(note)).size
        status, answer = self._show(0, note, [])
        if status == 409:
            seen = _size(answer)
            if seen > size:
                raise AnchorFailed(f"it knows our log with {seen} leaves, we have {size}: see “A restored practice”")
            status, answer = self._show(seen, note, proof(seen, size))
        if status != 200:
            raise AnchorFailed(f"it answered {status}: {REASONS.get(status, 'no reason known')}")
        self._check(note, answer)
        return answer

    def notes(self, kept: Sequence[tuple[str, bytes | None]], origin: str) -> Iterator[str]:
        """The notes it has cosigned, and the newest it holds itself."""
        for note, receipt in kept:
            self._check(note, receipt or b"")
            yield note
        for name in sorted({origin, *(Checkpoint.parse(text_of(note)).origin for note, _ in kept)}):
            status, answer = ask(f"{self.place}/checkpoint?{urlencode({'origin': name})}")
            if status == 200:
                yield answer.decode("utf-8", "replace")
            elif status != 404:
                raise AnchorFailed(f"it answered {status}", is_absence=True)

    def _show(self, old: int, note: str, proof: Sequence[bytes]) -> tuple[int, bytes]:
        lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
        return ask(f"{self.place}/add-checkpoint", f"old {old}\n{lines}\n{note}".encode())

    def _check(self, note: str, lines: bytes) -> None:
        try:
            opened(note + lines.decode(), VerifierKey.parse(self._key))
        except (BadNote, UnicodeDecodeError) as problem:
            raise AnchorFailed(f"its signature is not good ({problem})") from problem


REASONS = {
    403: "it does not know our key",
    404: "it does not know our log's name",
    409: "it knows our log otherwise",
    422: "our log does not go on from what it has seen",
}


def _size(answer: bytes) -> int:
    try:
        return int(answer.decode().strip())
    except ValueError:
        raise AnchorFailed("it answered something else than a size") from None
