"""Woken from below: somebody left the practice, and what they were working on goes back to the queue."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Select, or_, select

from telepsych.accounts.offboarding import Leftover
from telepsych.audit import service as audit
from telepsych.core.words import ngettext
from telepsych.core.work import Subscriber, Work
from telepsych.triage.models import Happening, ItemState, WorkItem
from telepsych.triage.service import audience, note_event


def on_leaving(work: Work, person_id: UUID, tell: Callable[[Leftover], None]) -> None:
    """How many items wait on them."""
    count = len(work.session.scalars(_theirs(person_id).with_only_columns(WorkItem.id)).all())
    if count:
        said = ngettext(
            "%(num)d item they work on goes back to the queue", "%(num)d items they work on go back to the queue", count
        )
        tell(Leftover(said % {"num": count}, href="/inbox"))


def on_left(work: Work, person_id: UUID) -> None:
    """Everything they had claimed or had to see to belongs to the team again; the clocks run on."""
    for item in work.session.scalars(_theirs(person_id).with_for_update()).all():
        item.owner_id = None if item.owner_id == person_id else item.owner_id
        if item.claimed_by == person_id:
            item.claimed_by = item.claimed_at = None
            item.state = ItemState.OPEN if item.state is ItemState.CLAIMED else item.state
        note_event(work, item, Happening.RELEASED)
        audit.record(work, f"item.{Happening.RELEASED}", f"item:{item.id}", patient_id=item.patient_id)
        work.announce(audience(work, item), "queue:news", item=item.id)


def _theirs(person_id: UUID) -> Select[WorkItem]:
    mine = or_(WorkItem.claimed_by == person_id, WorkItem.owner_id == person_id)
    return select(WorkItem).where(WorkItem.resolved_at.is_(None), mine)


SUBSCRIBERS: dict[str, Subscriber] = {"person.leaving": on_leaving, "person.left": on_left}
