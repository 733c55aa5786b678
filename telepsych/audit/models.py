"""The audit row: written once inside the act's own transaction, never changed afterwards."""

from enum import StrEnum

from sqlalchemy.orm import Mapped

from telepsych.core.columns import code, digest, key, moment, number, opaque, sealed_blob, small, state
from telepsych.core.database import Base


class Outcome(StrEnum):
    """How the act ended."""

    DONE = "done"
    REFUSED = "refused"


class AuditRow(Base):
    """One entry. The leaf index stays empty until a sequencer gives the row its place in the tree."""

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
    leaf_index: Mapped[int | None] = number(optional=True)
