"""Work items: raised by what patients write and answer, claimed by one person at a time, and never simply gone.

What is open about a thing is raised, never lowered, and a running clock only gets tighter. Acknowledging stops one
clock, reading another; the reply clock stops for a reply the patient can see or a recorded call, and for nothing else.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError

from telepsych.accounts import service as accounts
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.triage import dispositions, policy
from telepsych.triage.clocks import Deadlines, deadlines
from telepsych.triage.content import crisis
from telepsych.triage.models import Happening, ItemKind, ItemState, WorkItem, WorkItemEvent
from telepsych.triage.priority import Priority, highest
from telepsych.triage.screen import Screening, screen

About = tuple[str, UUID]
"""What an item is about: the kind of row and its id."""


# Screening


def screen_text(work: Work, patient_id: UUID, text: str, language: str | None = None) -> Screening:
    """Screen what somebody wrote about a patient, with the medicines on the patient's list.

    The list is read as the rules read it, in all compartments and whoever writes: a guardian may report a rash, and
    whether lamotrigine is on the list must not depend on what the guardian may open. Only findings leave this function.
    """
    known = patients.facts_of(work, patient_id, for_rules=True).get("medicine.active")
    active = known.value if known and isinstance(known.value, list) else []
    names = [one[key] for one in active for key in ("id", "name") if one.get(key)]
    if language is None:
        patient = work.session.get(Patient, patient_id)
        language = patient.language if patient else None
    return screen(text, names, language or None)


def help_card(kind: str, *, minor: bool, practice_phone: str) -> dict[str, Any] | None:
    """What a writer is shown at once, as JSON. None when no help is due."""
    content = crisis()
    card = content.cards.get(kind)  # type: ignore[call-overload]
    if card is None:
        return None
    lines = content.lines_of(card, minor=minor, practice_phone=practice_phone)
    return {
        "kind": kind,
        "heading": card.heading,
        "words": list(card.words),
        "lines": [{"label": one.label, "href": one.href, "hours": one.hours, "note": one.note} for one in lines],
    }


# Raising


def raise_item(
    work: Work,
    patient_id: UUID,
    kind: ItemKind,
    priority: Priority,
    *,
    title: str,
    why: Sequence[str] = (),
    about: About | None = None,
    owner_id: UUID | None = None,
    due_at: int | None = None,
    compartment: Compartment = Compartment.GENERAL,
) -> WorkItem:
    """Give the team something to do, or more to do about what is open already. Returns the item."""
    work.require(policy.can_raise(work.actor))
    item = _open_about(work, about, compartment) if about else None
    if item is None:
        made = WorkItem(
            patient_id=patient_id, compartment=compartment, kind=kind, priority=priority, state=ItemState.OPEN,
            created_at=work.now, owner_id=owner_id, due_at=due_at, title=title, why=list(why),
            about_kind=about[0] if about else None, about_id=about[1] if about else None,
        )  # fmt: skip
        _start_clocks(work, made)
        item = _keep(work, made, about)
        if item is made:
            _tell(work, made, Happening.RAISED, "\n".join(why))
            return made
    _raise_again(work, item, priority, title, why)
    item.owner_id = item.owner_id or owner_id
    item.due_at = _earlier(item.due_at, due_at)
    _tell(work, item, Happening.RAISED_AGAIN, "\n".join(why))
    return item


def _keep(work: Work, made: WorkItem, about: About | None) -> WorkItem:
    """Insert it, or answer the one that another unit opened about the same thing a moment before."""
    try:
        with work.session.begin_nested():
            work.add(made)
            work.session.flush()
    except IntegrityError:
        faster = _open_about(work, about, made.compartment) if about else None
        if faster is None:
            raise
        return faster
    return made


def _raise_again(work: Work, item: WorkItem, priority: Priority, title: str, why: Sequence[str]) -> None:
    if priority > item.priority:
        item.title = title
    item.priority = highest([item.priority, priority])
    item.why = list(dict.fromkeys([*item.why, *why]))
    fresh = _deadlines(work, item)
    if fresh.acknowledge_by and priority == Priority.EMERGENCY:
        item.acknowledge_by = _tightened(item.acknowledge_by, item.acknowledged_at, fresh.acknowledge_by)
        item.acknowledged_at = None
    item.read_by = _tightened(item.read_by, item.read_at, fresh.read_by)
    item.reply_by = _tightened(item.reply_by, item.replied_at, _reply_by(item, fresh))
    item.read_at = item.replied_at = None
    if item.state is ItemState.WAITING:
        item.state = _unanswered(item)


def _start_clocks(work: Work, item: WorkItem) -> None:
    fresh = _deadlines(work, item)
    item.acknowledge_by, item.read_by = fresh.acknowledge_by, fresh.read_by
    item.reply_by = _reply_by(item, fresh)


def _deadlines(work: Work, item: WorkItem) -> Deadlines:
    return deadlines(item.priority, work.now, accounts.business_hours(work))


def _reply_by(item: WorkItem, fresh: Deadlines) -> int | None:
    """In-person care is not answered but arranged, by its own due date."""
    return None if item.kind is ItemKind.IN_PERSON else fresh.reply_by


def _tightened(running: int | None, stopped_at: int | None, fresh: int | None) -> int | None:
    """A clock that runs keeps the earlier end; one that was stopped starts anew."""
    return fresh if stopped_at is not None else _earlier(running, fresh)


def _earlier(one: int | None, other: int | None) -> int | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _unanswered(item: WorkItem) -> ItemState:
    return ItemState.CLAIMED if item.claimed_by else ItemState.OPEN


# What happens in the talk


def note_patient_wrote(work: Work, about: About) -> None:
    """The patient's side has written: what was waiting for them is open again, its reply clock starts anew."""
    work.require(policy.can_raise(work.actor))
    for item in _open_about_all(work, about):
        if item.replied_at is not None:
            item.reply_by, item.replied_at = _reply_by(item, _deadlines(work, item)), None
        if item.state is ItemState.WAITING:
            item.state = _unanswered(item)
        _tell(work, item, Happening.PATIENT_WROTE)


