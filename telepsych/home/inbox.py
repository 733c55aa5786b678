"""The staff's inbox: what waits, and one item with its talk, notes and acts. Two people never answer unawares."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Role
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.ids import new_id, parse_id
from telepsych.core.work import Work
from telepsych.home import inbox_item, inbox_list
from telepsych.home.inbox_item import ItemPage
from telepsych.home.inbox_list import Queue, Show
from telepsych.messaging import service as messaging
from telepsych.triage import service as triage
from telepsych.triage.content import reasons
from telepsych.triage.models import WorkItem
from telepsych.web.doors import begin, signed_in

bp = Blueprint("inbox", __name__)
TEAM = (Role.CLINICIAN, Role.STAFF, Role.MANAGER)


@dataclass(frozen=True, slots=True)
class InboxPage:
    """What the template is given. `typed` holds what was sent and could not be taken, `errors` why, by field."""

    queue: Queue
    item: ItemPage | None = None
    conversation_id: UUID | None = None
    client_id: UUID | None = None
    typed: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    conflict: str = ""


@bp.get("/inbox")
@signed_in(*TEAM)
def index() -> ResponseReturnValue:
    with begin(writes=False) as work:
        page = InboxPage(inbox_list.queue(work, _show()))
    return render_template("home/inbox.html", page=page)


@bp.get("/inbox/queue")
@signed_in(*TEAM)
def queue() -> ResponseReturnValue:
    """The list alone, for a page that is open already."""
    current = request.args.get("current", "")
    with begin(writes=False) as work:
        page = InboxPage(inbox_list.queue(work, _show(), parse_id(current) if current else None))
    return render_template("home/inbox_queue.html", page=page)


@bp.get("/inbox/<item_id>")
@signed_in(*TEAM)
def item(item_id: str) -> ResponseReturnValue:
    """One item. Opening it is reading it."""
    where = parse_id(item_id)
    _mark_read(where)
    return _page(where)


@bp.get("/inbox/<item_id>/talk")
@signed_in(*TEAM)
def talk(item_id: str) -> ResponseReturnValue:
    """The item's head and talk alone, for a page that is open already. Reading is said by `read`."""
    with begin(writes=False) as work:
        page = InboxPage(inbox_list.Queue(_show(), None, (), ()), inbox_item.build(work, parse_id(item_id)))
    return render_template("home/inbox_talk.html", page=page)


@bp.post("/inbox/<item_id>/read")
@signed_in(*TEAM)
def read(item_id: str) -> ResponseReturnValue:
    """A person looks at the open page."""
    _mark_read(parse_id(item_id))
    return "", 204


@bp.post("/inbox/<item_id>/acknowledge")
@signed_in(*TEAM)
def acknowledge(item_id: str) -> ResponseReturnValue:
    return _act(item_id, triage.acknowledge)


@bp.post("/inbox/<item_id>/claim")
@signed_in(*TEAM)
def claim(item_id: str) -> ResponseReturnValue:
    """Take it on, or over from the person who was shown to be working on it."""
    seen = request.form.get("take_over_from", "")
    other = parse_id(seen) if seen else None
    return _act(item_id, lambda work, where: triage.claim(work, where, take_over_from=other))


@bp.post("/inbox/<item_id>/release")
@signed_in(*TEAM)
def release(item_id: str) -> ResponseReturnValue:
    return _act(item_id, triage.release)


@bp.post("/inbox/<item_id>/assign")
@signed_in(*TEAM)
def assign(item_id: str) -> ResponseReturnValue:
    person = parse_id(request.form.get("person", ""))
    return _act(item_id, lambda work, where: triage.assign(work, where, person))


@bp.post("/inbox/<item_id>/reply")
@signed_in(*TEAM)
def reply(item_id: str) -> ResponseReturnValue:
    return _act(item_id, _reply, "reply")


@bp.post("/inbox/<item_id>/note")
@signed_in(*TEAM)
def note(item_id: str) -> ResponseReturnValue:
    return _act(item_id, _note, "internal_note")


@bp.post("/inbox/<item_id>/call")
@signed_in(*TEAM)
def call(item_id: str) -> ResponseReturnValue:
    said = request.form.get("call_note", "")
    return _act(item_id, lambda work, where: triage.record_call(work, where, said), "call_note")


@bp.post("/inbox/<item_id>/resolve")
@signed_in(*TEAM)
def resolve(item_id: str) -> ResponseReturnValue:
    code, why = request.form.get("disposition", ""), request.form.get("resolve_note", "")
    return _act(item_id, lambda work, where: triage.resolve(work, where, code, why), "resolve_note")


def _reply(work: Work, item_id: UUID) -> None:
    """Answer in the conversation, or start one where the item is about something else. Whoever answers takes it on."""
    item = triage.open_item(work, item_id)
    client_id, body = parse_id(request.form.get("client_id", "")), request.form.get("reply", "")
    if item.is_open:
        triage.claim(work, item_id)
    if talk_id := _talk_of(item):
        messaging.send(work, talk_id, client_id, body)
        return
    conversation_id = parse_id(request.form.get("conversation_id", ""))
    reason = reasons().reasons[-1].id
    messaging.start(work, conversation_id, client_id, item.patient_id, reason, body, item.compartment)
    if item.about_kind and item.about_id:
        triage.note_reply(work, (item.about_kind, item.about_id))


def _note(work: Work, item_id: UUID) -> None:
    item = triage.open_item(work, item_id)
    talk_id = _talk_of(item)
    if talk_id is None:
        raise Invalid
    messaging.add_note(work, talk_id, request.form.get("internal_note", ""))


def _act(item_id: str, act: Callable[[Work, UUID], Any], named: str = "") -> ResponseReturnValue:
    """Do one thing to an item and show it again. What cannot be done is said on the page, with what was typed.

    `named` is the form's own field that a service calls `note` or `body`.
    """
    where = parse_id(item_id)
    try:
        with begin() as work:
            act(work, where)
    except Invalid as error:
        errors = {named if key in ("note", "body") and named else key: said for key, said in error.fields.items()}
        return _page(where, errors=errors), error.status
    except Conflict as error:
        return _page(where, conflict=error.sentence), error.status
    return redirect(url_for(".item", item_id=where, show=_show().value), 303)


def _page(item_id: UUID, errors: dict[str, str] | None = None, conflict: str = "") -> str:
    with begin(writes=False) as work:
        page = InboxPage(
            queue=inbox_list.queue(work, _show(), item_id),
            item=inbox_item.build(work, item_id),
            conversation_id=new_id(),
            client_id=new_id(),
            typed=dict(request.form.items()),
            errors=errors or {},
            conflict=conflict,
        )
    return render_template("home/inbox_item.html", page=page)


def _mark_read(item_id: UUID) -> None:
    """Stop the read clock, and tell the patient that the team has read. Writes only when there is something new."""
    with begin(writes=False) as work:
        item = triage.open_item(work, item_id)
        talk_id = _talk_of(item)
        thread = messaging.thread(work, talk_id) if talk_id else None
        is_new = item.is_open and item.read_at is None
        if thread is not None:
            is_new = is_new or thread.read_by_team < max((one.seq for one in thread.letters), default=0)
    if not is_new:
        return
    with begin() as work:
        triage.note_read(work, item_id)
        if thread is not None:
            messaging.mark_read(work, thread.conversation_id, thread.up_to)


def _talk_of(item: WorkItem) -> UUID | None:
    return item.about_id if item.about_kind == "conversation" else None


def _show() -> Show:
    asked = request.values.get("show", Show.ALL)
    return Show(asked) if asked in set(Show) else Show.ALL
