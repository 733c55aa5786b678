"""Who works on what waits: the patient's own team, in the compartments open to them. Never on what concerns themselves.

Raising an item is no privilege: it follows from an act that was allowed by itself, such as sending a message.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, or_, select

from telepsych.core.actor import Actor, Compartment, Decision, Role
from telepsych.core.words import gettext
from telepsych.patients import policy as patients
from telepsych.triage.models import ItemKind, WorkItem, WorkItemEvent

TEAM = (Role.CLINICIAN, Role.STAFF, Role.MANAGER)


def items_of(actor: Actor, now: int) -> Select[WorkItem]:
    """The items the actor may see: of their team's patients, but not of themself or of somebody they represent."""
    if actor.is_system:
        return select(WorkItem)
    if not actor.has(*TEAM):
        return select(WorkItem).where(false())
    return select(WorkItem).where(_open_to(actor, now), WorkItem.patient_id.not_in(_personal(actor)))


def events_of(actor: Actor, now: int) -> Select[WorkItemEvent]:
    """What happened to those items."""
    visible = items_of(actor, now).with_only_columns(WorkItem.id)
    return select(WorkItemEvent).where(WorkItemEvent.item_id.in_(visible))


def can_raise(actor: Actor) -> Decision:
    """Whoever did something that gives the team work; pages without a sign-in do not."""
    return Decision(actor.id is not None or actor.is_system, gettext("Please sign in first."))


def can_work_on(actor: Actor) -> Decision:
    """The care team; which items is decided by `items_of`."""
    return Decision(actor.is_system or actor.has(*TEAM), gettext("Only the care team works on these."))


def can_own(roles: frozenset[Role], item: WorkItem) -> Decision:
    """Whom an item may be given to: clinicians alone decide on in-person care and read what is set apart."""
    reserved = item.kind is ItemKind.IN_PERSON or item.compartment is Compartment.SENSITIVE
    wanted = {Role.CLINICIAN} if reserved else set(TEAM)
    return Decision(not roles.isdisjoint(wanted), gettext("This person can't take this on."))


def readers(compartment: Compartment) -> tuple[Role, ...]:
    """The roles of a patient's team that hear of an item in a compartment."""
    return patients.team_readers(compartment)


def _open_to(actor: Actor, now: int) -> ColumnElement[bool]:
    return or_(
        *(
            and_(WorkItem.compartment == one, WorkItem.patient_id.in_(patients.patient_ids_of(actor, now, one)))
            for one in Compartment
        )
    )


def _personal(actor: Actor) -> frozenset[UUID]:
    return actor.relatives
