"""What patients ask about their records, with the day by which the law wants it done: access, amendment, accounting."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from sqlalchemy import Select

from telepsych.accounts import service as accounts
from telepsych.audit import service as audit
from telepsych.core.clock import local_date, to_micros
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.notifications import service as notifications
from telepsych.oversight import content, people, policy
from telepsych.oversight.models import UNSETTLED, RequestKind, RequestState, RightsRequest
from telepsych.patients import service as patients

LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request as a page shows it. `patient` only for those who oversee."""

    id: UUID
    patient_id: UUID
    patient: str
    kind: RequestKind
    words: str
    state: RequestState
    received_at: int
    due_at: int
    settled_at: int | None
    extension_reason: str
    outcome: str
    recorded_by: str
    source: str
    is_late: bool
    may_extend: bool
    may_withdraw: bool


def kinds() -> list[tuple[str, str, str]]:
    """Kinds of request in plain words: id, label, hint."""
    return [
        (RequestKind.ACCESS, gettext("A copy of the record"), gettext("On paper or as a file.")),
        (RequestKind.AMENDMENT, gettext("Something in the record is wrong"), gettext("Say what, and what is right.")),
        (
            RequestKind.ACCOUNTING,
            gettext("A list of who outside the practice was given the record"),
            gettext("For other reasons than treatment, payment and running the practice."),
        ),
    ]


def label_of(kind: RequestKind) -> str:
    """A kind of request, as those who work on it call it."""
    return {
        RequestKind.ACCESS: gettext("Copy of the record"),
        RequestKind.AMENDMENT: gettext("Correction of the record"),
        RequestKind.ACCOUNTING: gettext("Accounting of disclosures"),
    }[kind]


def ask(work: Work, patient_id: UUID, kind: str, words: str) -> RightsRequest:
    """Ask on one's own page, or for somebody one acts for. Raises `Invalid` naming what is missing."""
    work.require(policy.can_ask(work.actor, patient_id))
    return _keep(work, patient_id, kind, words, asked=True)


def record(work: Work, patient_id: UUID, kind: str, words: str) -> RightsRequest:
    """Write down what a patient asked in person, by telephone or by letter. Raises `Invalid`."""
    patients.open_patient(work, patient_id)
    work.require(policy.can_record_request(work.actor, patient_id))
    return _keep(work, patient_id, kind, words, asked=False)


def _keep(work: Work, patient_id: UUID, kind: str, words: str, *, asked: bool) -> RightsRequest:
    found = _check(kind, words)
    zone = work.practice.settings.tz
    days = content.limit(found, local_date(work.now, zone))
    row = RightsRequest(
        patient_id=patient_id,
        compartment=policy.asked_in(work.actor, patient_id),
        state=RequestState.OPEN,
        received_at=work.now,
        due_at=_end_of(work, work.now, days.days),
        asked_by=work.actor.id if asked else None,
        recorded_by=work.actor.id,
        kind=found.value,
        words=words.strip(),
        rule={"key": days.key, "value": str(days.days), "source": days.source},
    )
    work.add(row)
    audience = people.overseers(work, patient_id)
    notifications.notify(work, audience, "work-item")
    work.announce(audience, "queue:news", request=row.id)
    audit.record(work, "request.made", f"request:{row.id}", patient_id=patient_id, purpose="operations")
    return row


def listed(work: Work, *, settled: bool = False) -> list[RequestLine]:
    """Every request to work on: the open ones by due date, or the settled ones, the newest first."""
    work.require(policy.can_see_counts(work.actor))
    wanted = RightsRequest.state.in_(UNSETTLED)
    found = policy.requests_before(work.actor, work.now).where(~wanted if settled else wanted)
    order = RightsRequest.settled_at.desc() if settled else RightsRequest.due_at
    rows = work.all(found.order_by(order).limit(200))
    names = people.patient_names(work, [row.patient_id for row in rows])
    return _shown(work, rows, names)


def one(work: Work, request_id: UUID) -> RequestLine:
    """One request, for those who work on it. Raises `NotFound`."""
    row = _before(work, request_id)
    return _shown(work, [row], people.patient_names(work, [row.patient_id]))[0]


def of_patient(work: Work, patient_id: UUID) -> list[RequestLine]:
    """The requests about one record that the actor may see, the newest first."""
    patients.open_patient(work, patient_id)
    rows = work.all(_mine(work, patient_id).order_by(RightsRequest.received_at.desc()))
    return _shown(work, rows, {})


