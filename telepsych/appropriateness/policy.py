"""Who may ask the rules, who may see what they say, and who may decide. Patients never see a level."""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, or_, select

from telepsych.appropriateness.models import ChecklistDecision, EvaluationSnapshot, VisitSubject
from telepsych.core.actor import Actor, Compartment, Decision, Role
from telepsych.core.words import gettext
from telepsych.patients import policy as patient_policy
from telepsych.patients.models import Patient


def patient_to_evaluate(actor: Actor, now: int, patient_id: UUID) -> Select[Patient]:
    """Any act that opens the chart may have the rules asked: the patient's own form, a clinician, a job."""
    return patient_policy.patients_of(actor, now).where(Patient.id == patient_id)


def can_open(actor: Actor) -> Decision:
    """The practice opens a checklist when it books a visit."""
    return Decision(actor.is_system or actor.is_workforce, gettext("Only the practice can do this."))


def can_see(actor: Actor) -> Decision:
    """Clinicians see what the rules say; the practice's own jobs may read it."""
    return Decision(actor.is_system or actor.has(Role.CLINICIAN), gettext("Only a clinician can see this."))


def can_decide(actor: Actor) -> Decision:
    """A clinician, as themselves."""
    allowed = actor.id is not None and actor.has(Role.CLINICIAN)
    return Decision(allowed, gettext("Only a clinician can decide this."))


def subjects_of(actor: Actor, now: int) -> Select[VisitSubject]:
    """Visits about patients in the actor's care; never about oneself or a relative."""
    mine = patient_policy.patient_ids_of(actor, now)
    others = VisitSubject.patient_id.not_in(actor.relatives)
    return select(VisitSubject).where(VisitSubject.patient_id.in_(mine), others)


def snapshots_of(actor: Actor, now: int) -> Select[EvaluationSnapshot]:
    """Evaluations the actor may read, by the compartment each was made from."""
    return select(EvaluationSnapshot).where(_readable(actor, now, EvaluationSnapshot))


def decisions_of(actor: Actor, now: int) -> Select[ChecklistDecision]:
    """Decisions the actor may read."""
    return select(ChecklistDecision).where(_readable(actor, now, ChecklistDecision))


def _readable(actor: Actor, now: int, row: type[EvaluationSnapshot] | type[ChecklistDecision]) -> ColumnElement[bool]:
    if not can_see(actor):
        return false()
    return row.patient_id.not_in(actor.relatives) & or_(
        *(
            and_(
                row.compartment == compartment,
                row.patient_id.in_(patient_policy.patient_ids_of(actor, now, compartment)),
            )
            for compartment in Compartment
        )
    )
