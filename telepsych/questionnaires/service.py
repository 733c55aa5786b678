"""Giving a questionnaire, saving each answer as it comes, and reading what it came to.

A safety answer is acted on in the unit that saves it: if the work item cannot be made, the answer is not taken either,
and the browser tries again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any
from uuid import UUID

from sqlalchemy import select

from telepsych.audit import service as audit
from telepsych.core.actor import Compartment
from telepsych.core.errors import Invalid, NotFound
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.patients import policy as patients_policy
from telepsych.patients import service as patients
from telepsych.patients.models import Patient
from telepsych.questionnaires import history, policy, scoring
from telepsych.questionnaires.answers import (
    Answer,
    State,
    answered,
    applies,
    next_item,
    read_answers,
    state_of,
    write_answers,
)
from telepsych.questionnaires.content import Instrument, Item, instrument_named
from telepsych.questionnaires.history import Flag
from telepsych.questionnaires.models import Response, ResponseState
from telepsych.questionnaires.scoring import Change, SafetyFinding, Score
from telepsych.triage import service as triage
from telepsych.triage.models import ItemKind
from telepsych.triage.priority import Priority

SECONDS_PER_QUESTION = 15
ADULT = 18


@dataclass(frozen=True, slots=True)
class Saved:
    """An answer was taken. `safety` asks for the safety page now, before anything else."""

    response_id: UUID
    item_id: str
    at: int
    safety: bool
    remaining: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What anybody who may know the patient may know of a questionnaire. `mine` tells whether the actor may open it."""

    response_id: UUID
    instrument_id: str
    title: str
    state: ResponseState
    completed_at: int | None
    minutes: int
    mine: bool

    @property
    def is_done(self) -> bool:
        return self.state is ResponseState.COMPLETED


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One questionnaire as the brief shows it: the newest result of an instrument, or a form left unfinished.

    `change` compares with the completed form before it, of `before_at`. An unfinished form has no total.
    """

    response_id: UUID
    instrument_id: str
    version: str
    short_name: str
    patient_title: str
    window: str
    completed: bool
    at: int
    total: int | None
    maximum: int
    band: str
    patient_band: str
    change: Change | None
    before_at: int | None
    flags: tuple[Flag, ...]
    declined: tuple[str, ...]
    answered: int
    asked: int
    note: str
    confidential: bool
    said_safe_at: int | None
    """When the person said on the safety page that they are safe."""


@dataclass(frozen=True, slots=True)
class Point:
    """One total of a chart."""

    response_id: UUID
    at: int
    total: int
    band: str


@dataclass(frozen=True, slots=True)
class Safety:
    """What the safety page says: how urgent it is read, by when, and whether the person said they are safe."""

    response_id: UUID
    visit_id: UUID | None
    priority: Priority
    read_by: int | None
    reply_by: int | None
    said_safe_at: int | None
    minor: bool
    in_connecticut: bool


def assign(work: Work, patient_id: UUID, instrument_id: str, visit_id: UUID | None = None) -> Response:
    """Give a questionnaire, once per visit. Raises `Invalid` when the patient is too young or too old for it."""
    work.require(policy.can_assign(work.actor, patient_id))
    instrument = instrument_named(instrument_id)
    patient = patients.open_patient(work, patient_id)
    age = patients.age(patient, work.now, work.practice.settings.tz)
    if not instrument.suits_age(age):
        raise Invalid(gettext("This questionnaire is not meant for the patient's age."))
    if visit_id is not None and (there := _of_visit(work, patient_id, instrument_id, visit_id)):
        return there
    response = Response(
        patient_id=patient_id,
        compartment=_compartment(patient, age),
        visit_id=visit_id,
        instrument_id=instrument.id,
        instrument_version=instrument.version,
        state=ResponseState.ASSIGNED,
        assigned_at=work.now,
        age=age,
    )
    work.add(response)
    detail = {"instrument": instrument.id}
    audit.record(work, "questionnaire.assigned", f"response:{response.id}", patient_id=patient_id, detail=detail)
    return response


def assign_suitable(
    work: Work, patient_id: UUID, instrument_ids: Iterable[str], visit_id: UUID | None = None
) -> list[Response]:
    """Give those of these questionnaires that suit the patient's age."""
    patient = patients.open_patient(work, patient_id)
    age = patients.age(patient, work.now, work.practice.settings.tz)
    suitable = [one for one in instrument_ids if instrument_named(one).suits_age(age)]
    return [assign(work, patient_id, one, visit_id) for one in suitable]


