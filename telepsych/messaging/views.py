"""Letters: the patient's pages, and the small JSON that scripts and other clients use. Both lead to one service."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from telepsych.core.actor import Compartment, Relation, Role
from telepsych.core.errors import Conflict, Invalid, NotFound
from telepsych.core.ids import new_id, parse_id
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.messaging import pages, policy, service
from telepsych.messaging.pages import ComposePage, ListPage, Person, ReasonPage, ThreadPage
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.triage.content import Reason, reasons
from telepsych.web import dates, drafts
from telepsych.web.doors import begin, practice, signed_in

bp = Blueprint("messaging", __name__)
bp.record_once(lambda _state: service.prepare())

PEOPLE = (Role.PATIENT, Role.GUARDIAN)
WRITERS = (*PEOPLE, Role.CLINICIAN, Role.STAFF, Role.MANAGER)
ADULT = 18


# Pages


@bp.get("/messages")
@signed_in(*PEOPLE)
def index() -> ResponseReturnValue:
    with begin(writes=False) as work:
        people = _people(work)
        by_id = {person.patient_id: person for person in people}
        lines = [
            pages.listed(line, by_id[patient_id]) for patient_id in by_id
            for line in service.conversations(work, patient_id)
        ]  # fmt: skip
    lines.sort(key=lambda line: line.at, reverse=True)
    return render_template("messaging/list.html", page=ListPage(lines, people, pages.not_watched(reasons())))


@bp.get("/messages/new")
@signed_in(*PEOPLE)
def new() -> ResponseReturnValue:
    with begin(writes=False) as work:
        people = _people(work)
    person, reason = _person_asked(people), _reason_asked()
    if person is None or reason is None:
        error = gettext("Please choose what it is about.") if "go" in request.args and reason is None else ""
        page = ReasonPage(people, person, reasons(), error)
        return render_template("messaging/reason.html", page=page), Invalid.status if error else 200
    return _compose(ComposePage(person, reason, reasons(), new_id(), new_id()))


@bp.post("/messages/new")
@signed_in(*PEOPLE)
def start() -> ResponseReturnValue:
    conversation_id, client_id = parse_id(request.form.get("conversation_id", "")), _client_id(request.form)
    body, private = request.form.get("body", ""), request.form.get("private") == "yes"
    with begin(writes=False) as work:
        person = _person_asked(_people(work))
    reason = _reason_asked()
    if person is None or reason is None:
        return redirect(url_for(".new"), 303)
    compartment = Compartment.CONFIDENTIAL if private and person.may_keep_private else Compartment.GENERAL
    try:
        with begin() as work:
            service.start(work, conversation_id, client_id, person.patient_id, reason.id, body, compartment)
    except (Invalid, Conflict) as error:
        again = ComposePage(
            person, reason, reasons(), new_id(), new_id(), body=body, private=private, errors=_errors(error)
        )
        return _compose(again), error.status
    return redirect(url_for(".show", conversation_id=conversation_id), 303)


@bp.get("/messages/<conversation_id>")
@signed_in(*PEOPLE)
def show(conversation_id: str) -> ResponseReturnValue:
    """A conversation. Opening it is reading it."""
    return _thread(parse_id(conversation_id), new_id())


@bp.post("/messages/<conversation_id>")
@signed_in(*PEOPLE)
def write(conversation_id: str) -> ResponseReturnValue:
    """The composer without a script."""
    where, body = parse_id(conversation_id), request.form.get("body", "")
    try:
        with begin() as work:
            service.send(work, where, _client_id(request.form), body)
    except (Invalid, Conflict) as error:
        return _thread(where, new_id(), body, _errors(error)), error.status
    return redirect(url_for(".show", conversation_id=where, _anchor="newest"), 303)


# For scripts and other clients


@bp.put("/api/conversations/<conversation_id>")
@signed_in(*WRITERS)
def put_conversation(conversation_id: str) -> ResponseReturnValue:
    """Start a conversation. `details` may name the patient it is `about`, and keep it `private` to the care team."""
    given = _json()
    details = given.get("details") or {}
    if not isinstance(details, dict):
        raise Invalid
    private = details.get("private") is True
    about = parse_id(details["about"]) if details.get("about") else None
    compartment = Compartment.CONFIDENTIAL if private else Compartment.GENERAL
    with begin() as work:
        patient_id = about or patients.my_patient(work).id
        row = service.open_conversation(
            work, parse_id(conversation_id), patient_id, given.get("reason", ""), details, compartment=compartment
        )
        answer = {"id": str(row.id), "up_to": row.counter, "created_at": row.created_at}
    return jsonify(answer), 201 if row.counter == 0 else 200


@bp.put("/api/conversations/<conversation_id>/messages/<client_id>")
@signed_in(*WRITERS)
def put_message(conversation_id: str, client_id: str) -> ResponseReturnValue:
    """Send a letter. Sending it again is answered as the first time."""
    body = _json().get("body")
    where = parse_id(conversation_id)
    with begin() as work:
        sent = service.send(work, where, parse_id(client_id), body if isinstance(body, str) else "")
        if sent.is_new:
            _drop_draft(work, where, str(body))
    answer = {"id": str(sent.id), "seq": sent.seq, "sent_at": sent.sent_at, "read_by": sent.read_by, "help": sent.help}
    return jsonify(answer), 201 if sent.is_new else 200


@bp.get("/api/conversations/<conversation_id>/sync")
@signed_in(*WRITERS)
def get_sync(conversation_id: str) -> ResponseReturnValue:
    """What happened after a number. Ask again from `up_to` until nothing comes."""
    after = request.args.get("after", "0")
    if not after.isdecimal() or len(after) > 18:
        raise Invalid
    with begin(writes=False) as work:
        found = service.sync(work, parse_id(conversation_id), int(after))
    return jsonify(events=[_shown(event) for event in found.events], up_to=found.up_to)


@bp.post("/api/conversations/<conversation_id>/read")
@signed_in(*WRITERS)
def post_read(conversation_id: str) -> ResponseReturnValue:
    """The reader has seen everything up to a number."""
    seq = _json().get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 2**62:
        raise Invalid
    with begin() as work:
        up_to = service.mark_read(work, parse_id(conversation_id), seq)
    return jsonify(read_up_to=up_to)


def _thread(conversation_id: UUID, client_id: UUID, body: str = "", errors: Mapping[str, str] | None = None) -> str:
    with begin(writes=False) as work:
        person_of = {person.patient_id: person for person in _people(work)}
        thread = service.thread(work, conversation_id)
        if thread.patient_id not in person_of:
            raise NotFound
        reason = service.reason_named(thread.reason)
        last = thread.letters[-1] if thread.letters else None
        help_card = service.help_of(work, thread.patient_id, last.help) if last else None
        work.at_end(lambda late: _mark_read(late, conversation_id, thread.up_to))
    page = ThreadPage(
        thread, person_of[thread.patient_id], reason.response if reason else "", pages.not_watched(reasons()),
        client_id, help_card, body, errors or {},
    )  # fmt: skip
    return render_template("messaging/thread.html", page=page, words=pages.status_words())


def _mark_read(late: Work, conversation_id: UUID, seq: int) -> None:
    service.mark_read(late, conversation_id, seq)


def _compose(page: ComposePage) -> str:
    return render_template("messaging/compose.html", page=page)


def _people(work: Work) -> list[Person]:
    """The actor's own record first, then those of the people they represent."""
    own = [tie for tie in work.actor.ties if tie.relation in (Relation.SELF, Relation.PROXY)]
    ties = {tie.patient_id: tie for tie in own if Compartment.GENERAL in tie.compartments}
    rows = work.all(patients_policy.patients_of(work.actor, work.now).where(Patient.id.in_(ties)))
    found = [_person(work, row, ties[row.id].relation is Relation.SELF) for row in rows]
    return sorted(found, key=lambda person: person.about)