def note_reply(work: Work, about: About) -> None:
    """The team has written something the patient can see: every clock of what is open about it stops."""
    work.require(policy.can_work_on(work.actor))
    for item in _open_about_all(work, about):
        _answer(work, item)
        _tell(work, item, Happening.REPLIED)


def record_call(work: Work, item_id: UUID, note: str) -> WorkItem:
    """Somebody of the team has spoken with the patient. Raises `Invalid` without a word about the call."""
    item = _mine_to_change(work, item_id)
    if not note.strip():
        raise Invalid(fields={"note": gettext("Please say in a few words how the call went.")})
    _answer(work, item)
    _tell(work, item, Happening.CALLED, note.strip())
    return item


def _answer(work: Work, item: WorkItem) -> None:
    item.acknowledged_at = item.acknowledged_at or work.now
    item.read_at = item.read_at or work.now
    item.replied_at = work.now
    if item.kind is not ItemKind.IN_PERSON:
        item.state = ItemState.WAITING


# Working on an item


def open_item(work: Work, item_id: UUID) -> WorkItem:
    """One item, with a look in the audit. Raises `NotFound`."""
    item = _find(work, item_id)
    audit.look(work, "item.read", item.patient_id, about=f"item:{item.id}")
    return item


def note_read(work: Work, item_id: UUID) -> WorkItem:
    """A person has opened the item: its read clock stops."""
    item = _find(work, item_id, lock=True)
    work.require(policy.can_work_on(work.actor))
    if item.is_open and item.read_at is None:
        item.read_at = work.now
        _tell(work, item, Happening.READ)
    return item


