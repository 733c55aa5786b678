"""That a side has read the other's letters: events with a number of their own, which only ever move forward."""

from uuid import UUID

from sqlalchemy import func, select

from telepsych.audit import service as audit
from telepsych.core.work import Work
from telepsych.messaging import policy
from telepsych.messaging.audience import announce, find
from telepsych.messaging.models import Conversation, Message, Receipt, Side


def mark_read(work: Work, conversation_id: UUID, seq: int) -> int:
    """Note that the actor's side has read up to a number. Returns how far it has read now; it never goes back."""
    conversation = find(work, conversation_id)
    side = policy.side_of(work.actor, conversation.patient_id)
    if not _is_news(work, conversation, side, seq):
        return read_up_to(work, conversation_id, side)
    query = select(Conversation).where(Conversation.id == conversation_id).with_for_update()
    conversation = work.session.scalars(query.execution_options(populate_existing=True)).one()
    if _is_news(work, conversation, side, seq):
        _keep(work, conversation, side, _newest_of_others(work, conversation_id, side, seq))
    return read_up_to(work, conversation_id, side)


def read_up_to(work: Work, conversation_id: UUID, side: Side) -> int:
    """The number up to which a side has read."""
    theirs = Receipt.conversation_id == conversation_id, Receipt.side == side
    return work.session.scalar(select(func.max(Receipt.up_to)).where(*theirs)) or 0


def _is_news(work: Work, conversation: Conversation, side: Side, seq: int) -> bool:
    newest = _newest_of_others(work, conversation.id, side, seq)
    return newest > read_up_to(work, conversation.id, side)


def _newest_of_others(work: Work, conversation_id: UUID, side: Side, seq: int) -> int:
    """The newest letter of another side up to a number; 0 when there is none."""
    others = Message.conversation_id == conversation_id, Message.side != side, Message.seq <= seq
    return work.session.scalar(select(func.max(Message.seq)).where(*others)) or 0


def _keep(work: Work, conversation: Conversation, side: Side, up_to: int) -> None:
    conversation.counter += 1
    row = Receipt(
        conversation_id=conversation.id, seq=conversation.counter, reader_id=work.actor.id,
        side=side, up_to=up_to, read_at=work.now,
    )  # fmt: skip
    work.add(row)
    work.session.flush()
    audit.record(work, "messages.marked-read", f"conversation:{conversation.id}", patient_id=conversation.patient_id)
    announce(work, conversation)