def due(work: Work, patient_id: UUID, visit_id: UUID | None) -> list[Response]:
    """Questionnaires of a visit that the actor may open and that are not finished, in the order they were given."""
    mine = policy.responses_of(work.actor, work.now).where(
        Response.patient_id == patient_id,
        Response.visit_id == visit_id,
        Response.state != ResponseState.COMPLETED,
    )
    return work.all(mine.order_by(Response.assigned_at, Response.id))


def standing(work: Work, patient_id: UUID, visit_id: UUID) -> list[Standing]:
    """How far the questionnaires of a visit are, also those the actor may not open."""
    known = policy.responses_known_to(work.actor, work.now).where(
        Response.patient_id == patient_id, Response.visit_id == visit_id
    )
    rows = work.all(known.order_by(Response.assigned_at, Response.id))
    open_ids = set(work.session.scalars(_ids_of(work, rows)))
    return [_standing(row, row.id in open_ids) for row in rows]


def open_response(work: Work, response_id: UUID) -> Response:
    """A questionnaire to read. Raises `NotFound` unless its compartment is open to the actor."""
    response = work.one(policy.responses_of(work.actor, work.now).where(Response.id == response_id))
    audit.look(work, "questionnaire.read", response.patient_id)
    return response


def instrument_of(response: Response) -> Instrument:
    """The instrument in the version the response was asked. Raises `NotFound` when that version is no longer there."""
    return instrument_named(response.instrument_id, response.instrument_version)


def answers_of(response: Response) -> dict[str, Answer]:
    """The answers that stand."""
    return read_answers(instrument_of(response), response.answers)


def open_item(response: Response) -> Item | None:
    """The question that comes next, None when every one has an answer."""
    return next_item(instrument_of(response), answers_of(response))


def asked(response: Response) -> list[Item]:
    """The questions that apply, given what has been answered."""
    instrument, answers = instrument_of(response), answers_of(response)
    return [item for item in instrument.items if state_of(instrument, item, answers) is not State.NOT_ASKED]


def minutes(response: Response) -> int:
    """About how long what is left takes, one minute at least."""
    left = [item for item in asked(response) if item.id not in response.answers]
    return _minutes(len(left))


def save_answer(work: Work, response_id: UUID, item_id: str, answer: Any) -> Saved:
    """Take one answer: an option's id, "declined", or `{"state": …, "option": …}`.

    The same answer again changes nothing. Raises `Invalid` for an answer the question does not have.
    """
    response = _to_answer(work, response_id)
    work.require(policy.can_change(response))
    instrument, before = instrument_of(response), answers_of(response)
    item = instrument.item(item_id)
    given = read_answers(instrument, {item.id: answer})[item.id]
    if given.state not in (State.ANSWERED, State.DECLINED):
        raise Invalid(fields={item.id: gettext("Please choose one of the answers.")})
    if not applies(instrument, item, before):
        raise NotFound
    if before.get(item.id) != given:
        _keep(work, response, item, given)
        _tell_ledger(work, response, instrument, before)
        _look_after(work, response, instrument, before, item)
        about = f"response:{response.id}"
        audit.record(work, "answer.saved", about, patient_id=response.patient_id, detail={"item": item.id})
    remaining = sum(one.id not in response.answers for one in asked(response))
    return Saved(response.id, item.id, work.now, safety_is_due(response), remaining)


def complete(work: Work, response_id: UUID) -> Response:
    """Finish a questionnaire and keep its result; again is as good as once. Raises `Invalid` while one is open."""
    response = _to_answer(work, response_id)
    if response.is_completed:
        return response
    instrument, answers = instrument_of(response), answers_of(response)
    if next_item(instrument, answers) is not None:
        raise Invalid(gettext("A question is still open."))
    response.score = scoring.score(instrument, answers, response.age).as_dict()
    response.state, response.completed_at = ResponseState.COMPLETED, work.now
    audit.record(work, "questionnaire.completed", f"response:{response.id}", patient_id=response.patient_id)
    return response


def safety_is_due(response: Response) -> bool:
    """Whether the person has still to see the safety page for what they answered."""
    if not response.safety:
        return False
    seen = response.safety.get("seen")
    return not seen or Priority(seen) < Priority(response.safety["priority"])


def safety(work: Work, response_id: UUID) -> Safety:
    """What the safety page of a questionnaire says. Raises `NotFound` when there is nothing to say."""
    response = open_response(work, response_id)
    found = response.safety
    if not found:
        raise NotFound
    where = patients.facts_of(work, response.patient_id).get("visit.state")
    return Safety(
        response.id,
        response.visit_id,
        Priority(found["priority"]),
        found.get("read_by"),
        found.get("reply_by"),
        found.get("said_safe_at"),
        response.is_minors,
        where is None or where.value == "CT",
    )


