"""Legal holds: while one is open, nothing of the patient's record may be destroyed, whatever its age."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select

from telepsych.audit import service as audit
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy
from telepsych.patients.models import LegalHold, Patient

LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. `released_at` is None while it is open."""

    id: UUID
    patient_id: UUID
    matter: str
    reason: str
    placed_at: int
    placed_by: UUID | None
    released_at: int | None = None


def place(work: Work, patient_id: UUID, *, matter: str, reason: str) -> Hold:
    """Forbid that anything of a record is destroyed. Raises `Invalid` naming what is missing, `NotFound`."""
    work.require(policy.can_keep_or_destroy(work.actor, patient_id))
    work.require_fresh()
    kept = select(Patient.id).where(Patient.id == patient_id, Patient.destroyed_at.is_(None))
    work.one(kept.with_for_update())  # it and a destruction that begins at the same moment take turns
    faults = {
        name: gettext("Please write this down, in a few words.")
        for name, text in (("matter", matter), ("reason", reason))
        if not text.strip() or len(text) > LONGEST
    }
    if faults:
        raise Invalid(fields=faults)
    row = LegalHold(
        patient_id=patient_id,
        placed_at=work.now,
        placed_by=work.actor.id,
        matter=matter.strip(),
        reason=reason.strip(),
    )
    work.add(row)
    audit.record(work, "hold.placed", f"hold:{row.id}", patient_id=patient_id, purpose="operations")
    return _line(row)


def release(work: Work, hold_id: UUID, *, note: str) -> None:
    """End a hold, with a note why. Raises `Conflict` when it has ended, `Invalid` without a note."""
    row = work.one(select(LegalHold).where(LegalHold.id == hold_id).with_for_update())
    work.require(policy.can_keep_or_destroy(work.actor, row.patient_id))
    work.require_fresh()
    if row.released_at is not None:
        raise Conflict(gettext("This hold was released already."))
    if not note.strip() or len(note) > LONGEST:
        raise Invalid(fields={"note": gettext("Please write down why it ends.")})
    row.released_at, row.released_by, row.release_note = work.now, work.actor.id, note.strip()
    audit.record(work, "hold.released", f"hold:{hold_id}", patient_id=row.patient_id, purpose="operations")


def open_holds(work: Work) -> list[Hold]:
    """Every open hold, the oldest first; none on the record of somebody the actor knows in private life."""
    work.require(policy.can_keep_or_destroy(work.actor))
    others = _open().where(LegalHold.patient_id.not_in(work.actor.relatives))
    return [_line(row) for row in work.session.scalars(others.order_by(LegalHold.placed_at))]


def is_held(work: Work, patient_id: UUID) -> bool:
    """Whether a hold is open on a record."""
    return work.session.scalar(_open().where(LegalHold.patient_id == patient_id).limit(1)) is not None


def _open() -> Select[LegalHold]:
    return select(LegalHold).where(LegalHold.released_at.is_(None))


def _line(row: LegalHold) -> Hold:
    return Hold(row.id, row.patient_id, row.matter, row.reason, row.placed_at, row.placed_by, row.released_at)
