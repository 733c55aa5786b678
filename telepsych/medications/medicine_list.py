"""The list of medicines: what it holds, what changed, and how the clinician keeps it. Changes refresh the ledger."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from telepsych.audit import service as audit
from telepsych.core.clock import DAY, from_micros, local_date, to_micros
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.medications import policy
from telepsych.medications.content import Medicine, medicines
from telepsych.medications.models import MedicineState, PatientMedicine
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.relations import Part

NEW_FOR = 30 * DAY
"""How long a medicine counts as new after its start."""
ACTIVE, LEFT = "medicine.active", "medicine.days_left"


@dataclass(frozen=True, slots=True)
class MedicineLine:
    """A medicine as lists show it. `days_left` is what the patient said, less the days since."""

    id: UUID
    medicine_id: str
    name: str
    strength: str
    label: str
    how: str
    reason: str
    used_for: str
    prescriber: str
    is_active: bool
    started_at: int
    dose_changed_at: int | None
    restarted_at: int | None
    stopped_at: int | None
    days_left: int | None
    schedule: str | None


@dataclass(frozen=True, slots=True)
class MedicineChange:
    """One change, in words for the patient and with what was before. `kind` is started, changed, restarted, stopped."""

    id: UUID
    label: str
    kind: str
    at: int
    before: str
    after: str
    words: str
    why: str


def add_medicine(
    work: Work,
    patient_id: UUID,
    *,
    medicine_id: str = "",
    name: str = "",
    strength: str = "",
    how: str = "",
    reason: str = "",
    prescriber: str = "",
    started_on: date | None = None,
) -> PatientMedicine:
    """Put a medicine on a patient's list, by its id in the catalogue or, if it is not there, by its name."""
    work.require(policy.can_change_list(work.actor, patient_id))
    patient = patients.open_patient(work, patient_id)
    known = _in_catalogue(medicine_id)
    name = name.strip() or (known.name if known else "")
    if not name:
        raise Invalid(fields={"name": gettext("Please name the medicine.")})
    started = _moment(work, started_on, "started_on")
    medicine = PatientMedicine(
        patient_id=patient.id,
        state=MedicineState.ACTIVE,
        started_at=started,
        medicine_id=medicine_id,
        name=name,
        strength=strength.strip(),
        how=how.strip(),
        reason=reason.strip(),
        prescriber=prescriber.strip(),
    )
    _remember(work, medicine, "started", started, before=("", ""), why="")
    work.add(medicine)
    _done(work, medicine, "medicine.added")
    return medicine


def change_medicine(
    work: Work,
    medicine_id: UUID,
    *,
    strength: str | None = None,
    how: str | None = None,
    reason: str | None = None,
    why: str = "",
    changed_on: date | None = None,
) -> PatientMedicine:
    """Change strength, use or reason of a medicine. What is not given stays as it is."""
    medicine = _to_change(work, medicine_id)
    at = _moment(work, changed_on, "changed_on")
    before = (medicine.strength, medicine.how)
    after = tuple(new.strip() if new is not None else old for new, old in zip((strength, how), before, strict=True))
    if reason is not None:
        medicine.reason = reason.strip()
    if after != before:
        medicine.strength, medicine.how = after
        medicine.dose_changed_at = at
        _remember(work, medicine, "changed", at, before=before, why=why)
    _done(work, medicine, "medicine.changed")
    return medicine


def stop_medicine(work: Work, medicine_id: UUID, *, why: str = "", stopped_on: date | None = None) -> PatientMedicine:
    """Take a medicine off the list of what is taken. It stays in the history."""
    medicine = _to_change(work, medicine_id)
    at = _moment(work, stopped_on, "stopped_on")
    medicine.state, medicine.stopped_at = MedicineState.STOPPED, at
    _remember(work, medicine, "stopped", at, before=(medicine.strength, medicine.how), why=why)
    _done(work, medicine, "medicine.stopped")
    return medicine


