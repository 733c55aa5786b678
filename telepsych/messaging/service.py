"""Starting a conversation, sending into it exactly once, reading it without gaps, and noting beside it.

Sending is one unit: the conversation's counter is taken under its row's lock, so numbers become visible in order and
none is missing; a message that a browser sends again is answered as it was the first time. Raises `NotFound` for
conversations that are not the actor's, `Conflict` for a known id with other content, `Invalid` for an empty or
overlong text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.messaging import policy
from telepsych.messaging.audience import announce, find, other_side, readers_of, team_readers
from telepsych.messaging.models import Conversation, InternalNote, Message, Side
from telepsych.messaging.receipts import mark_read
from telepsych.messaging.threads import (
    Letter,
    Line,
    Sync,
    Thread,
    conversations,
    sync,
    thread,
)
from telepsych.notifications import service as notifications
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.triage import service as triage
from telepsych.triage.content import Reason, reasons
from telepsych.triage.models import ItemKind
from telepsych.triage.priority import highest
from telepsych.triage.screen import Screening, shipped

__all__ = [
    "Letter", "Line", "Note", "Sent", "Sync", "Thread", "add_note", "close_conversation", "conversations",
    "help_of", "mark_read", "notes", "open_conversation", "prepare", "readers_of", "reason_named", "send", "start",
    "sync", "thread",
]  # fmt: skip

LONGEST = 20_000
"""Characters of one letter."""
LARGEST_DETAILS = 4_000
"""Characters of a conversation's details as JSON."""
ADULT = 18


@dataclass(frozen=True, slots=True)
class Sent:
    """A message is kept. `read_by` is when it will be read, `help` the crisis card to show at once."""

    id: UUID
    seq: int
    sent_at: int
    read_by: int | None
    help: dict[str, Any] | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Note:
    """One internal note."""

    id: UUID
    author_id: UUID
    written_at: int
    body: str


# Conversations


def open_conversation(
    work: Work,
    conversation_id: UUID,
    patient_id: UUID,
    reason: str,
    details: Mapping[str, Any] | None = None,
    *,
    compartment: Compartment = Compartment.GENERAL,
) -> Conversation:
    """Start a conversation under an id of the caller's making. Doing it again is as good as once; with another
    reason, patient or details it is a `Conflict`."""
    said = _checked_details(reason, details or {})
    patient = _patient(work, patient_id, compartment)
    work.require(policy.can_start(work.actor, patient.id, compartment))
    known = work.session.get(Conversation, conversation_id)
    if known is None:
        known = _start(work, conversation_id, patient.id, reason, said, compartment)
    if _is_other(known, work.actor.id, (patient.id, compartment, reason, said)):
        raise Conflict(gettext("This was already started in another way. Please start a new message."))
    return known


def _start(
    work: Work, conversation_id: UUID, patient_id: UUID, reason: str, details: dict[str, Any], compartment: Compartment
) -> Conversation:
    row = Conversation(
        id=conversation_id, patient_id=patient_id, compartment=compartment, counter=0,
        created_by=work.actor.id, created_at=work.now, reason=reason, details=details,
    )  # fmt: skip
    try:
        with work.session.begin_nested():
            work.add(row)
            work.session.flush()
    except IntegrityError:  # the same request on another worker was faster
        return work.session.get_one(Conversation, conversation_id)
    audit.record(work, "conversation.opened", f"conversation:{row.id}", patient_id=patient_id)
    return row


def _is_other(
    known: Conversation, person_id: UUID | None, asked: tuple[UUID, Compartment, str, dict[str, Any]]
) -> bool:
    if known.created_by != person_id or (known.patient_id, known.compartment) != asked[:2]:
        return True
    return (known.reason, known.details) != asked[2:]


