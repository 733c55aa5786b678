"""Breaking the glass: opening the record of somebody one has no relation to, in an emergency, for an hour, in the open.

The record is found by exact name and birth date only, every attempt leaves an entry, and a higher room that answers to
`glass.broken` tells the compliance officers. Staff and managers open `general`; a clinician who asks for it expressly
opens `confidential` and `sensitive` as well. It lets nobody speak for the patient, and it ends by itself: an actor's
ties are worked out anew for every request and every event of a socket.
"""

import unicodedata
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from sqlalchemy import select

from telepsych.audit import service as audit
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Compartment, Relation, Tie
from telepsych.core.clock import DAY, HOUR, MINUTE
from telepsych.core.errors import Conflict, Invalid, TooMany
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy
from telepsych.patients.glass_content import glass_rules
from telepsych.patients.models import BreakGlass, Patient

SEARCHED = "glass.searched"
OPENED = "glass.opened"
ENDED = "glass.ended"


@dataclass(frozen=True, slots=True)
class Match:
    """Somebody found by name and birth date. `is_open` when their record is open to the actor anyway."""

    patient_id: UUID | None
    name: str
    birth_date: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class OpenBox:
    """A record that is open in an emergency, as the banner shows it."""

    id: UUID
    patient_id: UUID
    name: str
    ends_at: int


def find(work: Work, *, name: str, birth_date: date) -> Match | None:
    """Who has exactly this name and birth date, with an entry whether somebody was found or not.

    Raises `TooMany` after the limit of an hour, `Conflict` when several fit, `Refused` for a record barred to them.
    """
    work.require(policy.can_break_glass(work.actor))
    _bound_searches(work)
    patient = _exactly(work, name, birth_date)
    found = {"found": str(patient.id) if patient else ""}
    audit.record(work, SEARCHED, "search:break-glass", purpose="safety", detail=found)
    if patient is None:
        return None
    _refuse_barred(work, patient)
    return Match(patient.id, patient.name, patient.birth_date, _has_relation(work, patient.id))


def break_glass(
    work: Work, *, name: str, birth_date: date, ground: str, reason: str, acknowledged: bool = False
) -> BreakGlass:
    """Open a record for the time of `config/oversight`. A box that is still open is returned as it is.

    Only what `find` found within a day opens, so nobody learns here, uncounted and without a trace, who is a patient.
    `acknowledged` asks for what was told in confidence too. Raises `Invalid` naming what is missing, `Conflict` when
    the record is open to the actor anyway, and `StepUpNeeded` without a fresh factor.
    """
    work.require(policy.can_break_glass(work.actor))
    patient = _exactly(work, name, birth_date)
    if patient is None or work.actor.id is None or not _was_found(work, patient.id):
        raise Invalid(fields={"reason": gettext("Please look for this person first.")})
    _refuse_barred(work, patient)
    if still := _open_box(work, patient.id):
        return still
    if _has_relation(work, patient.id):
        raise Conflict(gettext("This record is open to you already."))
    _check(ground, reason)
    work.require_fresh()
    return _open(work, patient.id, work.actor.id, ground, reason.strip(), acknowledged)


def end(work: Work, glass_id: UUID) -> UUID:
    """End emergency access now; ending it twice is no fault. Returns the patient's id."""
    row = work.one(select(BreakGlass).where(BreakGlass.id == glass_id))
    work.require(policy.can_end_glass(work.actor, row))
    if row.ended_at is None and row.ends_at > work.now:
        row.ended_at = work.now
        audit.record(work, ENDED, f"break-glass:{row.id}", patient_id=row.patient_id, purpose="safety")
        work.wake("glass.ended", glass=row)
    return row.patient_id


def open_boxes(work: Work) -> list[OpenBox]:
    """The records that the actor has open in an emergency, the one that ends first before the others."""
    work.asked = True
    if work.actor.id is None:
        return []
    rows = list(work.session.scalars(policy.glass_in_force(work.actor.id, work.now).order_by(BreakGlass.ends_at)))
    people = select(Patient).where(Patient.id.in_([row.patient_id for row in rows]))
    names = {one.id: one.name for one in work.session.scalars(people)} if rows else {}
    return [OpenBox(row.id, row.patient_id, names[row.patient_id], row.ends_at) for row in rows]


def _open(work: Work, patient_id: UUID, person_id: UUID, ground: str, reason: str, acknowledged: bool) -> BreakGlass:
    opened = policy.glass_opens(work.actor, acknowledged)
    row = BreakGlass(
        patient_id=patient_id,
        person_id=person_id,
        opened_at=work.now,
        ends_at=work.now + glass_rules().minutes * MINUTE,
        opens_confidential=Compartment.CONFIDENTIAL in opened,
        opens_sensitive=Compartment.SENSITIVE in opened,
        ground=ground,
        reason=reason,
    )
    work.add(row)
    work.session.flush()
    tie = Tie(patient_id, Relation.BREAK_GLASS, opened)
    work.actor = replace(work.actor, ties=(*work.actor.ties, tie))
    detail = {"opens": sorted(opened)}
    audit.record(work, OPENED, f"break-glass:{row.id}", patient_id=patient_id, purpose="safety", detail=detail)
    work.wake("glass.broken", glass=row)
    return row


def _searches(work: Work, since: int) -> list[AuditRow]:
    """The actor's own."""
    mine = AuditRow.actor_id == work.actor.id, AuditRow.action == SEARCHED, AuditRow.at > since
    return list(work.session.scalars(select(AuditRow).where(*mine)))


def _was_found(work: Work, patient_id: UUID) -> bool:
    vault = work.practice.vault
    return any(audit.detail_of(vault, row).get("found") == str(patient_id) for row in _searches(work, work.now - DAY))


def _bound_searches(work: Work) -> None:
    if len(_searches(work, work.now - HOUR)) >= glass_rules().searches_an_hour:
        raise TooMany(gettext("You have searched often this hour. Please call the compliance officer."), 3600)


def _exactly(work: Work, name: str, birth_date: date) -> Patient | None:
    """Opens every record's name, because names are never indexed; what was opened and did not fit counts as unread."""
    touched = list(work.session.info["touched"])
    wanted = _plain(name), birth_date.isoformat()
    kept = work.session.scalars(select(Patient).where(Patient.destroyed_at.is_(None)))
    hits = [row for row in kept if (_plain(row.name), row.birth_date) == wanted]
    work.session.info["touched"] = touched
    if len(hits) > 1:
        raise Conflict(gettext("Two people have this name and birth date. Please ask the compliance officer."))
    return hits[0] if hits else None


def _refuse_barred(work: Work, patient: Patient) -> None:
    work.require(policy.can_open_in_emergency(work.actor, patient.id))


def _has_relation(work: Work, patient_id: UUID) -> bool:
    mine = policy.patient_ids_of(work.actor, work.now).where(Patient.id == patient_id)
    return work.session.scalar(mine) is not None


def _open_box(work: Work, patient_id: UUID) -> BreakGlass | None:
    assert work.actor.id is not None  # the policy asked for a person
    mine = policy.glass_in_force(work.actor.id, work.now).where(BreakGlass.patient_id == patient_id)
    return work.session.scalar(mine.limit(1))


def _check(ground: str, reason: str) -> None:
    rules, faults = glass_rules(), {}
    if ground not in {one.id for one in rules.grounds}:
        faults["ground"] = gettext("Please choose what happened.")
    if len("".join(reason.split())) < rules.reason_min_length:
        faults["reason"] = gettext("Please write in a sentence or two why you need this record now.")
    if faults:
        raise Invalid(fields=faults)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())