def start_again(
    work: Work, medicine_id: UUID, *, strength: str | None = None, how: str | None = None, on: date | None = None
) -> PatientMedicine:
    """Put a stopped medicine back on the list."""
    medicine = _mine(work, medicine_id)
    if medicine.is_active:
        raise Conflict(gettext("This medicine is already on the list."))
    at = _moment(work, on, "on")
    before = (medicine.strength, medicine.how)
    medicine.strength = strength.strip() if strength is not None else medicine.strength
    medicine.how = how.strip() if how is not None else medicine.how
    medicine.state, medicine.restarted_at, medicine.stopped_at = MedicineState.ACTIVE, at, None
    _remember(work, medicine, "restarted", at, before=before, why="")
    _done(work, medicine, "medicine.restarted")
    return medicine


def list_of(work: Work, patient_id: UUID, *, stopped: bool = False) -> list[MedicineLine]:
    """What a patient takes, by name; with `stopped` also what they no longer take, after it."""
    rows = rows_of(work, patient_id, stopped=stopped)
    left = _days_left(work, patient_id) if rows else {}
    return [_line(row, left.get(row.code)) for row in rows]


def shared_list(work: Work, patient_id: UUID) -> list[tuple[str, str]]:
    """What a supporter is shown of what the patient takes now: name with strength, and how; never what for."""
    work.require(patients_policy.can_see_part(work.actor, patient_id, Part.MEDICINES))
    audit.look(work, "medicines.read", patient_id)
    rows = work.all(policy.medicines_shared(patient_id))
    return sorted((row.label, row.how) for row in rows)


def require_of(work: Work, patient_id: UUID, medicine_id: UUID) -> None:
    """Raise `NotFound` unless the medicine is on just this patient's list, and the actor's to see."""
    mine = PatientMedicine.id == medicine_id, PatientMedicine.patient_id == patient_id
    work.one(policy.medicines_of(work.actor, work.now).where(*mine))


def rows_of(work: Work, patient_id: UUID, *, stopped: bool = False) -> list[PatientMedicine]:
    """The medicines themselves, those taken now first, by name."""
    audit.look(work, "medicines.read", patient_id)
    mine = policy.medicines_of(work.actor, work.now).where(PatientMedicine.patient_id == patient_id)
    rows = [row for row in work.all(mine) if stopped or row.is_active]
    return sorted(rows, key=lambda row: (not row.is_active, row.label.casefold(), row.id))


def changes_since(work: Work, patient_id: UUID, moment: int) -> list[MedicineChange]:
    """What has changed on the list since a moment, the newest first."""
    found = [
        _change(row, entry)
        for row in rows_of(work, patient_id, stopped=True)
        for entry in row.history
        if entry["at"] >= moment
    ]
    return sorted(found, key=lambda change: -change.at)


def refresh_ledger(work: Work, patient_id: UUID) -> None:
    """Write what the patient takes now into the facts ledger."""
    mine = policy.medicines_of(work.actor, work.now).where(
        PatientMedicine.patient_id == patient_id, PatientMedicine.state == MedicineState.ACTIVE
    )
    work.session.flush()
    rows = sorted(work.all(mine), key=lambda row: (row.code, row.id))
    active = [_fact(work, row) for row in rows]
    patients.record_facts(work, patient_id, {ACTIVE: active}, source="medicines", as_of=work.now)


def _in_catalogue(medicine_id: str) -> Medicine | None:
    if not medicine_id:
        return None
    known = medicines().get(medicine_id)
    if known is None:
        raise Invalid(fields={"medicine_id": gettext("This medicine is not in the catalogue.")})
    return known


def _to_change(work: Work, medicine_id: UUID) -> PatientMedicine:
    medicine = _mine(work, medicine_id)
    if not medicine.is_active:
        raise Conflict(gettext("This medicine has been stopped. Start it again first."))
    return medicine


def _mine(work: Work, medicine_id: UUID) -> PatientMedicine:
    work.require(policy.can_change_list(work.actor))
    mine = policy.medicines_of(work.actor, work.now).where(PatientMedicine.id == medicine_id)
    medicine = work.one(mine.with_for_update())
    work.require(policy.can_change_list(work.actor, medicine.patient_id))
    return medicine


