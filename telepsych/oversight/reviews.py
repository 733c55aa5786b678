"""Reviewing emergency access: what was opened under it, why, and whether that was right. Nobody reviews their own."""

from dataclasses import dataclass
from uuid import UUID

from telepsych.accounts import service as accounts
from telepsych.audit import service as audit
from telepsych.audit.models import AuditRow
from telepsych.core.actor import Decision
from telepsych.core.calendar import add_business_days, close_of_day
from telepsych.core.clock import local_date
from telepsych.core.errors import Conflict, Invalid
from telepsych.core.words import gettext
from telepsych.core.work import Work
from telepsych.notifications import service as notifications
from telepsych.oversight import people, policy, reading
from telepsych.oversight.models import GlassReview, Verdict
from telepsych.patients.glass_content import glass_rules
from telepsych.patients.models import BreakGlass

SHORTEST_NOTE = 5


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """A review as a list shows it."""

    id: UUID
    who: str
    opened_at: int
    due_at: int
    closed_at: int | None
    follows_up: bool
    is_own: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision of a review."""

    at: int
    by: str
    verdict: Verdict
    note: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was opened or done under emergency access."""

    at: int
    action: str
    topic: str


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """Everything a reviewer needs for one decision. The record itself is not opened."""

    id: UUID
    who: str
    title: str
    patient: str
    ground: str
    reason: str
    opened_at: int
    over_at: int
    was_ended: bool
    is_running: bool
    opens_all: bool
    due_at: int
    closed_at: int | None
    steps: list[Step]
    decisions: list[Decided]
    may_decide: bool
    why_not: str


def start(work: Work, glass: BreakGlass) -> GlassReview:
    """Put a new emergency access before the overseers, in the unit that opened it: a notice and a hint, no names."""
    hours = accounts.business_hours(work)
    last_day = add_business_days(hours, local_date(work.now, hours.zone), glass_rules().review_business_days)
    row = GlassReview(
        glass_id=glass.id,
        patient_id=glass.patient_id,
        person_id=glass.person_id,
        due_at=close_of_day(hours, last_day),
    )
    work.add(row)
    audience = people.overseers(work, glass.patient_id)
    notifications.notify(work, audience, "work-item")
    work.announce(audience, "queue:news", review=row.id)
    audit.record(work, "review.opened", f"review:{row.id}", purpose="operations")
    return row


def listed(work: Work, *, closed: bool = False) -> list[ReviewLine]:
    """Reviews the actor may read: the open ones by due date, or the closed ones, the newest first."""
    work.require(policy.can_see_counts(work.actor))
    scope = policy.reviews_of(work.actor, work.now)
    wanted = GlassReview.closed_at.is_not(None) if closed else GlassReview.closed_at.is_(None)
    order = GlassReview.closed_at.desc() if closed else GlassReview.due_at
    rows = work.all(scope.where(wanted).order_by(order).limit(200))
    names = accounts.names_of(work, [row.person_id for row in rows])
    return [
        ReviewLine(
            id=row.id,
            who=people.name_of(names, row.person_id),
            opened_at=work.session.get_one(BreakGlass, row.glass_id).opened_at,
            due_at=row.due_at,
            closed_at=row.closed_at,
            follows_up=bool(row.decisions) and row.closed_at is None,
            is_own=row.person_id == work.actor.id,
        )
        for row in rows
    ]


def page(work: Work, review_id: UUID) -> ReviewPage:
    """One review. Raises `NotFound`."""
    row = work.one(policy.reviews_of(work.actor, work.now).where(GlassReview.id == review_id))
    glass = work.session.get_one(BreakGlass, row.glass_id)
    decision = _may(work, row)
    names = accounts.names_of(work, [row.person_id, *(UUID(one["by"]) for one in row.decisions)])
    person = names.get(row.person_id)
    return ReviewPage(
        id=row.id,
        who=people.name_of(names, row.person_id),
        title=person.title if person else "",
        patient=people.patient_names(work, [row.patient_id]).get(row.patient_id, ""),
        ground=glass_rules().label_of(glass.ground),
        reason=glass.reason,
        opened_at=glass.opened_at,
        over_at=glass.over_at,
        was_ended=glass.ended_at is not None,
        is_running=glass.over_at > work.now,
        opens_all=glass.opens_sensitive,
        due_at=row.due_at,
        closed_at=row.closed_at,
        steps=_steps(work, glass),
        decisions=[
            Decided(one["at"], people.name_of(names, UUID(one["by"])), Verdict(one["verdict"]), one["note"])
            for one in row.decisions
        ],
        may_decide=decision.allowed and row.closed_at is None,
        why_not=decision.reason if not decision.allowed else "",
    )


def glass_of(work: Work, review_id: UUID) -> UUID:
    """The emergency access that a review is about. Raises `NotFound`."""
    return work.one(policy.reviews_of(work.actor, work.now).where(GlassReview.id == review_id)).glass_id


def decide(work: Work, review_id: UUID, verdict: str, note: str) -> None:
    """Sign a review off, or note what has to be asked first. Raises `Refused` for one's own access, `Invalid`,
    and `Conflict` when it is closed."""
    row = work.one(policy.reviews_of(work.actor, work.now).where(GlassReview.id == review_id))
    work.require(_may(work, row))
    if row.closed_at is not None:
        raise Conflict(gettext("This review is signed off already."))
    found = _check(verdict, note)
    entry = {"at": work.now, "by": str(work.actor.id), "verdict": found.value, "note": note.strip()}
    row.decisions = [*row.decisions, entry]
    if found is not Verdict.FOLLOW_UP:
        row.closed_at = work.now
    audit.record(
        work, "review.decided", f"review:{row.id}", patient_id=row.patient_id, purpose="operations",
        detail={"verdict": found.value},
    )  # fmt: skip


def _may(work: Work, row: GlassReview) -> Decision:
    return policy.can_sign_off(work.actor, row, people.passed_on(work).holds(row.person_id, row.patient_id))


def _check(verdict: str, note: str) -> Verdict:
    faults = {}
    if verdict not in set(Verdict):
        faults["verdict"] = gettext("Please choose what you found.")
    if len(note.strip()) < SHORTEST_NOTE:
        faults["note"] = gettext("Please write in a few words what this rests on.")
    if faults:
        raise Invalid(fields=faults)
    return Verdict(verdict)


def _steps(work: Work, glass: BreakGlass) -> list[Step]:
    """What the trail says about this person and this record while it was open, the earliest first."""
    during = reading.on_record(glass.patient_id, glass.opened_at, glass.over_at + 1)
    found = reading.entries(work, AuditRow.actor_id == glass.person_id, *during)
    shown = [one for one in reversed(found) if not one.action.startswith("review.")]
    return [Step(one.at, one.action, reading.topic(one.action)) for one in shown]
