"""The audit trail as it is kept: rows, their places in the tree, checkpoints and anchors. All of it is only added to.

A row is written inside the act's own transaction. The sequencer gives it a leaf later; nothing here is ever changed,
and triggers in both databases refuse the attempt (`telepsych.audit.guards`).
"""

from enum import StrEnum
from typing import cast

from sqlalchemy import Table, UniqueConstraint
from sqlalchemy.orm import Mapped

from telepsych.audit import guards
from telepsych.core.columns import (
    code,
    digest,
    key,
    moment,
    number,
    opaque,
    position,
    receipt,
    sealed_blob,
    small,
    state,
)
from telepsych.core.database import Base


class Outcome(StrEnum):
    """How the act ended."""

    DONE = "done"
    REFUSED = "refused"


class AuditRow(Base):
    """One entry."""

    __tablename__ = "audit_row"

    id = key()
    version: Mapped[int] = small(default=1)
    at: Mapped[int] = moment(index=True)
    actor_id = opaque(optional=True, index=True)
    on_behalf_of = opaque(optional=True)
    label: Mapped[str] = code(64, "person, or the name of a job, command or public page")
    roles: Mapped[str] = code(96, "the roles the actor held, as words")
    session_id = opaque(optional=True)
    action: Mapped[str] = code(64, "the name of the act")
    about: Mapped[str] = code(96, "kind and opaque id of the thing")
    patient_id = opaque(optional=True, index=True)
    relation: Mapped[str | None] = code(16, "why the actor may open the chart", optional=True)
    purpose: Mapped[str] = code(32, "treatment, operations, own record or safety")
    outcome: Mapped[Outcome] = state(Outcome)
    request_id: Mapped[str] = code(40, "random name of the request")
    touched: Mapped[bytes] = digest()
    """SHA-256 over the hashes of every ciphertext opened or sealed in the unit."""
    detail: Mapped[bytes | None] = sealed_blob(optional=True)
    mac: Mapped[bytes] = digest()
    """HMAC over the canonical JSON of all of the above."""


class AuditLeaf(Base):
    """A row's place in the tree: indexes are contiguous from 0."""

    __tablename__ = "audit_leaf"
    __transport__ = True  # the trail of the trail would never end

    leaf_index: Mapped[int] = position()
    row_id = opaque(unique=True)
    leaf_hash: Mapped[bytes] = digest()
    """RFC 9162 leaf hash over the row's canonical JSON, its HMAC included."""
    mac: Mapped[bytes] = digest()
    """HMAC over index, row and hash: a leaf that was moved gives itself away without the rest of the tree."""


class AuditNode(Base):
    """The hash of a full subtree of 256, 65 536, … leaves (level 8, 16, …): what proofs read instead of all leaves."""

    __tablename__ = "audit_node"
    __transport__ = True

    level: Mapped[int] = position()
    node_index: Mapped[int] = position()
    node_hash: Mapped[bytes] = digest()


class AuditCheckpoint(Base):
    """What the practice has signed about its tree."""

    __tablename__ = "audit_checkpoint"
    __transport__ = True

    size: Mapped[int] = position()
    at: Mapped[int] = moment(index=True)
    root: Mapped[bytes] = digest()
    note: Mapped[str] = code(1024, "a signed note: origin, size, root hash and signature")


class AuditAnchor(Base):
    """A checkpoint that somebody outside has confirmed, and what they gave for it."""

    __tablename__ = "audit_anchor"
    __transport__ = True

    id = key()
    at: Mapped[int] = moment(index=True)
    kind: Mapped[str] = code(16, "file, timestamp or witness")
    place: Mapped[str] = code(500, "a path or address of the operator's")
    size: Mapped[int] = number()
    receipt: Mapped[bytes | None] = receipt(optional=True)


class AuditWitness(Base):
    """A checkpoint of another practice that this one has seen and cosigned."""

    __tablename__ = "audit_witness"
    __table_args__ = (UniqueConstraint("origin", "size"),)
    __transport__ = True

    id = key()
    at: Mapped[int] = moment()
    origin: Mapped[str] = code(200, "the name of another practice's log")
    size: Mapped[int] = number()
    root: Mapped[bytes] = digest()
    note: Mapped[str] = code(1024, "that practice's signed note")


for _model in (AuditRow, AuditLeaf, AuditNode, AuditCheckpoint, AuditAnchor, AuditWitness):
    guards.protect(cast(Table, _model.__table__))