def acknowledge(work: Work, item_id: UUID) -> WorkItem:
    """Say that it has been seen and is being dealt with; again is as good as once."""
    item = _find(work, item_id, lock=True)
    work.require(policy.can_work_on(work.actor))
    if item.is_open and item.acknowledged_at is None:
        item.acknowledged_at = work.now
        item.read_at = item.read_at or work.now
        _tell(work, item, Happening.ACKNOWLEDGED)
    return item


def claim(work: Work, item_id: UUID, *, take_over_from: UUID | None = None) -> WorkItem:
    """Say that one is working on it. Raises `Conflict` naming whoever was faster.

    `take_over_from`: the person one saw working on it, and takes it from.
    """
    item = _find(work, item_id)
    work.require(policy.can_work_on(work.actor))
    if item.claimed_by == work.actor.id and item.is_open:
        return item
    free = update(WorkItem).where(
        WorkItem.id == item_id, WorkItem.resolved_at.is_(None), WorkItem.claimed_by.is_not_distinct_from(take_over_from)
    )
    waiting = item.state is ItemState.WAITING
    state = ItemState.WAITING if waiting else ItemState.CLAIMED
    taken = work.changed(free.values(claimed_by=work.actor.id, claimed_at=work.now, state=state))
    work.session.refresh(item)
    if not taken:
        raise _taken(work, item)
    item.acknowledged_at = item.acknowledged_at or work.now
    item.read_at = item.read_at or work.now
    _tell(work, item, Happening.TAKEN_OVER if take_over_from else Happening.CLAIMED)
    return item


def release(work: Work, item_id: UUID) -> WorkItem:
    """Let go of what one is working on, for somebody else to take."""
    item = _find(work, item_id)
    work.require(policy.can_work_on(work.actor))
    own = update(WorkItem).where(WorkItem.id == item_id, WorkItem.claimed_by == work.actor.id)
    state = ItemState.OPEN if item.state is ItemState.CLAIMED else item.state
    let_go = work.changed(own.values(claimed_by=None, claimed_at=None, state=state))
    work.session.refresh(item)
    if not let_go:
        raise _taken(work, item)
    _tell(work, item, Happening.RELEASED)
    return item


def assign(work: Work, item_id: UUID, person_id: UUID) -> WorkItem:
    """Make somebody of the patient's team the one who has to see to it. They are told."""
    item = _find(work, item_id, lock=True)
    work.require(policy.can_work_on(work.actor))
    team = patients.care_team(work, item.patient_id, *policy.TEAM)
    if person_id not in team:
        raise Invalid(fields={"person": gettext("Please choose somebody of the care team.")})
    may = policy.can_own(accounts.roles_of(work, person_id), item)
    if not may:
        raise Invalid(fields={"person": may.reason})
    _refuse_closed(item)
    item.owner_id = person_id
    named = accounts.names_of(work, [person_id])[person_id]
    _tell(work, item, Happening.ASSIGNED, named.name)
    return item


def resolve(work: Work, item_id: UUID, disposition: str, note: str = "") -> WorkItem:
    """Close an item and say how it ended. Raises `Invalid` when that is not enough, `Conflict` when another has it."""
    item = _mine_to_change(work, item_id)
    faults = dispositions.faults(item, disposition, note)
    if faults:
        raise Invalid(fields=faults)
    item.state, item.resolved_at = ItemState.RESOLVED, work.now
    item.disposition, item.note = disposition, note.strip()
    item.acknowledged_at = item.acknowledged_at or work.now
    item.read_at = item.read_at or work.now
    _tell(work, item, Happening.RESOLVED, "\n".join(filter(None, [disposition, note.strip()])))
    return item


def _mine_to_change(work: Work, item_id: UUID) -> WorkItem:
    """An open item that nobody else is working on; whoever has to see to it may always."""
    item = _find(work, item_id, lock=True)
    work.require(policy.can_work_on(work.actor))
    _refuse_closed(item)
    others = item.claimed_by not in (None, work.actor.id)
    if others and item.owner_id != work.actor.id and not work.actor.is_system:
        raise _taken(work, item)
    return item


