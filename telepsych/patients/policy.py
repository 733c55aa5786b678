"""Who may open a record, and what they may do with it.

A record opens by relation only: oneself, a proxy's scope, a team, or breaking the glass. Clinicians of a patient's team
open all compartments; staff and managers of it open `general` and `confidential`, because messages in confidence have
to be triaged, but not `sensitive`. The practice's own clockwork and its operators open everything.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select

from telepsych.core.actor import Actor, Compartment, Decision, Relation, Role
from telepsych.core.words import gettext
from telepsych.patients.models import CareTeam, Patient, Proxy


def patients_of(actor: Actor, now: int, compartment: Compartment = Compartment.GENERAL) -> Select[Patient]:
    """The patients whose compartment is open to the actor."""
    if actor.is_system:
        return select(Patient)
    return select(Patient).where(Patient.id.in_(patient_ids_of(actor, now, compartment)))


def patient_ids_of(actor: Actor, now: int, compartment: Compartment = Compartment.GENERAL) -> Select[UUID]:
    """The same as ids, to narrow other rooms' rows with `.in_`."""
    if actor.is_system:
        return select(Patient.id)
    opened: ColumnElement[bool] = Patient.id.in_(actor.own(compartment))
    if actor.teams and _team_opens(actor, compartment):
        opened = or_(opened, Patient.id.in_(_cared_for(actor, now)))
    return select(Patient.id).where(opened)


def _team_opens(actor: Actor, compartment: Compartment) -> bool:
    if actor.has(Role.CLINICIAN):
        return True
    return compartment is not Compartment.SENSITIVE and actor.has(Role.STAFF, Role.MANAGER)


def _cared_for(actor: Actor, now: int) -> Select[UUID]:
    return select(CareTeam.patient_id).where(
        CareTeam.team_id.in_(actor.teams),
        CareTeam.valid_from <= now,
        or_(CareTeam.valid_until.is_(None), CareTeam.valid_until > now),
    )


def proxies_in_force(now: int) -> Select[Proxy]:
    """Proxies that hold at a moment."""
    return select(Proxy).where(
        Proxy.valid_from <= now,
        or_(Proxy.valid_until.is_(None), Proxy.valid_until > now),
        or_(Proxy.suspended_at.is_(None), Proxy.suspended_at > now),
    )


def open_compartments(actor: Actor, patient_id: UUID) -> frozenset[Compartment]:
    """What a personal tie of the actor opens of a patient's record."""
    found: frozenset[Compartment] = frozenset()
    for tie in actor.ties:
        if tie.patient_id == patient_id:
            found |= tie.compartments
    return found


def can_write_as_patient(actor: Actor, patient_id: UUID) -> Decision:
    """The patient, or somebody who may act for them."""
    allowed = actor.is_system or Compartment.GENERAL in open_compartments(actor, patient_id)
    return Decision(allowed, gettext("Only the patient, or somebody who may act for them, can do this."))


def is_oneself(actor: Actor, patient_id: UUID) -> bool:
    """Whether the actor is the patient."""
    return any(tie.patient_id == patient_id and tie.relation is Relation.SELF for tie in actor.ties)


def can_sign_as(actor: Actor, patient_id: UUID, capacity: str) -> Decision:
    """The patient signs as the patient, whoever acts for them as that: a young person can't sign for their guardian."""
    held = {tie.relation for tie in actor.ties if tie.patient_id == patient_id}
    needed = Relation.SELF if capacity == "patient" else Relation.PROXY
    return Decision(actor.is_system or needed in held, gettext("Please sign in your own name."))


def can_care_for(actor: Actor) -> Decision:
    """Clinicians."""
    return Decision(actor.is_system or actor.has(Role.CLINICIAN), gettext("Only a clinician can do this."))


def can_coordinate(actor: Actor) -> Decision:
    """Everybody who works with patients' records here."""
    allowed = actor.is_system or actor.has(Role.CLINICIAN, Role.STAFF, Role.MANAGER)
    return Decision(allowed, gettext("Only the care team can do this."))


def can_record_facts(actor: Actor, patient_id: UUID) -> Decision:
    """The care team, the patient and whoever may act for them: each fact says who recorded it."""
    return Decision(
        bool(can_coordinate(actor)) or bool(can_write_as_patient(actor, patient_id)),
        gettext("You can't add to this record."),
    )


def can_register(actor: Actor) -> Decision:
    """Staff and managers take patients in."""
    allowed = actor.is_system or actor.has(Role.STAFF, Role.MANAGER)
    return Decision(allowed, gettext("Only staff can add patients."))