def _moment(work: Work, day: date | None, field: str) -> int:
    """Midday of a day where the practice is; now, for today or when no day is given. Raises `Invalid` when to come."""
    zone = work.practice.settings.tz
    today = local_date(work.now, zone)
    if day is None or day == today:
        return work.now
    if day > today:
        raise Invalid(fields={field: gettext("Please give a day that is not in the future.")})
    return to_micros(datetime.combine(day, time(12), zone))


def _remember(work: Work, medicine: PatientMedicine, kind: str, at: int, *, before: tuple[str, str], why: str) -> None:
    entry = {
        "kind": kind,
        "at": at,
        "recorded_at": work.now,
        "by": str(work.actor.id or work.actor.label),
        "why": why.strip(),
        "strength_before": before[0],
        "how_before": before[1],
        "strength": medicine.strength,
        "how": medicine.how,
    }
    medicine.history = [*medicine.history, entry]


def _done(work: Work, medicine: PatientMedicine, action: str) -> None:
    audit.record(work, action, f"medicine:{medicine.id}", patient_id=medicine.patient_id)
    refresh_ledger(work, medicine.patient_id)


def _fact(work: Work, row: PatientMedicine) -> dict[str, Any]:
    zone = work.practice.settings.tz
    known = medicines().get(row.medicine_id)

    def day(at: int | None) -> str | None:
        return None if at is None else local_date(at, zone).isoformat()

    return {
        "id": row.code,
        "name": row.name,
        "started_on": day(row.started_at),
        "dose_changed_on": day(row.dose_changed_at),
        "restarted_on": day(row.restarted_at),
        "schedule": known.schedule if known else None,
        "new": work.now - (row.restarted_at or row.started_at) < NEW_FOR,
    }


def _days_left(work: Work, patient_id: UUID) -> dict[str, int]:
    """What the patient last said, counted down to today."""
    said = patients.facts_of(work, patient_id).get(LEFT)
    if said is None or not isinstance(said.value, dict):
        return {}
    zone = work.practice.settings.tz
    gone = (from_micros(work.now, zone).date() - from_micros(said.as_of, zone).date()).days
    return {code: max(0, int(days) - gone) for code, days in said.value.items()}


def _line(row: PatientMedicine, left: int | None) -> MedicineLine:
    known = medicines().get(row.medicine_id)
    return MedicineLine(
        id=row.id,
        medicine_id=row.medicine_id,
        name=row.name,
        strength=row.strength,
        label=row.label,
        how=row.how,
        reason=row.reason,
        used_for=known.used_for if known else "",
        prescriber=row.prescriber,
        is_active=row.is_active,
        started_at=row.started_at,
        dose_changed_at=row.dose_changed_at,
        restarted_at=row.restarted_at,
        stopped_at=row.stopped_at,
        days_left=left if row.is_active else None,
        schedule=known.schedule if known else None,
    )


def _change(row: PatientMedicine, entry: dict[str, Any]) -> MedicineChange:
    before, after = _dose(entry["strength_before"], entry["how_before"]), _dose(entry["strength"], entry["how"])
    return MedicineChange(
        id=row.id,
        label=row.label,
        kind=entry["kind"],
        at=entry["at"],
        before=before,
        after=after,
        words=_words(row.name, entry["kind"], before, after),
        why=entry["why"],
    )


def _words(name: str, kind: str, before: str, after: str) -> str:
    sentences = {
        "started": gettext("{name} was started: {after}"),
        "changed": gettext("{name} was changed from {before} to {after}"),
        "restarted": gettext("{name} was started again: {after}"),
        "stopped": gettext("{name} was stopped"),
    }
    unsaid = gettext("not written down")
    words = sentences[kind].format(name=name, before=before or unsaid, after=after)
    return words.removesuffix(": ")


def _dose(strength: str, how: str) -> str:
    return ", ".join(part for part in (strength, how) if part)