def leave_safety_page(work: Work, response_id: UUID, *, says_safe: bool) -> Response:
    """The person has seen the page and goes on; they may have said that they are safe right now."""
    response = _to_answer(work, response_id)
    if not response.safety:
        raise NotFound
    said = {"said_safe_at": work.now} if says_safe else {}
    response.safety = {**response.safety, "seen": response.safety["priority"], **said}
    if says_safe:
        _say_safe(work, response)
    action = "safety.said-safe" if says_safe else "safety.page-seen"
    audit.record(work, action, f"response:{response.id}", patient_id=response.patient_id, purpose="safety")
    return response


def latest(work: Work, patient_id: UUID) -> list[ScoreLine]:
    """The newest result of each instrument with its change, and forms left unfinished after it. Flagged ones first."""
    by_instrument: dict[str, list[Response]] = {}
    for row in _begun(work, patient_id):
        by_instrument.setdefault(row.instrument_id, []).append(row)
    lines = [line for rows in by_instrument.values() for line in _lines(rows)]
    return sorted(lines, key=lambda line: (not line.flags, line.short_name, -line.at))


def series(work: Work, patient_id: UUID, instrument_id: str) -> list[Point]:
    """The totals of an instrument, oldest first, for a chart."""
    rows = [row for row in _begun(work, patient_id) if row.instrument_id == instrument_id and row.is_completed]
    return [
        Point(row.id, row.completed_at or 0, row.score["total"], (row.score["band"] or {}).get("clinician", ""))
        for row in reversed(rows)
        if row.score.get("total") is not None
    ]


def line_of(work: Work, response_id: UUID) -> ScoreLine:
    """One questionnaire with its result and how it moved since the completed one before it."""
    response = open_response(work, response_id)
    earlier = [
        row
        for row in _begun(work, response.patient_id)
        if row.instrument_id == response.instrument_id
        and row.is_completed
        and (row.completed_at or 0, row.id) < (response.completed_at or work.now, response.id)
    ]
    return _line(response, _with_total(earlier))


def _compartment(patient: Patient, age: int) -> Compartment:
    """A young person who signs in answers for themself, in confidence; without a login their guardian answers."""
    young = age < ADULT and patient.person_id is not None
    return Compartment.CONFIDENTIAL if young else Compartment.GENERAL


def _of_visit(work: Work, patient_id: UUID, instrument_id: str, visit_id: UUID) -> Response | None:
    there = select(Response).where(
        Response.visit_id == visit_id,
        Response.instrument_id == instrument_id,
        Response.patient_id == patient_id,
        Response.patient_id.in_(patients_policy.patient_ids_of(work.actor, work.now)),
    )
    return work.session.scalar(there)


def _ids_of(work: Work, rows: Iterable[Response]) -> Any:
    mine = policy.responses_of(work.actor, work.now)
    return mine.with_only_columns(Response.id).where(Response.id.in_([row.id for row in rows]))


def _standing(row: Response, mine: bool) -> Standing:
    instrument = instrument_of(row)
    left = minutes(row) if mine else _minutes(len(instrument.items))
    return Standing(row.id, row.instrument_id, instrument.patient_title, row.state, row.completed_at, left, mine)


def _minutes(questions: int) -> int:
    return max(1, ceil(questions * SECONDS_PER_QUESTION / 60))


def _to_answer(work: Work, response_id: UUID) -> Response:
    """The response, held until the unit ends, so that two devices do not overwrite each other's answers."""
    mine = policy.responses_of(work.actor, work.now).where(Response.id == response_id)
    response = work.one(mine.with_for_update())
    work.require(policy.can_answer(work.actor, response))
    return response


def _keep(work: Work, response: Response, item: Item, given: Answer) -> None:
    by = str(work.actor.id or work.actor.label)
    response.answers = {**response.answers, **write_answers({item.id: given})}
    response.history = [*response.history, history.entry(item.id, given, work.now, by)]
    if response.state is ResponseState.ASSIGNED:
        response.state, response.started_at = ResponseState.STARTED, work.now


def _tell_ledger(work: Work, response: Response, instrument: Instrument, before: Mapping[str, Answer]) -> None:
    """Write the facts that are new or have changed with this answer."""
    earlier = history.facts(instrument, before, response.history[:-1], response.age)
    now = history.facts(instrument, answers_of(response), response.history, response.age)
    news = {code: value for code, value in now.items() if earlier.get(code) != value}
    if news:
        patients.record_facts(
            work,
            response.patient_id,
            news,
            source=f"questionnaire:{instrument.id}",
            as_of=work.now,
            compartment=response.compartment,
            about=response.id,
        )