def _refuse_closed(item: WorkItem) -> None:
    if not item.is_open:
        raise Conflict(gettext("This was resolved in the meantime."))


def _taken(work: Work, item: WorkItem) -> Conflict:
    if not item.is_open:
        return Conflict(gettext("This was resolved in the meantime."))
    named = accounts.names_of(work, [item.claimed_by])
    if item.claimed_by is None or item.claimed_by not in named:
        return Conflict(gettext("Nobody is working on this any more. Please look again."))
    return Conflict(gettext("{name} is working on this.").format(name=named[item.claimed_by].name))


# Looking


def open_items(work: Work) -> list[WorkItem]:
    """Everything open that the actor may see, by the time left."""
    items = work.all(policy.items_of(work.actor, work.now).where(WorkItem.resolved_at.is_(None)))
    for patient_id in sorted({item.patient_id for item in items}):
        audit.look(work, "queue.listed", patient_id)
    return sorted(items, key=_by_time_left)


def items_about(work: Work, about: About) -> list[WorkItem]:
    """Every item about a thing that the actor may see, the newest first."""
    mine = _about(policy.items_of(work.actor, work.now), about)
    items = work.all(mine.order_by(WorkItem.created_at.desc(), WorkItem.id.desc()))
    for patient_id in {item.patient_id for item in items}:
        audit.look(work, "item.read", patient_id)
    return items


def history(work: Work, item_id: UUID) -> list[WorkItemEvent]:
    """Everything that happened to an item, oldest first."""
    item = open_item(work, item_id)
    mine = policy.events_of(work.actor, work.now).where(WorkItemEvent.item_id == item.id)
    return work.all(mine.order_by(WorkItemEvent.at, WorkItemEvent.id))


def _by_time_left(item: WorkItem) -> tuple[int, int, UUID]:
    return -item.priority.rank, item.next_deadline or item.created_at, item.id


def _find(work: Work, item_id: UUID, *, lock: bool = False) -> WorkItem:
    query = policy.items_of(work.actor, work.now).where(WorkItem.id == item_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return work.one(query)


def _open_about(work: Work, about: About, compartment: Compartment) -> WorkItem | None:
    return next((item for item in _open_about_all(work, about) if item.compartment is compartment), None)


def _open_about_all(work: Work, about: About) -> list[WorkItem]:
    """What is open about a thing, under its lock, whoever acts: a patient who writes may not see the team's items, and
    changes them all the same. Nothing read here goes back to the caller."""
    work.session.flush()
    query = _about(select(WorkItem), about).where(WorkItem.resolved_at.is_(None)).with_for_update()
    return list(work.session.scalars(query.execution_options(populate_existing=True)))


def _about(query: Select[Any], about: About) -> Select[Any]:
    return query.where(WorkItem.about_kind == about[0], WorkItem.about_id == about[1])


def audience(work: Work, item: WorkItem) -> Iterable[UUID]:
    """Who hears of an item: those of the care team who may see it."""
    return patients.care_team(work, item.patient_id, *policy.readers(item.compartment))


def _tell(work: Work, item: WorkItem, what: Happening, detail: str = "") -> None:
    """Keep what happened, leave the audit entry, and let the team's pages know."""
    note_event(work, item, what, detail)
    audit.record(work, f"item.{what}", f"item:{item.id}", patient_id=item.patient_id)
    work.announce(audience(work, item), "queue:news", item=item.id)


def note_event(
    work: Work, item: WorkItem, what: Happening, detail: str = "", deadline: int | None = None
) -> WorkItemEvent:
    """Add a row to an item's history."""
    work.session.flush()
    event = WorkItemEvent(
        item_id=item.id, patient_id=item.patient_id, compartment=item.compartment, what=what, at=work.now,
        by_id=work.actor.id, deadline=deadline, detail=detail,
    )  # fmt: skip
    return work.add(event)