def _before(work: Work, request_id: UUID) -> RightsRequest:
    work.require(policy.can_see_counts(work.actor))
    return work.one(policy.requests_before(work.actor, work.now).where(RightsRequest.id == request_id))


def _mine(work: Work, patient_id: UUID) -> Select[RightsRequest]:
    return policy.requests_of(work.actor, work.now).where(RightsRequest.patient_id == patient_id)


def withdraw(work: Work, request_id: UUID) -> UUID:
    """Take one's own request back. Returns the patient's id. Raises `Conflict` when it is settled."""
    row = work.one(policy.requests_of(work.actor, work.now).where(RightsRequest.id == request_id))
    work.require(policy.can_withdraw(work.actor, row))
    _settle(work, row, RequestState.WITHDRAWN, "")
    return row.patient_id


def extend(work: Work, request_id: UUID, reason: str) -> None:
    """Take the one extension the law gives, with its written reason. Raises `Conflict` when it was taken or is late."""
    row = _before(work, request_id)
    if row.state is not RequestState.OPEN:
        raise Conflict(gettext("This can be extended once, while it is open."))
    if row.due_at < work.now:
        raise Conflict(gettext("Its time is over already: it can't be extended any more."))
    _written(reason, "reason", gettext("Please write the reason. The patient is given it."))
    zone = work.practice.settings.tz
    first = content.limit(row.kind, local_date(row.received_at, zone))
    more = content.limit(row.kind, local_date(row.received_at, zone), extension=True)
    row.state, row.extended_at, row.extension_reason = RequestState.EXTENDED, work.now, reason.strip()
    row.due_at = _end_of(work, row.received_at, first.days + more.days)
    audit.record(work, "request.extended", f"request:{row.id}", patient_id=row.patient_id, purpose="operations")


def settle(work: Work, request_id: UUID, how: str, outcome: str) -> None:
    """Note that a request is done, or declined with its reason. Raises `Invalid`, `Conflict`."""
    row = _before(work, request_id)
    if how not in (RequestState.DONE, RequestState.DECLINED):
        raise Invalid(fields={"how": gettext("Please choose how it ended.")})
    _written(outcome, "outcome", gettext("Please write what was given or done, or why not."))
    _settle(work, row, RequestState(how), outcome.strip())


def _settle(work: Work, row: RightsRequest, state: RequestState, outcome: str) -> None:
    if row.state not in UNSETTLED:
        raise Conflict(gettext("This request is settled already."))
    row.state, row.settled_at, row.settled_by, row.outcome = state, work.now, work.actor.id, outcome
    audit.record(work, f"request.{state}", f"request:{row.id}", patient_id=row.patient_id, purpose="operations")


def _shown(work: Work, rows: list[RightsRequest], names: dict[UUID, str]) -> list[RequestLine]:
    by = accounts.names_of(work, [row.recorded_by for row in rows])
    oversees = bool(policy.can_see_counts(work.actor))
    return [
        RequestLine(
            id=row.id,
            patient_id=row.patient_id,
            patient=names.get(row.patient_id, ""),
            kind=RequestKind(row.kind),
            words=row.words,
            state=row.state,
            received_at=row.received_at,
            due_at=row.due_at,
            settled_at=row.settled_at,
            extension_reason=row.extension_reason,
            outcome=row.outcome,
            recorded_by=people.name_of(by, row.recorded_by),
            source=row.rule.get("source", ""),
            is_late=row.state in UNSETTLED and row.due_at < work.now,
            may_extend=oversees and row.state is RequestState.OPEN and row.due_at >= work.now,
            may_withdraw=row.state in UNSETTLED and bool(policy.can_withdraw(work.actor, row)),
        )
        for row in rows
    ]


def _end_of(work: Work, received_at: int, days: int) -> int:
    """The last moment of the local day that many days after another."""
    zone = work.practice.settings.tz
    after = local_date(received_at, zone) + timedelta(days=days + 1)
    return to_micros(datetime.combine(after, time(), zone)) - 1


def _check(kind: str, words: str) -> RequestKind:
    faults = {}
    if kind not in set(RequestKind):
        faults["kind"] = gettext("Please choose what you ask for.")
    if len(words) > LONGEST:
        faults["words"] = gettext("Please write this more briefly.")
    if kind == RequestKind.AMENDMENT and not words.strip():
        faults["words"] = gettext("Please say what is wrong, and what is right.")
    if faults:
        raise Invalid(fields=faults)
    return RequestKind(kind)


def _written(text: str, name: str, sentence: str) -> None:
    if not text.strip():
        raise Invalid(fields={name: sentence})
