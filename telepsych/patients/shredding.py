"""Destroying a record by destroying its keys: two people decide, an operator carries it out, the evidence stays.

Without its keys nothing of the record opens any more, here and in every old copy of the records. The audit trail still
verifies: its hashes are over ciphertext. Copies of the keystore have to age out (`retention.keystore_backup_days`).
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, select, update

from telepsych.accounts import service as accounts
from telepsych.accounts.models import Person
from telepsych.audit import service as audit
from telepsych.core.actor import Actor, Compartment, Decision, Role
from telepsych.core.clock import local_date
from telepsych.core.errors import Conflict
from telepsych.core.words import gettext
from telepsych.core.work import Practice, Work
from telepsych.crypto import data_keys
from telepsych.crypto.scopes import Scope, patient_scope, user_scope
from telepsych.patients import holds, policy, retention
from telepsych.patients.models import Destruction, Patient, Proxy
from telepsych.web import sessions


@dataclass(frozen=True, slots=True)
class Shredded:
    """What was destroyed."""

    patient_id: UUID
    keys: int
    """How many data keys are gone."""


def propose(work: Work, patient_id: UUID) -> Destruction:
    """Propose that a record is destroyed. Raises `Conflict` while it is kept, held, or proposed already."""
    work.require(policy.can_keep_or_destroy(work.actor, patient_id))
    work.require(Decision(work.actor.id is not None, gettext("A person has to propose this.")))
    work.require_fresh()
    patient = work.one(select(Patient).where(Patient.id == patient_id, Patient.destroyed_at.is_(None)))
    basis = _basis(work, patient)
    if work.session.scalar(_pending().where(Destruction.patient_id == patient_id)) is not None:
        raise Conflict(gettext("This was proposed already."))
    row = Destruction(patient_id=patient_id, proposed_at=work.now, proposed_by=work.actor.id, basis=basis)
    work.add(row)
    audit.record(work, "destruction.proposed", f"destruction:{row.id}", patient_id=patient_id, purpose="operations")
    return row


def sign(work: Work, destruction_id: UUID) -> None:
    """The second signature, by somebody else. Raises `Refused` for the first signer, `Conflict` when it may not be."""
    row = work.one(_pending().where(Destruction.id == destruction_id, Destruction.signed_at.is_(None)))
    work.require(policy.can_sign_destruction(work.actor, row))
    work.require_fresh()
    _basis(work, work.session.get_one(Patient, row.patient_id))
    row.signed_at, row.signed_by = work.now, work.actor.id
    audit.record(work, "destruction.signed", f"destruction:{row.id}", patient_id=row.patient_id, purpose="operations")


def withdraw(work: Work, destruction_id: UUID) -> None:
    """Take a proposal back, signed or not, as long as nothing was destroyed. Raises `Conflict` once it has begun."""
    row = work.one(_pending().where(Destruction.id == destruction_id))
    work.require(policy.can_keep_or_destroy(work.actor, row.patient_id))
    if work.session.get_one(Patient, row.patient_id, with_for_update=True).destroyed_at is not None:
        raise Conflict(gettext("This has begun and can't be taken back."))
    row.withdrawn_at = work.now
    audit.record(
        work, "destruction.withdrawn", f"destruction:{row.id}", patient_id=row.patient_id, purpose="operations"
    )


def pending(work: Work) -> list[Destruction]:
    """What was proposed and is not done, the oldest first."""
    work.require(policy.can_keep_or_destroy(work.actor))
    return list(work.session.scalars(_pending().order_by(Destruction.proposed_at)))


def shred(practice: Practice, actor: Actor, destruction_id: UUID) -> Shredded:
    """Destroy the keys of a record that two people signed away. May be stopped at any point and run again.

    Raises `Conflict` when a hold came in between, `NotFound` for what is not signed, `Refused` for whoever is no
    operator. The intent is on record before the first key goes, the outcome after the last.
    """
    with practice.begin(actor) as work:
        row = _signed(work, destruction_id)
        patient = work.session.get_one(Patient, row.patient_id, with_for_update=True)
        if patient.destroyed_at is None:  # a run that was stopped is not asked again: the record may not open any more
            _basis(work, patient)
        scopes = _scopes(work, patient)
        patient_id, person_id = patient.id, patient.person_id
        work.changed(update(Patient).where(Patient.id == patient_id).values(destroyed_at=work.now))
        audit.record(work, "destruction.begun", f"destruction:{row.id}", patient_id=patient_id, purpose="operations")
    gone = sum(len(data_keys.destroy(practice.vault, scope)) for scope in scopes)
    with practice.begin(actor) as work:
        row = _signed(work, destruction_id)
        row.done_at = work.now
        if person_id is not None and any(scope.kind == "person" for scope in scopes):
            _forget_sign_in(work, person_id)
        audit.record(
            work,
            "destruction.done",
            f"destruction:{row.id}",
            patient_id=patient_id,
            purpose="operations",
            detail={"keys": gone},
        )
    return Shredded(patient_id, gone)


def _pending() -> Select[Destruction]:
    return select(Destruction).where(Destruction.withdrawn_at.is_(None), Destruction.done_at.is_(None))


def _signed(work: Work, destruction_id: UUID) -> Destruction:
    work.require(Decision(work.actor.is_system, gettext("Keys are destroyed at the command line.")))
    return work.one(_pending().where(Destruction.id == destruction_id, Destruction.signed_at.is_not(None)))


def _basis(work: Work, patient: Patient) -> dict[str, str]:
    """Why a record may be destroyed now. Raises `Conflict` when it may not."""
    until = retention.keep_until_of(work, patient)
    if until is None:
        raise Conflict(gettext("They are in care here. A record is kept while they are."))
    if until >= local_date(work.now, work.practice.settings.tz):
        raise Conflict(gettext("This record has to be kept until {day}.").format(day=until.isoformat()))
    if holds.is_held(work, patient.id):
        raise Conflict(gettext("There is a legal hold on this record: nothing of it may be destroyed."))
    rule = retention.retention()
    return {"rule": rule.id, "version": rule.version, "keep_until": until.isoformat()}


def _scopes(work: Work, patient: Patient) -> list[Scope]:
    """Whose keys go: every compartment, and the patient's own sign-in unless they are here as somebody else too."""
    scopes = [patient_scope(patient.id, compartment) for compartment in Compartment]
    if patient.person_id is not None and not _is_somebody_else_too(work, patient.person_id):
        scopes.append(user_scope(patient.person_id))
    return scopes


def _is_somebody_else_too(work: Work, person_id: UUID) -> bool:
    acts = select(Proxy.id).where(Proxy.person_id == person_id).limit(1)
    return bool(accounts.roles_of(work, person_id) - {Role.PATIENT}) or work.session.scalar(acts) is not None


def _forget_sign_in(work: Work, person_id: UUID) -> None:
    """Nobody signs in as them any more, and their address may be used anew."""
    gone = update(Person).where(Person.id == person_id)
    work.changed(gone.values(email_index=None, left_at=work.now, epoch=Person.epoch + 1))
    sessions.end_all(work, person_id)
