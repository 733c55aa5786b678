"""What the practice signs about its tree, and with which key.

The key is derived from the practice's root (`audit-signing`); it stays the same when wrapping keys are rotated. The
log's name is the setting `audit_origin`, or is made of the key.
"""

from hashlib import sha256

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from telepsych.audit.models import AuditCheckpoint, AuditLeaf, AuditNode
from telepsych.audit.notes import COSIGNED, PLAIN, Checkpoint, Signer
from telepsych.audit.tree import WIDTH, Tree
from telepsych.core.settings import Settings
from telepsych.core.work import Work
from telepsych.crypto.vault import Vault


def signer_of(vault: Vault, settings: Settings) -> Signer:
    """The signer of this practice's checkpoints."""
    return _named(vault.derive("audit-signing"), settings.audit_origin, PLAIN)


def cosigner_of(vault: Vault, settings: Settings) -> Signer:
    """The signer of what this practice witnesses for others, with a key that never signs its own log."""
    name = f"{settings.audit_origin}/witness" if settings.audit_origin else ""
    return _named(vault.derive("audit-witness"), name, COSIGNED)


def _named(seed: bytes, name: str, kind: int) -> Signer:
    public = Signer.of("", seed).key.public
    return Signer.of(name or f"telepsych/{sha256(public).hexdigest()[:16]}", seed, kind)


def latest(work: Work) -> str | None:
    """The newest signed note; None before the first."""
    return work.session.scalar(select(AuditCheckpoint.note).order_by(AuditCheckpoint.size.desc()).limit(1))


def newest(session: Session) -> AuditCheckpoint | None:
    """The newest checkpoint."""
    return session.scalar(select(AuditCheckpoint).order_by(AuditCheckpoint.size.desc()).limit(1))


def size_of(session: Session) -> int:
    """How many leaves there are."""
    last = session.scalar(select(func.max(AuditLeaf.leaf_index)))
    return 0 if last is None else last + 1


def stored_tree(session: Session, size: int) -> Tree:
    """The tree of the first `size` leaves, read as far as it is needed."""

    def fetch(level: int, tile: int) -> list[bytes]:
        first, after = tile * WIDTH, min((tile + 1) * WIDTH, size >> level)
        if level:
            index, found = AuditNode.node_index, AuditNode.node_hash
            query = select(index, found).where(AuditNode.level == level)
        else:
            index, found = AuditLeaf.leaf_index, AuditLeaf.leaf_hash
            query = select(index, found)
        query = query.where(index >= first, index < after).order_by(index)
        return [row[1] for at, row in enumerate(session.execute(query), first) if row[0] == at]

    return Tree(size, fetch)


def signed(signer: Signer, size: int, root: bytes, at: int) -> AuditCheckpoint:
    """A new checkpoint, not yet saved."""
    note = signer.sign(str(Checkpoint(signer.name, size, root)))
    return AuditCheckpoint(size=size, at=at, root=root, note=note)
