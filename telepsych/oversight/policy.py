"""Who oversees: compliance officers see who looked, never what was looked at. Nobody reviews their own access, nor what
concerns somebody they know in private life.

What an officer may not review for that reason is put before the managers; of everything else managers see counts only.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true

from telepsych.accounts.models import Person, RoleGrant
from telepsych.core.actor import Actor, Compartment, Decision, Relation, Role
from telepsych.core.words import gettext
from telepsych.oversight.models import GlassReview, RightsRequest, WeekLine
from telepsych.patients import policy as patients
from telepsych.patients.models import Patient, Proxy


def can_oversee(actor: Actor) -> Decision:
    """Compliance officers."""
    allowed = actor.is_system or actor.has(Role.COMPLIANCE)
    return Decision(allowed, gettext("Only the compliance officer can do this."))


def can_see_counts(actor: Actor) -> Decision:
    """Compliance officers and managers."""
    allowed = bool(can_oversee(actor)) or actor.has(Role.MANAGER)
    return Decision(allowed, gettext("Only the compliance officer and managers see this."))


def officers(now: int) -> Select[UUID]:
    """The compliance officers at a moment."""
    return holders(now, Role.COMPLIANCE)


def holders(now: int, *roles: Role) -> Select[UUID]:
    """Those who hold one of these roles at a moment and have not left."""
    return (
        select(RoleGrant.person_id)
        .join(Person, Person.id == RoleGrant.person_id)
        .where(
            RoleGrant.role.in_(roles),
            RoleGrant.valid_from <= now,
            or_(RoleGrant.valid_until.is_(None), RoleGrant.valid_until > now),
            Person.left_at.is_(None),
        )
    )


def private_to_officers(now: int) -> Select[UUID]:
    """Patients whom a compliance officer knows in private life, themself included."""
    people = officers(now)
    acted = select(Proxy.patient_id).where(Proxy.person_id.in_(people))
    return select(Patient.id).where(or_(Patient.person_id.in_(people), Patient.id.in_(acted)))


def _about(model: type[GlassReview] | type[WeekLine], actor: Actor, now: int) -> ColumnElement[bool]:
    if actor.is_system:
        return true()
    theirs = or_(model.patient_id.is_(None), model.patient_id.not_in(actor.relatives))
    if can_oversee(actor):
        return theirs
    passed_on = or_(model.person_id.in_(officers(now)), model.patient_id.in_(private_to_officers(now)))
    return and_(theirs, passed_on) if can_see_counts(actor) else false()


def destroyed() -> Select[UUID]:
    """Patients whose record was destroyed: nothing that was sealed with its keys opens any more."""
    return select(Patient.id).where(Patient.destroyed_at.is_not(None))


def reviews_of(actor: Actor, now: int) -> Select[GlassReview]:
    """The reviews of emergency access that the actor may read."""
    return select(GlassReview).where(_about(GlassReview, actor, now), GlassReview.patient_id.not_in(destroyed()))


def lines_of(actor: Actor, now: int) -> Select[WeekLine]:
    """The lines of weekly reviews that the actor may read."""
    return select(WeekLine).where(_about(WeekLine, actor, now))


def can_sign_off(actor: Actor, row: GlassReview | WeekLine, passed_on: bool) -> Decision:
    """Compliance officers, of a colleague's access; a manager where an officer may not (`passed_on`)."""
    if row.person_id == actor.id:
        return Decision(False, gettext("Nobody signs off their own access. Somebody else has to look at this."))
    if row.patient_id in actor.relatives:
        return Decision(False, gettext("You know this person in private life. Somebody else has to look at this."))
    allowed = actor.has(Role.COMPLIANCE) or (actor.has(Role.MANAGER) and passed_on)
    return Decision(allowed, gettext("Only the compliance officer can sign this off."))


def can_see_looks(actor: Actor, patient_id: UUID) -> Decision:
    """The patient, and whoever acts for them in everyday matters."""
    allowed = Compartment.GENERAL in patients.open_compartments(actor, patient_id)
    return Decision(allowed, gettext("Only the patient, or somebody who may act for them, can see this."))


def requests_before(actor: Actor, now: int) -> Select[RightsRequest]:
    """Requests to work on: all for compliance officers; for managers those about whom an officer knows in private."""
    theirs = and_(RightsRequest.patient_id.not_in(destroyed()), RightsRequest.patient_id.not_in(actor.relatives))
    if can_oversee(actor):
        return select(RightsRequest).where(theirs)
    passed_on = RightsRequest.patient_id.in_(private_to_officers(now))
    return select(RightsRequest).where(and_(theirs, passed_on) if can_see_counts(actor) else false())


def requests_of(actor: Actor, now: int) -> Select[RightsRequest]:
    """Requests about records: all for compliance officers, else those kept where the actor may read."""
    if can_oversee(actor):
        return requests_before(actor, now)
    mine = [
        and_(
            RightsRequest.compartment == compartment,
            RightsRequest.patient_id.in_(patients.patient_ids_of(actor, now, compartment)),
        )
        for compartment in (Compartment.GENERAL, Compartment.CONFIDENTIAL)
    ]
    return select(RightsRequest).where(or_(*mine))


def can_ask(actor: Actor, patient_id: UUID) -> Decision:
    """The patient, and whoever acts for them."""
    return patients.can_write_as_patient(actor, patient_id)


def can_record_request(actor: Actor, patient_id: UUID) -> Decision:
    """The patient's care team, for what was asked in person, by telephone or by letter."""
    return patients.can_coordinate(actor, patient_id)


def can_withdraw(actor: Actor, request: RightsRequest) -> Decision:
    """Whoever asked."""
    return Decision(request.asked_by == actor.id, gettext("Only the person who asked can take this back."))


def asked_in(actor: Actor, patient_id: UUID) -> Compartment:
    """Where a request is kept: what the patient asks themself stays between them and the practice."""
    own = any(tie.patient_id == patient_id and tie.relation is Relation.SELF for tie in actor.ties)
    return Compartment.CONFIDENTIAL if own else Compartment.GENERAL


def names_of_patients(patient_ids: Collection[UUID]) -> Select[Patient]:
    """Patients whose name an overseer reads beside who looked."""
    return select(Patient).where(Patient.id.in_(patient_ids), Patient.destroyed_at.is_(None))