def _person(work: Work, row: Patient, is_self: bool) -> Person:
    is_minor = patients.age(row, work.now, practice.settings.tz) < ADULT
    private = is_minor and is_self and policy.is_personal(work.actor, row.id, Compartment.CONFIDENTIAL)
    return Person(row.id, "" if is_self else patients.first_name(row), private)


def _person_asked(people: list[Person]) -> Person | None:
    """Whom it is about: who was named, or the only one there is."""
    about = request.values.get("about", "")
    if about:
        named = parse_id(about)
        person = next((one for one in people if one.patient_id == named), None)
        if person is None:
            raise NotFound
        return person
    return people[0] if len(people) == 1 else None


def _reason_asked() -> Reason | None:
    return service.reason_named(request.values.get("reason", ""))


def _client_id(form: Mapping[str, str]) -> UUID:
    return parse_id(form.get("client_id", ""))


def _errors(error: Invalid | Conflict) -> dict[str, str]:
    fields = error.fields if isinstance(error, Invalid) else {}
    return dict(fields) or {"body": error.sentence}


def _json() -> dict[str, Any]:
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Invalid
    return given


def _drop_draft(work: Work, conversation_id: UUID, body: str) -> None:
    """Drop the draft of what was just sent, in the unit that sends it; what was typed meanwhile stays."""
    place = f"conversation:{conversation_id}"
    if drafts.kept(work, place).get("body", "").strip() == body.strip():
        drafts.discard(work, place)


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    """An event with its time in words and, for a letter, who wrote it as the reader says it."""
    words = {"when": dates.time(event["at"]), "day": dates.day(event["at"])}
    if event["type"] != "message":
        return {**event, **words}
    author = event["author"] or {"name": "", "title": ""}
    return {**event, **words, "by": pages.author_words(author["name"], author["title"], mine=event["mine"])}