def close_conversation(work: Work, conversation_id: UUID) -> None:
    """Close a conversation: it stays readable, and nobody writes into it any more."""
    conversation = find(work, conversation_id)
    work.require(policy.can_close(work.actor, conversation))
    if conversation.closed_at is None:
        conversation.closed_at = work.now
        about = f"conversation:{conversation.id}"
        audit.record(work, "conversation.closed", about, patient_id=conversation.patient_id)


def reason_named(reason_id: str) -> Reason | None:
    """A reason to write, by its id."""
    return next((one for one in reasons().reasons if one.id == reason_id), None)


# Sending


def prepare() -> None:
    """Read the safety screen from its files, which takes half a second. Left to the first letter, it would happen in a
    unit that keeps all other writers waiting, in every worker anew."""
    shipped()


def start(
    work: Work, conversation_id: UUID, client_id: UUID, patient_id: UUID, reason: str, body: str,
    compartment: Compartment = Compartment.GENERAL,
) -> Sent:  # fmt: skip
    """Start a conversation with its first letter, in one unit."""
    open_conversation(work, conversation_id, patient_id, reason, compartment=compartment)
    return send(work, conversation_id, client_id, body)


def send(work: Work, conversation_id: UUID, client_id: UUID, body: str) -> Sent:
    """Send a letter under the sender's own id for it."""
    text = _checked_body(body)
    conversation = find(work, conversation_id)
    fingerprint = work.practice.vault.mac("message-content", conversation_id.bytes + text.encode())
    if (earlier := _earlier(work, conversation_id, client_id)) is not None:
        return _again(work, earlier, fingerprint)
    conversation = _locked(work, conversation_id)
    if (earlier := _earlier(work, conversation_id, client_id)) is not None:
        return _again(work, earlier, fingerprint)
    work.require(policy.can_write(work.actor, conversation))
    message = _keep(work, conversation, client_id, text, fingerprint)
    _tell_triage(work, conversation, message)
    notifications.notify(work, other_side(work, conversation, message.side), "new-message")
    about = f"message:{message.id}"
    audit.record(work, "message.sent", about, patient_id=conversation.patient_id)
    announce(work, conversation)
    return _answer(work, message, is_new=True)


def _checked_body(body: object) -> str:
    """The text as it is kept: line ends as one character, so that a form and a script send the same."""
    if not isinstance(body, str) or not body.strip():
        raise Invalid(fields={"body": gettext("Please write something first.")})
    text = body.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(text) > LONGEST:
        sentence = gettext("This is longer than 20,000 characters. Please send it as two messages.")
        raise Invalid(fields={"body": sentence})
    return _sayable(text)


def _sayable(text: str) -> str:
    """The text, unless it holds half characters that cannot be written down."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid(fields={"body": gettext("Some characters could not be read. Please type them again.")}) from None
    return text


def _checked_details(reason: object, details: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(reason, str) or reason_named(reason) is None:
        raise Invalid(fields={"reason": gettext("Please choose what it is about.")})
    try:
        written = json.dumps(dict(details), ensure_ascii=False)
        written.encode()
    except (TypeError, ValueError):
        raise Invalid(fields={"details": gettext("This could not be read.")}) from None
    if len(written) > LARGEST_DETAILS:
        raise Invalid(fields={"details": gettext("This is too long.")})
    return dict(details)


def _locked(work: Work, conversation_id: UUID) -> Conversation:
    """The conversation under its row's lock, as the last writer left it. SQLite has one writer at a time anyway."""
    query = select(Conversation).where(Conversation.id == conversation_id).with_for_update()
    return work.session.scalars(query.execution_options(populate_existing=True)).one()


def _earlier(work: Work, conversation_id: UUID, client_id: UUID) -> Message | None:
    mine = Message.sender_id == work.actor.id, Message.client_id == client_id
    return work.session.scalar(select(Message).where(Message.conversation_id == conversation_id, *mine))


def _again(work: Work, earlier: Message, fingerprint: bytes) -> Sent:
    if earlier.content_hash != fingerprint:
        raise Conflict(gettext("This message was already sent with other words. Please send it as a new one."))
    return _answer(work, earlier, is_new=False)


