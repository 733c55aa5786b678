"""Sending what waits in the outbox. A notice taken is leased; one whose sender died is taken again by the next."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import or_, select, update

from telepsych.accounts.emails import former_address
from telepsych.accounts.models import Person
from telepsych.audit import service as audit
from telepsych.core.actor import Decision, system
from telepsych.core.clock import MINUTE
from telepsych.core.work import Practice, Work
from telepsych.notifications.channels import Channel, Undeliverable, channel_for, letter_to
from telepsych.notifications.models import OutboxRow, OutboxState
from telepsych.notifications.service import FORMER_ADDRESS, texts

LEASE = 5 * MINUTE
MOST_ATTEMPTS = 12
AT_ONCE = 50
LONGEST_PAUSE = 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Taken:
    """A notice in the hands of this process."""

    id: UUID
    kind: str
    address: str
    attempts: int


def deliver(practice: Practice, channel: Channel | None = None) -> int:
    """Send what is due. Returns how many left. The address is read at the moment of sending."""
    sender = channel or channel_for(practice.settings)
    return sum(_send(practice, sender, one) for one in _take(practice))


def _take(practice: Practice) -> list[Taken]:
    with practice.begin(system("notifications")) as work:
        work.require(Decision(work.actor.is_system))
        due = (
            select(OutboxRow)
            .where(OutboxRow.state == OutboxState.WAITING, OutboxRow.due_at <= work.now)
            .where(or_(OutboxRow.lease_until.is_(None), OutboxRow.lease_until <= work.now))
            .order_by(OutboxRow.due_at)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        rows = work.session.scalars(due).all()
        for row in rows:
            row.lease_until, row.attempts = work.now + LEASE, row.attempts + 1
            if row.attempts > MOST_ATTEMPTS:  # it killed every sender so far
                row.state = OutboxState.FAILED
        if rows:
            audit.record(work, "notices.taken", "outbox:due", purpose="operations", detail={"count": len(rows)})
        return [
            Taken(row.id, row.kind, _address(work, row.person_id, row.kind), row.attempts)
            for row in rows
            if row.attempts <= MOST_ATTEMPTS
        ]


def _address(work: Work, person_id: UUID, kind: str) -> str:
    if kind == FORMER_ADDRESS:
        return former_address(work, person_id)
    person = work.session.get(Person, person_id)
    return person.email if person is not None and person.left_at is None else ""


def _send(practice: Practice, channel: Channel, one: Taken) -> bool:
    if not one.address:
        _settle(practice, one, OutboxState.FAILED)
        return False
    subject, text = texts(one.kind)
    letter = letter_to(practice.settings, one.address, subject, text, practice.clock.now(), str(one.id))
    try:
        channel.send(letter, str(one.id))
    except Undeliverable as problem:
        gone = problem.for_good or one.attempts >= MOST_ATTEMPTS
        _settle(practice, one, OutboxState.FAILED if gone else OutboxState.WAITING)
        return False
    _settle(practice, one, OutboxState.SENT)
    return True


def _settle(practice: Practice, one: Taken, state: OutboxState) -> None:
    with practice.begin(system("notifications")) as work:
        work.require(Decision(work.actor.is_system))
        pause = min(LONGEST_PAUSE, MINUTE * 2 ** (one.attempts - 1))
        values: dict[str, object] = {"state": state, "lease_until": None}
        values |= {"sent_at": work.now} if state is OutboxState.SENT else {"due_at": work.now + pause}
        mine = OutboxRow.id == one.id, OutboxRow.attempts == one.attempts, OutboxRow.state == OutboxState.WAITING
        work.changed(update(OutboxRow).where(*mine).values(**values))
        audit.record(work, f"notice.{state}", f"notice:{one.id}", purpose="operations")
