"""The inbox as a list: what is open, in groups, by the time left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import and_, func, select

from telepsych.accounts import service as accounts
from telepsych.accounts.service import Named
from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.clock import HOUR
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.messaging import policy as messaging_policy
from telepsych.messaging.models import Conversation, Message, Side
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.triage import service as triage
from telepsych.triage.clocks import Group, group_of
from telepsych.triage.models import ItemKind, ItemState, WorkItem
from telepsych.triage.priority import Priority

MOST_PILLS = 3
EXCERPT = 120


class Show(StrEnum):
    """Which part of the queue."""

    ALL = "all"
    MINE = "mine"
    UNASSIGNED = "unassigned"


@dataclass(frozen=True, slots=True)
class Pill:
    """A word in a row; `tone` as the components know them."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One item. `due` is its next deadline, in microseconds."""

    id: UUID
    name: str
    age: int
    text: str
    due: int | None
    tone: str
    is_safety: bool
    is_unread: bool
    is_current: bool
    pills: tuple[Pill, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One group of the queue."""

    group: Group
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """A part of the queue one may choose, with how much is in it."""

    show: Show
    label: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """The whole list."""

    show: Show
    current: UUID | None
    filters: tuple[Filter, ...]
    sections: tuple[Section, ...]

    @property
    def is_empty(self) -> bool:
        return not self.sections


def queue(work: Work, show: Show, current: UUID | None = None) -> Queue:
    """What is open to the actor, filtered and in groups."""
    items = triage.open_items(work)
    parts = {one: [item for item in items if _belongs(work, item, one)] for one in Show}
    labels = {Show.MINE: gettext("Mine"), Show.UNASSIGNED: gettext("Unassigned"), Show.ALL: gettext("All")}
    filters = [Filter(one, labels[one], len(parts[one]), one is show) for one in labels]
    return Queue(show, current, tuple(filters), tuple(_sections(work, parts[show], current)))


def _belongs(work: Work, item: WorkItem, show: Show) -> bool:
    holders = {item.owner_id, item.claimed_by} - {None}
    return {Show.ALL: True, Show.MINE: work.actor.id in holders, Show.UNASSIGNED: not holders}[show]


def _sections(work: Work, items: Sequence[WorkItem], current: UUID | None) -> list[Section]:
    people = _people(work, items)
    excerpts = _excerpts(work, items)
    names = accounts.names_of(work, [item.claimed_by for item in items])
    by_group: dict[Group, list[Row]] = {group: [] for group in Group}
    for item in items:
        patient = people.get(item.patient_id)
        if patient is not None:
            excerpt = excerpts.get(item.about_id) if item.about_id else None
            by_group[_group(work, item)].append(_row(work, item, patient, excerpt, names, current))
    titles = _titles()
    return [Section(group, titles[group], tuple(rows)) for group, rows in by_group.items() if rows]


def _titles() -> dict[Group, str]:
    return {
        Group.SAFETY: gettext("Safety — look now"),
        Group.DUE_TODAY: gettext("Due today"),
        Group.LATER: gettext("Later"),
        Group.WAITING: gettext("Waiting"),
    }


def _group(work: Work, item: WorkItem) -> Group:
    by = item.next_deadline or item.reply_by or item.created_at
    return group_of(item.priority, by, item.state is ItemState.WAITING, work.now, work.practice.settings.tz)


def _row(
    work: Work,
    item: WorkItem,
    patient: Patient,
    excerpt: str | None,
    names: dict[UUID, Named],
    current: UUID | None,
) -> Row:
    zone = work.practice.settings.tz
    due = item.next_deadline
    return Row(
        id=item.id,
        name=patient.name,
        age=patients.age(patient, work.now, zone),
        text=excerpt or item.title,
        due=due,
        tone=_tone(item, due, work.now),
        is_safety=item.concerns_safety,
        is_unread=item.read_at is None,
        is_current=item.id == current,
        pills=tuple(_pills(item, excerpt, names))[:MOST_PILLS],
    )


def _tone(item: WorkItem, due: int | None, now: int) -> str:
    if due is None:
        return ""
    if item.concerns_safety or due <= now:
        return "danger"
    return "warn" if due - now < 2 * HOUR else ""


def _pills(item: WorkItem, excerpt: str | None, names: dict[UUID, Named]) -> Iterable[Pill]:
    if item.priority is Priority.EMERGENCY:
        yield Pill(gettext("Emergency"), "danger")
    elif item.priority is Priority.URGENT:
        yield Pill(gettext("Urgent"), "danger")
    if item.claimed_by in names:
        yield Pill(gettext("{name} is on it").format(name=names[item.claimed_by].first_name), "info")
    if item.compartment is Compartment.CONFIDENTIAL:
        yield Pill(gettext("In confidence"), "clay")
    if excerpt:
        yield Pill(item.title)
    elif item.kind is not ItemKind.MESSAGE:
        yield Pill(kind_label(item.kind))


def kind_label(kind: ItemKind) -> str:
    """What gave rise to an item, in words."""
    return {
        ItemKind.MESSAGE: gettext("Message"),
        ItemKind.SAFETY_ANSWER: gettext("Safety answer"),
        ItemKind.IN_PERSON: gettext("In person"),
        ItemKind.MEDICATION: gettext("Medicine"),
        ItemKind.CALL_BACK: gettext("Call back"),
        ItemKind.RELATION: gettext("Who acts for them"),
    }[kind]


def _people(work: Work, items: Sequence[WorkItem]) -> dict[UUID, Patient]:
    wanted = {item.patient_id for item in items}
    open_ones = patients_policy.patients_of(work.actor, work.now).where(Patient.id.in_(wanted))
    return {row.id: row for row in work.all(open_ones)}


def _excerpts(work: Work, items: Sequence[WorkItem]) -> dict[UUID, str]:
    """The first line of the newest letter of the patient's side, by conversation."""
    ids = [item.about_id for item in items if item.about_kind == "conversation"]
    mine = messaging_policy.conversations_of(work.actor, work.now).where(Conversation.id.in_(ids))
    newest = (
        select(Message.conversation_id, func.max(Message.seq).label("seq"))
        .where(Message.conversation_id.in_(mine.with_only_columns(Conversation.id)), Message.side != Side.TEAM)
        .group_by(Message.conversation_id)
        .subquery()
    )
    here = and_(Message.conversation_id == newest.c.conversation_id, Message.seq == newest.c.seq)
    rows = list(work.session.scalars(select(Message).join(newest, here)))
    for patient_id in sorted({row.patient_id for row in rows}):
        audit.look(work, "messages.read", patient_id)
    return {row.conversation_id: _first_line(row.body) for row in rows}


def _first_line(body: str) -> str:
    line = next((" ".join(line.split()) for line in body.splitlines() if line.strip()), "")
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1].rstrip()}…"
