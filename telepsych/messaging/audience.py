"""Finding a conversation, and everybody who may read it."""

from uuid import UUID

from telepsych.core.work import Work
from telepsych.messaging import policy
from telepsych.messaging.models import Conversation, Side
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients


def find(work: Work, conversation_id: UUID) -> Conversation:
    """A conversation that is open to the actor. Raises `NotFound`."""
    return work.one(policy.conversations_of(work.actor, work.now).where(Conversation.id == conversation_id))


def readers_of(work: Work, conversation: Conversation) -> frozenset[UUID]:
    """Everybody who may read a conversation."""
    return personal_readers(work, conversation) | team_readers(work, conversation)


def announce(work: Work, conversation: Conversation) -> None:
    """Tell everybody who may read it how far the conversation has come."""
    readers = readers_of(work, conversation)
    work.announce(readers, "conversation:news", conversation=conversation.id, seq=conversation.counter)


def other_side(work: Work, conversation: Conversation, side: Side) -> frozenset[UUID]:
    """Who is told that one of this side has written."""
    readers = personal_readers if side is Side.TEAM else team_readers
    return frozenset(readers(work, conversation) - {work.actor.id})


def personal_readers(work: Work, conversation: Conversation) -> frozenset[UUID]:
    """The patient, and whoever represents them in this compartment."""
    return patients.people_of(work, conversation.patient_id, conversation.compartment)


def team_readers(work: Work, conversation: Conversation) -> frozenset[UUID]:
    """Those of the care team who may open the conversation's compartment: what is set apart is the clinicians'."""
    return patients.care_team(work, conversation.patient_id, *patients_policy.team_readers(conversation.compartment))
