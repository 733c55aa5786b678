"""Who may read and write letters, and who may not know that the team notes something beside them."""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, or_, select

from telepsych.core.actor import Actor, Compartment, Decision, Relation, Role
from telepsych.core.words import gettext
from telepsych.messaging.models import Conversation, InternalNote, Side
from telepsych.patients import policy as patients

TEAM = (Role.CLINICIAN, Role.STAFF, Role.MANAGER)


def conversations_of(actor: Actor, now: int) -> Select[Conversation]:
    """The conversations whose compartment is open to the actor."""
    return select(Conversation).where(_open_to(Conversation, actor, now))


def notes_of(actor: Actor, now: int) -> Select[InternalNote]:
    """The notes of the actor's own team; none about the actor, or about somebody they represent."""
    if not actor.has(*TEAM):
        return select(InternalNote).where(false())
    theirs = InternalNote.patient_id.not_in(_personal(actor))
    return select(InternalNote).where(_open_to(InternalNote, actor, now), theirs)


def can_start(actor: Actor, patient_id: UUID, compartment: Compartment) -> Decision:
    """The patient and whoever represents them in that compartment; the care team, about its patients."""
    allowed = is_personal(actor, patient_id, compartment) or actor.has(*TEAM)
    return Decision(allowed, gettext("Only the patient and the care team write here."))


def can_write(actor: Actor, conversation: Conversation) -> Decision:
    """Whoever may start one, until it is closed."""
    if conversation.closed_at is not None:
        return Decision(False, gettext("This conversation is closed. Please start a new one."))
    return can_start(actor, conversation.patient_id, conversation.compartment)


def can_note(actor: Actor, conversation: Conversation) -> Decision:
    """The care team, but nobody about themself or somebody they represent."""
    allowed = actor.has(*TEAM) and conversation.patient_id not in _personal(actor)
    return Decision(allowed, gettext("Only the care team writes notes."))


def can_close(actor: Actor, conversation: Conversation) -> Decision:
    """The care team."""
    return can_note(actor, conversation)


def is_personal(actor: Actor, patient_id: UUID, compartment: Compartment) -> bool:
    """Whether the actor is the patient, or represents them where this compartment is concerned."""
    return any(
        tie.patient_id == patient_id and tie.relation in (Relation.SELF, Relation.PROXY)
        and compartment in tie.compartments
        for tie in actor.ties
    )  # fmt: skip


def side_of(actor: Actor, patient_id: UUID) -> Side:
    """Where the actor stands when they write or read about a patient."""
    held = {tie.relation for tie in actor.ties if tie.patient_id == patient_id}
    if Relation.SELF in held:
        return Side.PATIENT
    return Side.PROXY if Relation.PROXY in held else Side.TEAM


def _personal(actor: Actor) -> frozenset[UUID]:
    return actor.relatives


def _open_to(model: type[Conversation] | type[InternalNote], actor: Actor, now: int) -> ColumnElement[bool]:
    return or_(
        *(
            and_(
                model.compartment == compartment,
                model.patient_id.in_(patients.patient_ids_of(actor, now, compartment)),
            )
            for compartment in Compartment
        )
    )
