"""The clocks of work items: whoever let a deadline pass is told, and so are the team's clinicians. Once for each."""

from uuid import UUID

from sqlalchemy import or_, select

from telepsych.audit import service as audit
from telepsych.core.actor import Role, system
from telepsych.core.work import Practice, Work
from telepsych.notifications import service as notifications
from telepsych.patients import service as patients
from telepsych.triage import policy, service
from telepsych.triage.models import Happening, WorkItem, WorkItemEvent


def escalate(practice: Practice) -> int:
    """Tell people of every deadline that has passed since the last look. Returns how many."""
    return sum(_escalate_item(practice, item_id) for item_id in _late(practice))


def _late(practice: Practice) -> list[UUID]:
    with practice.begin(system("clocks"), writes=False) as work:
        clocks = (WorkItem.acknowledge_by, WorkItem.read_by, WorkItem.reply_by, WorkItem.due_at)
        passed = policy.items_of(work.actor, work.now).where(
            WorkItem.resolved_at.is_(None), or_(*(clock <= work.now for clock in clocks))
        )
        work.require(policy.can_work_on(work.actor))
        items = list(work.session.scalars(passed))
        told = _told(work, [item.id for item in items])
        return [item.id for item in items if _missed(item, work.now, told)]


def _escalate_item(practice: Practice, item_id: UUID) -> int:
    """One item in a unit of its own, so that one that fails holds up no other."""
    with practice.begin(system("clocks")) as work:
        item = work.one(policy.items_of(work.actor, work.now).where(WorkItem.id == item_id).with_for_update())
        missed = _missed(item, work.now, _told(work, [item.id]))
        for what, deadline in missed:
            service.note_event(work, item, what, deadline=deadline)
            audit.record(work, f"item.{what}", f"item:{item.id}", patient_id=item.patient_id)
        if missed:
            _tell(work, item)
        return len(missed)


def _tell(work: Work, item: WorkItem) -> None:
    work.announce(service.audience(work, item), "queue:news", item=item.id)
    holders = {person for person in (item.owner_id, item.claimed_by) if person is not None}
    notifications.notify(work, holders | patients.care_team(work, item.patient_id, Role.CLINICIAN), "work-item")


def _told(work: Work, item_ids: list[UUID]) -> set[tuple[UUID, str, int]]:
    rows = work.session.execute(
        select(WorkItemEvent.item_id, WorkItemEvent.what, WorkItemEvent.deadline).where(
            WorkItemEvent.item_id.in_(item_ids), WorkItemEvent.deadline.is_not(None)
        )
    )
    return {(row.item_id, row.what, row.deadline) for row in rows}


def _missed(item: WorkItem, now: int, told: set[tuple[UUID, str, int]]) -> list[tuple[Happening, int]]:
    return [(what, by) for what, by in item.running() if by <= now and (item.id, what, by) not in told]