def _keep(work: Work, conversation: Conversation, client_id: UUID, text: str, fingerprint: bytes) -> Message:
    conversation.counter += 1
    message = Message(
        conversation_id=conversation.id, patient_id=conversation.patient_id, compartment=conversation.compartment,
        seq=conversation.counter, sender_id=work.actor.id, client_id=client_id, sent_at=work.now,
        side=policy.side_of(work.actor, conversation.patient_id), content_hash=fingerprint, body=text,
    )  # fmt: skip
    work.add(message)
    return message


def _tell_triage(work: Work, conversation: Conversation, message: Message) -> None:
    """A letter of the patient's side is work for the team, screened for danger; one of the team's answers it."""
    about = ("conversation", conversation.id)
    if message.side is Side.TEAM:
        triage.note_reply(work, about)
        return
    screening = triage.screen_text(work, conversation.patient_id, message.body)
    reason = reason_named(conversation.reason)
    usual = [reason.priority] if reason else []
    triage.note_patient_wrote(work, about)
    item = triage.raise_item(
        work, conversation.patient_id, ItemKind.MESSAGE, highest([*usual, screening.priority]),
        title=reason.label if reason else gettext("A message"), why=why_of(screening), about=about,
        compartment=conversation.compartment,
    )  # fmt: skip
    message.read_by = item.read_by or item.reply_by
    message.help = "" if screening.help == "none" else screening.help


def why_of(screening: Screening) -> tuple[str, ...]:
    """What the screen found, in words for the team, each once."""
    return tuple(dict.fromkeys(finding.why for finding in screening.findings))


def _answer(work: Work, message: Message, *, is_new: bool) -> Sent:
    card = help_of(work, message.patient_id, message.help)
    return Sent(message.id, message.seq, message.sent_at, message.read_by, card, is_new)


def help_of(work: Work, patient_id: UUID, kind: str) -> dict[str, Any] | None:
    """The crisis card of a kind for this patient; None for no kind."""
    if not kind:
        return None
    patient = work.session.get_one(Patient, patient_id)
    minor = patients.age(patient, work.now, work.practice.settings.tz) < ADULT
    return triage.help_card(kind, minor=minor, practice_phone=work.practice.settings.practice_phone)


# Notes of the team


def add_note(work: Work, conversation_id: UUID, body: str) -> Note:
    """Note something for the team. The patient's side is not told, now or later."""
    text = _checked_body(body)
    conversation = find(work, conversation_id)
    work.require(policy.can_note(work.actor, conversation))
    row = InternalNote(
        conversation_id=conversation.id, patient_id=conversation.patient_id, compartment=conversation.compartment,
        author_id=work.actor.id, written_at=work.now, body=text,
    )  # fmt: skip
    work.add(row)
    audit.record(work, "note.added", f"note:{row.id}", patient_id=conversation.patient_id)
    work.announce(team_readers(work, conversation), "queue:news", conversation=conversation.id)
    return _note(row)


def notes(work: Work, conversation_id: UUID) -> list[Note]:
    """The notes beside a conversation, oldest first; for the team only, for everybody else there are none."""
    conversation = find(work, conversation_id)
    work.require(policy.can_note(work.actor, conversation))
    about = policy.notes_of(work.actor, work.now).where(InternalNote.conversation_id == conversation.id)
    rows = work.all(about.order_by(InternalNote.written_at, InternalNote.id))
    if rows:
        audit.look(work, "notes.read", conversation.patient_id)
    return [_note(row) for row in rows]


def _note(row: InternalNote) -> Note:
    return Note(row.id, row.author_id, row.written_at, row.body)


def _patient(work: Work, patient_id: UUID, compartment: Compartment) -> Patient:
    query = patients_policy.patients_of(work.actor, work.now, compartment)
    return work.one(query.where(Patient.id == patient_id))
