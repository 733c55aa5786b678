"""Being a witness for other practices' logs (C2SP `tlog-witness`): cosign what goes on from the last checkpoint seen.

A log that shrank or forked is refused for good. A practice restored from a backup goes on under a new `audit_origin`,
which its witness's operator lets in by hand; what was seen under the old name stays.
"""

import base64
from dataclasses import dataclass

from sqlalchemy import select, text

from telepsych.audit import service as audit
from telepsych.audit.checkpoints import cosigner_of
from telepsych.audit.models import AuditWitness
from telepsych.audit.notes import BadNote, Checkpoint, VerifierKey, opened, text_of
from telepsych.audit.tree import EMPTY_ROOT, proves_consistency
from telepsych.core.clock import SECOND
from telepsych.core.settings import Settings
from telepsych.core.work import Work

LONGEST = 1_000
"""Characters of a note that we keep."""


class Declined(Exception):
    """The checkpoint is not cosigned. `status` and `body` as the protocol asks."""

    def __init__(self, status: int, body: str = "") -> None:
        super().__init__(body)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Shown:
    """A checkpoint as it was shown to us."""

    old: int
    proof: list[bytes]
    note: str
    checkpoint: Checkpoint


def read(body: str, settings: Settings) -> Shown:
    """Read what a log shows, and whether a practice we witness for has signed it. Raises `Declined`."""
    head, found, note = body.partition("\n\n")
    lines = head.split("\n")
    try:
        claimed = Checkpoint.parse(text_of(note))
        keys = [key for key in map(VerifierKey.parse, settings.witness_for) if key.name == claimed.origin]
        if not keys:
            raise Declined(404 if found else 403, "this log is not known here")
        checkpoint = Checkpoint.parse(opened(note, keys[0]))
        word, _, number = lines[0].partition(" ")
        old, proof = int(number), [base64.b64decode(line, validate=True) for line in lines[1:]]
    except BadNote:
        raise Declined(403, "not signed by a log that is known here") from None
    except ValueError:
        raise Declined(400, "not a request of the witness protocol") from None
    if word != "old" or not 0 <= old <= checkpoint.size or len(proof) > 63 or len(note) > LONGEST:
        raise Declined(400, "not a request of the witness protocol")
    return Shown(old, proof, note, checkpoint)


def cosign(work: Work, shown: Shown) -> str:
    """Remember a checkpoint that goes on from the last one seen, and sign for it. Raises `Declined`."""
    if work.session.get_bind().dialect.name == "postgresql":
        work.session.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(:origin))"), {"origin": shown.checkpoint.origin}
        )
    last = _last(work, shown.checkpoint.origin)
    size, root = (last.size, last.root) if last else (0, EMPTY_ROOT)
    new = shown.checkpoint
    if shown.old != size or (new.size == size and new.root != root):
        raise Declined(409, f"{size}\n")
    if not proves_consistency(size, new.size, root, new.root, shown.proof):
        raise Declined(422, "the log does not go on from what was seen")
    if last is None or new.size > size:
        row = work.add(AuditWitness(at=work.now, origin=new.origin, size=new.size, root=new.root, note=shown.note))
        work.session.flush()
        audit.record(work, "witness.cosigned", f"witness:{row.id}", purpose="operations")
    signer = cosigner_of(work.practice.vault, work.practice.settings)
    return signer.cosign(str(new), work.now // SECOND)


def newest_of(work: Work, origin: str) -> str | None:
    """The newest note seen of a log."""
    last = _last(work, origin)
    return last.note if last else None


def _last(work: Work, origin: str) -> AuditWitness | None:
    query = select(AuditWitness).where(AuditWitness.origin == origin).order_by(AuditWitness.size.desc()).limit(1)
    return work.session.scalar(query)