def _look_after(
    work: Work, response: Response, instrument: Instrument, before: Mapping[str, Answer], item: Item
) -> None:
    """Raise a new or graver safety answer; add to the item when one is taken back. It stays raised then."""
    old = _finding(instrument, before, item, response.age)
    new = _finding(instrument, answers_of(response), item, response.age)
    if new is not None and (old is None or old.trigger != new.trigger):
        _raise(work, response, new, (_why(response, instrument, item),))
    elif old is not None and new is None:
        _raise(work, response, old, (_why(response, instrument, item),))


def _finding(
    instrument: Instrument, answers: Mapping[str, Answer], item: Item, age: int | None
) -> SafetyFinding | None:
    alone = {item.id: answers[item.id]} if item.id in answers else {}
    return next(iter(scoring.safety_findings(instrument, alone, age)), None)


def _why(response: Response, instrument: Instrument, item: Item) -> str:
    given = [
        history.words_of(instrument, item, answered(line["option"]) if line["option"] else Answer(State.DECLINED))
        for line in response.history
        if line["item"] == item.id
    ]
    if len(given) == 1:
        return gettext("{form}, {question}: “{answer}”").format(
            form=instrument.short_name, question=item.label, answer=given[0]
        )
    return gettext("{form}, {question}: changed from “{first}” to “{last}” before sending; both are kept").format(
        form=instrument.short_name, question=item.label, first=given[-2], last=given[-1]
    )


def _raise(work: Work, response: Response, finding: SafetyFinding, why: tuple[str, ...]) -> None:
    item = triage.raise_item(
        work,
        response.patient_id,
        ItemKind.SAFETY_ANSWER,
        Priority(finding.priority),
        title=finding.clinician,
        why=why,
        about=("response", response.id),
        compartment=response.compartment,
    )
    known = response.safety.get("priority")
    gravest = max(Priority(finding.priority), Priority(known)) if known else Priority(finding.priority)
    response.safety = {
        **response.safety,
        "priority": gravest.value,
        "item": str(item.id),
        "read_by": item.read_by,
        "reply_by": item.reply_by,
    }


def _say_safe(work: Work, response: Response) -> None:
    patients.record_facts(
        work,
        response.patient_id,
        {"safety.said_safe_at": work.now},
        source="safety-page",
        as_of=work.now,
        compartment=response.compartment,
        about=response.id,
    )
    triage.note_patient_wrote(work, ("response", response.id))


def _begun(work: Work, patient_id: UUID) -> list[Response]:
    """Every questionnaire with an answer in it, the newest first."""
    audit.look(work, "questionnaires.read", patient_id)
    mine = policy.responses_of(work.actor, work.now).where(
        Response.patient_id == patient_id, Response.state != ResponseState.ASSIGNED
    )
    rows = work.all(mine)
    return sorted(rows, key=lambda row: (row.completed_at or row.started_at or 0, row.id), reverse=True)


def _lines(rows: list[Response]) -> list[ScoreLine]:
    """The newest completed form with its change, and what was begun after it and left. `rows` are newest first."""
    done = [row for row in rows if row.is_completed]
    newest = (done[0].completed_at or 0) if done else 0
    left = [row for row in rows if not row.is_completed and (row.started_at or 0) > newest]
    lines = [_line(row, None) for row in left]
    if done:
        lines.append(_line(done[0], _with_total(done[1:])))
    return lines


def _with_total(earlier: list[Response]) -> Response | None:
    """The newest of these, newest first, that has a total to compare with."""
    return next((row for row in earlier if row.score.get("total") is not None), None)


def _line(row: Response, before: Response | None) -> ScoreLine:
    instrument, answers = instrument_of(row), answers_of(row)
    now = scoring.score(instrument, answers, row.age)
    band = now.band
    return ScoreLine(
        response_id=row.id,
        instrument_id=instrument.id,
        version=instrument.version,
        short_name=instrument.short_name,
        patient_title=instrument.patient_title,
        window=instrument.window,
        completed=row.is_completed,
        at=row.completed_at or row.started_at or row.assigned_at,
        total=now.total if row.is_completed else None,
        maximum=instrument.scoring.maximum,
        band=band.clinician if band else "",
        patient_band=band.patient if band else "",
        change=scoring.change(instrument, _score(before), now) if before and row.is_completed else None,
        before_at=before.completed_at if before else None,
        flags=history.flags(instrument, row.history, row.age),
        declined=tuple(instrument.item(one).label for one in now.declined),
        answered=sum(answer.state is State.ANSWERED for answer in answers.values()),
        asked=len(asked(row)),
        note=instrument.scoring.not_a_diagnosis,
        confidential=row.compartment is Compartment.CONFIDENTIAL,
        said_safe_at=row.safety.get("said_safe_at"),
    )


def _score(row: Response) -> Score:
    return scoring.score(instrument_of(row), answers_of(row), row.age)
